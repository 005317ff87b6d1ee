import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  buildReport,
  type Decode,
  evaluate,
  ImageFolder,
  type PredictionsFile,
  parsePredictions,
  radialErrors,
} from 'landmark-diffusion/evaluation'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { annotationsOf, predictionsOf } from './fixtures.js'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'report-'))
  await mkdir(join(folder, 'images', 'deep'), { recursive: true })
  await mkdir(join(folder, 'chain'))
  const grey = sharp({ create: { width: 100, height: 80, channels: 3, background: '#777' } })
  const png = await grey.png().toBuffer()
  for (const name of ['images/a.png', 'images/deep/b.png', 'images/deep/c.png', 'chain/0.png']) {
    await writeFile(join(folder, name), png)
  }
  await writeFile(join(folder, 'images', 'broken.png'), png.subarray(0, 40))
})
afterAll(() => rm(folder, { recursive: true }))

const decode: Decode = async (path) => {
  const { data, info } = await sharp(path).greyscale().raw().toBuffer({ resolveWithObject: true })
  return { width: info.width, height: info.height, data }
}

const landmarks = ['S', 'N']
const truth = annotationsOf({
  a: [
    [10, 10],
    [20, 20],
  ],
  b: [
    [10, 10],
    [20, 20],
  ],
  c: [
    [10, 10],
    [20, 20],
  ],
})

/** Errors in mm: image a 1 and 1, image b 1 and 3, image c 1 and not found. */
function predictions(change: (image: Record<string, unknown>) => object = (image) => image) {
  const file = predictionsOf(
    {
      a: [
        [20, 10],
        [30, 20],
      ],
      b: [
        [20, 10],
        [50, 20],
      ],
      c: [[20, 10], null],
    },
    landmarks,
  )
  const images = file.images.map((image) => change({ ...image, width: 100, height: 80 }))
  return parsePredictions({ ...file, images })
}

async function report(file: PredictionsFile, more: object = {}): Promise<string> {
  const options = { predictions: file, annotations: truth, bootstrap: { resamples: 50 } }
  return buildReport({
    predictions: file,
    predictionsPath: join(folder, 'predictions.json'),
    scores: { result: evaluate(options), errors: radialErrors(options), references: [] },
    truth,
    images: await ImageFolder.open(join(folder, 'images')),
    decode,
    ...more,
  })
}

/** The ids in the captions, in their order. */
function shownIds(page: string): string[] {
  return [...page.matchAll(/<figcaption><b>([^<]*)<\/b>/g)].map((match) => match[1] as string)
}

