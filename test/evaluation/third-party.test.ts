import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parsePredictions } from 'landmark-diffusion/evaluation'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scorePredictions } from '#lib/cli/scoring.js'
import { lehmer } from './fixtures.js'

/**
 * Predictions as other people's programs may write them. Each must score as the plain file does, to every digit: the
 * expected figures are computed here, from the points alone.
 */
const names = "S N Or Po A B Pog Me Gn Go L1 U1 UL LL Sn Pog' PNS ANS Ar".split(' ')
const labels =
  'Sella,Nasion,Orbitale,Porion,Subspinale,Supramentale,Pogonion,Menton,Gnathion,Gonion,Lower incisor incision,Upper incisor incision,Upper lip,Lower lip,Subnasale,Soft-tissue pogonion,Posterior nasal spine,Anterior nasal spine,Articulare'.split(
    ',',
  )
const ids = ['151', '152', '153']

type Points = [number, number][]
const random = lehmer(99)
const between = (low: number, high: number) => Math.round(low + (high - low) * random())
const shape = (): Points => names.map(() => [between(300, 1600), between(300, 2000)])
const senior = new Map(ids.map((id) => [id, shape()]))
const junior = new Map(
  [...senior].map(([id, points]) => [
    id,
    points.map(([x, y]): [number, number] => [x + between(-20, 20), y + between(-20, 20)]),
  ]),
)
/** Thousandths of a pixel, so that texts and doubles say the same. */
const predicted = new Map(
  [...senior].map(([id, points]) => [
    id,
    points.map(([x, y]): [number, number] => [
      x + between(-40_000, 40_000) / 1000,
      y + between(-40_000, 40_000) / 1000,
    ]),
  ]),
)

/** Errors in mm from the mean of the doctors. */
const errors = ids.flatMap((id) =>
  names.map((_, j) => {
    const [points, a, b] = [predicted, senior, junior].map((all) => all.get(id)?.[j]) as Points
    if (!points || !a || !b) throw new Error('no point')
    return 0.1 * Math.hypot(points[0] - (a[0] + b[0]) / 2, points[1] - (a[1] + b[1]) / 2)
  }),
)
const expectedMre = errors.reduce((sum, error) => sum + error, 0) / errors.length
const expectedRate = (limit: number) =>
  (100 * errors.filter((error) => error <= limit).length) / errors.length

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'third-party-'))
  for (const [doctor, all] of [
    ['400_senior', senior],
    ['400_junior', junior],
  ] as const) {
    const home = join(folder, 'data', 'AnnotationsByMD', doctor)
    await mkdir(home, { recursive: true })
    for (const [id, points] of all) await writeFile(join(home, `${id}.txt`), points.join('\n'))
  }
})
afterAll(() => rm(folder, { recursive: true }))

async function score(path: string) {
  const { scores } = await scorePredictions({
    predictions: path,
    annotations: join(folder, 'data'),
    split: 'test1',
    truth: 'mean',
    convention: 'pooled',
    clinical: 'corrected',
  })
  return scores.result
}

async function expectScores(path: string) {
  const { images, points, missing, mre, sdr } = await score(path)
  expect({ images, points, missing }).toEqual({ images: 3, points: 57, missing: 0 })
  expect(mre.mean).toBeCloseTo(expectedMre, 10)
  for (const limit of ['2', '2.5', '3', '4'] as const)
    expect(sdr[limit]).toBeCloseTo(expectedRate(Number(limit)), 10)
}

async function written(name: string, contents: string | Buffer): Promise<string> {
  const path = join(folder, name)
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, contents)
  return path
}

const plain = () => ({
  format: 'landmark-diffusion/predictions',
  version: 1,
  landmarks: [...names] as unknown[],
  images: [...predicted].map(([id, points]) => ({
    id,
    file: `${id}.bmp`,
    width: 1935,
    height: 2400,
    pixelSize: [0.1, 0.1],
    points,
  })) as Record<string, unknown>[],
})

/** Each landmark's name and points moved to another place. */
function reordered() {
  const order = names.map((_, j) => (j * 7) % names.length)
  const file = plain()
  return {
    ...file,
    landmarks: order.map((j) => names[j]),
    images: file.images.map(({ points, ...image }) => ({
      ...image,
      points: order.map((j) => (points as Points)[j]),
    })),
  }
}

const eachImage = (change: (image: Record<string, unknown>, i: number) => object) => {
  const file = plain()
  return { ...file, images: file.images.map((image, i) => ({ ...image, ...change(image, i) })) }
}