describe('a report', () => {
  it('loads nothing: every address in it is a data URI or a place in the page', async () => {
    const page = (await report(predictions())).replace(/<script.*?<\/script>/gs, '')
    const addresses = [...page.matchAll(/(?:src|href|url|action|data)\s*[=(]\s*"?([^"\s>)]*)/g)]
      .map((match) => match[1] as string)
      .filter((address) => !/^(#|data:image\/(jpeg|webp);base64,)/.test(address))
    expect(addresses).toEqual([])
    expect(page).not.toMatch(/https?:|@import|<link|<iframe/)
    expect(page).toContain('default-src &#39;none&#39;; img-src data:')
  })

  it('shows the worst images first, those with a landmark that was not found before all', async () => {
    expect(shownIds(await report(predictions()))).toEqual(['c', 'b', 'a'])
  })

  it('shows as many pictures as asked for and the figures of all', async () => {
    const page = await report(predictions(), { worst: 1 })
    expect(shownIds(page)).toEqual(['c'])
    expect(page.match(/id="picture-/g)?.length).toBe(1)
    expect(page).toContain('Figures of 3 images')
  })

  it('draws the error vector from the true to the predicted point', async () => {
    const page = await report(predictions())
    expect(page).toContain('<line class="vector" x1="20" y1="20" x2="50" y2="20"/>')
    // 2 mm at 0.1 mm a pixel.
    expect(page).toContain('class="ring ring-2" cx="20" cy="20" rx="20" ry="20"')
  })

  it('has the predictions alone where there are no annotations', async () => {
    const page = await report(predictions(), { scores: null, truth: null })
    expect(shownIds(page)).toEqual(['a', 'b', 'c'])
    expect(page).not.toContain('class="vector"')
    expect(page).toContain('not scored')
  })

  it('keeps its points on a blank ground where there is no picture', async () => {
    const page = await report(predictions(), { images: null })
    expect(page).toContain('class="blank"')
    expect(page).toContain('no image folder was given')
  })
})

describe('hostile names', () => {
  const evil = `"><script>alert(1)</script>&'`

  it('stay text wherever they are shown', async () => {
    const file = predictions((image) =>
      image.id === 'b'
        ? { ...image, file: `${evil}.png`, filmstrip: [{ t: 1, file: evil }] }
        : image,
    )
    const renamed = { ...file, landmarks: ['S', evil] }
    const page = await report(renamed, {
      title: evil,
      predictionsPath: join(folder, evil),
      labels: new Map([[evil, evil]]),
    })
    expect(page).not.toContain('<script>alert')
    // Four scripts of its own; everything else in script elements is data.
    expect(page.match(/<script type="module">/g)?.length).toBe(4)
    expect(page.match(/<script(?! type="(module|application\/json|text\/plain)")/g)).toBeNull()
    expect(page).toContain('&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#39;')
  })

  it('in ids stay text', async () => {
    const options = {
      predictions: predictionsOf(
        {
          [evil]: [
            [20, 10],
            [30, 20],
          ],
        },
        landmarks,
      ),
      annotations: annotationsOf({
        [evil]: [
          [10, 10],
          [20, 20],
        ],
      }),
    }
    const page = await buildReport({
      predictions: options.predictions,
      predictionsPath: 'p.json',
      scores: { result: evaluate(options), errors: radialErrors(options), references: [] },
      truth: options.annotations,
      decode,
    })
    expect(page).not.toContain('<script>alert')
  })
})

describe('pictures', () => {
  it('are found by their name in any folder below the given one', async () => {
    const images = await ImageFolder.open(join(folder, 'images'))
    expect(images.find({ file: 'RawImage/b.png' })).toBe(join(folder, 'images', 'deep', 'b.png'))
    expect(images.find({ file: 'deep\\c.png' })).toBe(join(folder, 'images', 'deep', 'c.png'))
    expect(images.find({ file: 'b.bmp' })).toBe(join(folder, 'images', 'deep', 'b.png'))
    expect(images.find({ file: 'd.png' })).toBeNull()
  })

  it('are never looked for outside of it', async () => {
    await symlink('/etc/hostname', join(folder, 'images', 'link.png'))
    const images = await ImageFolder.open(join(folder, 'images'))
    expect(images.find({ file: '../chain/0.png' })).toBeNull()
    expect(images.find({ file: '/etc/passwd' })).toBeNull()
    expect(images.find({ file: 'link.png' })).toBeNull()
  })

  it('of another size than the predicted image are refused: the points would lie beside it', async () => {
    const file = predictions((image) => ({ ...image, width: 200 }))
    await expect(report(file)).rejects.toThrow(/100 x 80 pixels, but 'c' was predicted on 200 x 80/)
  })

  it('that are damaged are told of in words', async () => {
    const file = predictions((image) => ({ ...image, file: 'broken.png' }))
    expect(await report(file)).toContain('Without picture:')
  })

  it('need a folder that exists', async () => {
    await expect(ImageFolder.open(join(folder, 'absent'))).rejects.toThrow(
      /absent cannot be read \(ENOENT\)/,
    )
  })
})

describe('film strips', () => {
  const strip = (frames: object[]) =>
    predictions((image) => (image.id === 'a' ? { ...image, filmstrip: frames } : image))

  it('are shown frame by frame in the order of the file', async () => {
    const page = await report(
      strip([
        { t: 200, file: 'chain/0.png' },
        { t: 0, file: './chain/0.png' },
      ]),
    )
    expect(
      [...page.matchAll(/aria-label="Image a at t = (\d+)"/g)].map((match) => match[1]),
    ).toEqual(['200', '0'])
  })

  it('show at most 12 frames, the first and the last among them', async () => {
    const frames = Array.from({ length: 201 }, (_, i) => ({ t: 200 - i, file: 'chain/0.png' }))
    const page = await report(strip(frames))
    const times = [...page.matchAll(/aria-label="Image a at t = (\d+)"/g)].map((match) =>
      Number(match[1]),
    )
    expect(times.length).toBe(12)
    expect([times[0], times.at(-1)]).toEqual([200, 0])
  })

  it('never reach outside the folder of the predictions file', async () => {
    const page = await report(
      strip([
        { t: 1, file: '../../etc/passwd' },
        { t: 0, file: '/etc/passwd' },
      ]),
    )
    expect(page.match(/lies outside the folder of the predictions file/g)?.length).toBe(2)
  })
})

describe('what the predictions do not say', () => {
  it('is said in a line, section by section, instead of an empty chart', async () => {
    const page = await report(predictions())
    for (const line of [
      'The predictions store no single chains',
      'The predictions store no covariances',
      'No stored heatmaps were found',
      'The predictions store no steps of a chain',
      'The predictions say nothing of their uncertainty',
      'These landmarks have no clinical measures',
      'The annotations are not those of two doctors',
    ])
      expect(page).toContain(line)
    for (const id of [
      'coverage',
      'reliability',
      'risk-coverage',
      'measures',
      'confusion',
      'film-strips',
    ])
      expect(page).not.toContain(`id="${id}"`)
  })
})

describe('the data of the figures', () => {
  it('stand in the page as JSON, and hostile names cannot end the element', async () => {
    const evil = '</script><script>alert(1)</script>'
    const page = await report(
      predictions((image) => (image.id === 'b' ? { ...image } : image)),
      {
        labels: new Map([['S', evil]]),
      },
    )
    const data = [
      ...page.matchAll(
        /<script type="application\/json" class="data" data-name="([^"]*)">(.*?)<\/script>/gs,
      ),
    ].map(([, name, text]) => [name, JSON.parse(text ?? '')] as const)
    const named = new Map(data)
    expect(named.size).toBe(data.length)
    expect([...named.keys()]).toEqual(
      expect.arrayContaining(['comparison', 'error-distribution', 'landmark-table', 'points']),
    )
    for (const { columns, rows } of named.values())
      for (const row of rows) expect(row.length).toBe(columns.length)
    expect(named.get('landmark-table')?.rows[0][1]).toBe(evil)
    // Image b has errors of 1 and 3 mm, image c 1 mm and a point that was not found.
    const errors = named.get('points')?.rows.map((row: unknown[]) => row[2])
    expect(errors).toEqual([1, null, 1, 3, 1, 1])
  })
})

describe('published results', () => {
  it('stand beside the predictions where the evaluation has some', async () => {
    const value = [{ method: 'Someone <2020>', source: 'a journal', mre: 1.5, sdr: { '2': 76.5 } }]
    const parts = new Map([['published', { value, text: '' }]])
    const page = await report(predictions(), { parts })
    expect(page).toContain('Someone &lt;2020&gt;')
    expect(page).toContain('76.5')
    expect(page).toContain('a journal')
    expect(await report(predictions())).not.toContain('class="published"')
  })
})