describe('a predictions file of another program scores the same', () => {
  const files: [string, () => object][] = [
    ['written plainly', plain],
    ['with its landmarks in another order', reordered],
    ['with its images in another order', () => ({ ...plain(), images: plain().images.reverse() })],
    [
      'with keys that nobody knows',
      () => ({ ...eachImage(() => ({ time: 3, heads: [{}] })), model: null, author: { x: 1 } }),
    ],
    [
      'with images of other splits, which have no annotation',
      () => ({ ...plain(), images: [...plain().images, { ...plain().images[0], id: '333' }] }),
    ],
    ['without a pixel size', () => eachImage(() => ({ pixelSize: null }))],
    ['without the key of the pixel size', () => eachImage(() => ({ pixelSize: undefined }))],
    ['with one number as pixel size', () => eachImage(() => ({ pixelSize: 0.1 }))],
    ['with a rounded pixel size', () => eachImage(() => ({ pixelSize: [0.1, 0.1] }))],
    ['with numbers as ids', () => eachImage((image) => ({ id: Number(image.id) }))],
    ['with paths as ids', () => eachImage((image) => ({ id: `Test1Data/${image.id}.bmp` }))],
    ['with Windows paths as ids', () => eachImage((image) => ({ id: `C:\\x\\${image.id}.BMP` }))],
    ['with ids of its own beside the file names', () => eachImage((_, i) => ({ id: `case ${i}` }))],
    [
      'without file names and sizes',
      () => eachImage(() => ({ file: undefined, width: undefined, height: undefined })),
    ],
    ['with full names', () => ({ ...plain(), landmarks: labels })],
    [
      'with full names in another spelling',
      () => ({
        ...plain(),
        landmarks: labels.map((label) => label.toUpperCase().replaceAll(/[ -]/g, '_')),
      }),
    ],
    ['with numbers from 1 as names', () => ({ ...plain(), landmarks: names.map((_, j) => j + 1) })],
    [
      'with texts of numbers from 0 as names',
      () => ({ ...plain(), landmarks: names.map((_, j) => String(j)) }),
    ],
    ['with numbered names', () => ({ ...plain(), landmarks: names.map((_, j) => `L${j + 1}`) })],
    [
      "with CL-Detection's abbreviations",
      () => ({
        ...plain(),
        landmarks: names.map((name) => ({ L1: 'LI', U1: 'UI', "Pog'": 'Pos' })[name] ?? name),
      }),
    ],
    [
      'with typographic primes',
      () => ({ ...plain(), landmarks: names.map((name) => name.replace("'", '’')) }),
    ],
    [
      'with uncertainties and chains',
      () =>
        eachImage(({ points }) => ({
          chains: [points, points],
          uncertainty: names.map(() => ({
            ere: 1,
            covariance: [
              [1, 0],
              [0, 1],
            ],
            confidence: 0.5,
          })),
        })),
    ],
  ]

  it.each(files)('%s', async (_, make) => {
    await expectScores(await written('p.json', JSON.stringify(make())))
  })

  it('with a byte order mark and CRLF', async () => {
    const text = JSON.stringify(plain(), null, 2).replaceAll('\n', '\r\n')
    await expectScores(await written('bom.json', `\uFEFF${text}`))
  })

  it('in UTF-16, as some editors save it', async () => {
    const bytes = Buffer.from(`\uFEFF${JSON.stringify(plain())}`, 'utf16le')
    await expectScores(await written('utf16.json', bytes))
  })

  it('with numbers written with exponents and trailing zeros', async () => {
    const text = JSON.stringify(plain()).replaceAll(
      /(\d+\.\d+)(?=[\],])/g,
      (number) => `${(Number(number) * 10).toFixed(5)}e-1`,
    )
    expect(text).toContain('e-1')
    await expectScores(await written('exponents.json', text))
  })
})

describe('points in a table or a folder of another program score the same', () => {
  const rows = (write: (id: string, j: number, point: [number, number]) => string) =>
    [...predicted].flatMap(([id, points]) => points.map((point, j) => write(id, j, point)))

  const tables: [string, () => string | Buffer][] = [
    [
      'with CRLF and a byte order mark',
      () =>
        `\uFEFF${['id,landmark,x,y', ...rows((id, j, [x, y]) => `${id},${names[j]},${x},${y}`)].join('\r\n')}\r\n`,
    ],
    [
      'with quoted cells and spaces',
      () =>
        [
          '"image", "name", "x", "y"',
          ...rows((id, j, [x, y]) => `"${id}.bmp", "${names[j]}", " ${x} ", "${y}"`),
        ].join('\n'),
    ],
    [
      'with semicolons and decimal commas',
      () =>
        [
          'Image;Landmark;X;Y',
          ...rows(
            (id, j, [x, y]) =>
              `${id};${names[j]};${String(x).replace('.', ',')};${String(y).replace('.', ',')}`,
          ),
        ].join('\r\n'),
    ],
    [
      'with tabs',
      () =>
        ['id\tlandmark\ty\tx', ...rows((id, j, [x, y]) => `${id}\t${names[j]}\t${y}\t${x}`)].join(
          '\n',
        ),
    ],
    [
      'with further columns',
      () =>
        [
          'score,id,landmark,x,y,comment',
          ...rows((id, j, [x, y]) => `0.5,${id},${names[j]},${x},${y},"a, b"`),
        ].join('\n'),
    ],
    [
      'with numbered landmarks',
      () => ['id,landmark,x,y', ...rows((id, j, [x, y]) => `${id},${j + 1},${x},${y}`)].join('\n'),
    ],
    [
      'with ids that became floats',
      () =>
        ['id,landmark,x,y', ...rows((id, j, [x, y]) => `${id}.0,${names[j]},${x},${y}`)].join('\n'),
    ],
    [
      'with fixed digits and exponents',
      () =>
        [
          'id,landmark,x,y',
          ...rows((id, j, [x, y]) => `${id},${names[j]},${x.toFixed(6)},${y.toExponential(12)}`),
        ].join('\n'),
    ],
    [
      'with a row an image',
      () =>
        [
          `file,${names.map((name) => `${name}_x,${name}_y`).join(',')}`,
          ...[...predicted].map(([id, points]) => `images/${id}.png,${points.join(',')}`),
        ].join('\n'),
    ],
    [
      'with a row an image and numbers as names',
      () =>
        [
          `file,${names.map((_, j) => `p${j + 1}x,p${j + 1}y`).join(',')}`,
          ...[...predicted].map(([id, points]) => `${id},${points.join(',')}`),
        ].join('\n'),
    ],
    [
      'in UTF-16 with tabs, as spreadsheets export it',
      () =>
        Buffer.from(
          `\uFEFF${['id\tlandmark\tx\ty', ...rows((id, j, [x, y]) => `${id}\t${names[j]}\t${x}\t${y}`)].join('\r\n')}`,
          'utf16le',
        ),
    ],
  ]

  it.each(tables)('%s', async (_, make) => {
    await expectScores(await written('p.csv', make()))
  })

  it('as text files with CRLF, spaces and lines of classes', async () => {
    for (const [id, points] of predicted) {
      const lines = [...points.map(([x, y]) => ` ${x} , ${y} `), ...'12345678']
      await written(join('texts', `${id}.txt`), `${lines.join('\r\n')}\r\n`)
    }
    await expectScores(join(folder, 'texts'))
  })

  it('as COCO keypoints, with ids of its own', async () => {
    const images = ids.map((id, i) => ({
      id: 7 * i,
      file_name: `${id}.bmp`,
      width: 1935,
      height: 2400,
    }))
    const annotations = ids.map((id, i) => ({
      id: i,
      image_id: 7 * i,
      category_id: 3,
      keypoints: (predicted.get(id) ?? []).flatMap(([x, y]) => [x, y, 2]),
    }))
    const categories = [{ id: 3, keypoints: names }]
    await expectScores(
      await written('coco.json', JSON.stringify({ images, annotations, categories })),
    )
  })
})

describe('a point that another program did not find', () => {
  it('counts as a miss, and not in the mean', async () => {
    const file = eachImage(({ points }) => ({ points: [null, ...(points as Points).slice(1)] }))
    const result = await score(await written('null.json', JSON.stringify(file)))
    const found = errors.filter((_, at) => at % names.length !== 0)
    expect(result).toMatchObject({ points: 57, missing: 3 })
    expect(result.mre.mean).toBeCloseTo(found.reduce((sum, e) => sum + e, 0) / found.length, 10)
    expect(result.sdr['4']).toBeCloseTo((100 * found.filter((e) => e <= 4).length) / 57, 10)
  })

  it('is refused where it is NaN, with the place', async () => {
    const text = JSON.stringify(plain()).replace(/"points":\[\[[^\]]*\]/, '"points":[[NaN,NaN]')
    await expect(score(await written('nan.json', text))).rejects.toThrow(
      /nan\.json is not JSON \(line 1, column \d+/,
    )
  })

  it('is null in the result of a file that lists fewer landmarks', async () => {
    const file = plain()
    const fewer = {
      ...file,
      landmarks: names.slice(1),
      images: file.images.map((image) => ({ ...image, points: (image.points as Points).slice(1) })),
    }
    const result = await score(await written('fewer.json', JSON.stringify(fewer)))
    expect(result).toMatchObject({ points: 54, missing: 0, unmatched: { annotations: ['S'] } })
  })
})

describe('a file that says something else', () => {
  it('with another pixel size than the data set is scored with its own', async () => {
    const result = await score(
      await written('other.json', JSON.stringify(eachImage(() => ({ pixelSize: [0.2, 0.2] })))),
    )
    expect(result.mre.mean).toBeCloseTo(2 * expectedMre, 9)
  })

  it('with texts as coordinates, or the keys of another version, is refused with the place', () => {
    const texts = eachImage(({ points }) => ({
      points: (points as Points).map((point) => point.map(String)),
    }))
    expect(() => parsePredictions(texts, 'p')).toThrow(/images\[0\]\.points\[0\]\[0\]: /)
    expect(() => parsePredictions({ ...plain(), version: '1' }, 'p')).toThrow(/version: /)
  })
})
