import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Point, writePredictions } from 'landmark-diffusion/evaluation'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runWithoutLibtorch as run } from '../cli/without-libtorch.js'
import { predictionsOf } from './fixtures.js'

const names = "S N Or Po A B Pog Me Gn Go L1 U1 UL LL Sn Pog' PNS ANS Ar".split(' ')

/** Nineteen points in a row, the first at (x, y). */
function shape(x: number, y: number): Point[] {
  return names.map((_, j) => [x + 2 * j, y + j])
}

let folder = ''
const at = (...parts: string[]) => join(folder, ...parts)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evaluate-'))
  // The doctors differ by 10 px in x everywhere; images of 0.1 mm, so by 1 mm.
  const truth: Record<string, [number, number]> = {
    '001': [20, 20],
    '002': [40, 20],
    '151': [30, 20],
    '152': [50, 40],
  }
  for (const [doctor, shift] of [
    ['400_senior', 0],
    ['400_junior', 10],
  ] as const) {
    await mkdir(at('data', 'AnnotationsByMD', doctor), { recursive: true })
    for (const [id, [x, y]] of Object.entries(truth)) {
      const lines = shape(x + shift, y).map((point) => point.join(','))
      await writeFile(at('data', 'AnnotationsByMD', doctor, `${id}.txt`), `${lines.join('\n')}\n`)
    }
  }
  await mkdir(at('data', 'RawImage', 'Test1Data'), { recursive: true })
  const picture = sharp({ create: { width: 200, height: 150, channels: 3, background: '#555' } })
  for (const id of ['151', '152'])
    await picture.png().toFile(at('data', 'RawImage', 'Test1Data', `${id}.png`))
  await writeFile(
    at('data', 'dataset.json'),
    JSON.stringify({
      format: 'landmark-diffusion/dataset',
      version: 1,
      width: 200,
      height: 150,
      pixelSize: [0.1, 0.1],
    }),
  )
  const predict = (points: Record<string, Point[]>, pixelSize: [number, number] | null) => {
    const file = predictionsOf(points, names, pixelSize)
    return { ...file, images: file.images.map((image) => ({ ...image, width: 200, height: 150 })) }
  }
  // The mean truth of 151 begins at (35, 20) and that of 152 at (55, 40).
  const points = { '151': shape(35, 40), '152': shape(85, 80) }
  await writePredictions(at('p.json'), predict(points, [0.1, 0.1]))
  await writePredictions(at('unscaled.json'), predict(points, null))
  await writePredictions(at('one.json'), predict({ '151': shape(35, 40) }, [0.1, 0.1]))
})
afterAll(() => rm(folder, { recursive: true }))

const evaluate = (file: string, ...words: string[]) =>
  run('evaluate', '--predictions', at(file), '--annotations', at('data'), ...words)

describe('landmark-diffusion evaluate', () => {
  it('prints a table and writes the result as JSON, without libtorch', async () => {
    const { status, out } = await evaluate(
      'p.json',
      '--split',
      'test1',
      '--json',
      at('result.json'),
    )
    expect(status).toBe(0)
    expect(out).toMatch(/predictions +3\.50 +1\.50 /)
    expect(out).toMatch(/mean shape /)
    const result = JSON.parse(await readFile(at('result.json'), 'utf8'))
    expect(result).toMatchObject({
      split: 'test1',
      truth: 'mean',
      images: 2,
      points: 38,
      sdr: { '2': 50, '2.5': 50, '3': 50, '4': 50 },
    })
    expect(result.mre.mean).toBeCloseTo(3.5, 9)
    expect(result.perLandmark[0].name).toBe('S')
    // The mean shape begins at (35, 20): no error on 151, (20, 20) px on 152.
    const [meanShape, doctors] = result.references
    expect(meanShape.mre.mean).toBeCloseTo(Math.SQRT2, 9)
    expect(doctors).toMatchObject({ name: 'junior against senior', images: 2 })
    expect(doctors.mre.mean).toBeCloseTo(1, 9)
  })

  it('prints the clinical measures beside the doctors, and gives them as JSON', async () => {
    const { out } = await evaluate('p.json', '--tables', 'clinical')
    expect(out).toMatch(/^Clinical measures, corrected$/m)
    expect(out).toMatch(/^success rate, % +ANB +SNB +SNA +ODI +APDI +FHI +FHA +MW +mean$/m)
    expect(out).toMatch(/^junior against senior +(\d+\.\d +){8}\d+\.\d$/m)
    const { out: json } = await evaluate('p.json', '--clinical', 'official', '--json')
    const { clinical } = JSON.parse(json)
    expect(clinical).toMatchObject({ mode: 'official', images: 2 })
    expect(clinical.human).toMatchObject({ name: 'junior against senior', images: 2 })
    // Both sides are the same figure moved: U1 is (2, 1) px farther than L1, in mm 0.2236.
    const [image] = clinical.measures[7].perImage
    expect(image.predicted).toBeCloseTo(Math.hypot(0.2, 0.1), 9)
    expect(image.truth).toBeCloseTo(Math.hypot(0.2, 0.1), 9)
  })

  it('prints only JSON on standard output when asked to', async () => {
    const { out } = await evaluate('p.json', '--json')
    expect(JSON.parse(out)).toMatchObject({ split: 'all', images: 2 })
  })

  it('takes the AnnotationsByMD folder itself', async () => {
    const { status } = await run(
      'evaluate',
      '--predictions',
      at('p.json'),
      '--annotations',
      at('data', 'AnnotationsByMD'),
    )
    expect(status).toBe(0)
  })

  it('scores against each truth', async () => {
    for (const [truth, error] of [
      ['senior', Math.hypot(0.5, 2)],
      ['junior', Math.hypot(0.5, 2)],
    ] as const) {
      const { out } = await evaluate('one.json', '--truth', truth, '--json')
      expect(JSON.parse(out).mre.mean).toBeCloseTo(error, 9)
    }
  })

  it('reads a file of ids as a split', async () => {
    await writeFile(at('ids.txt'), '152\n')
    const { out } = await evaluate('p.json', '--split', at('ids.txt'), '--json')
    expect(JSON.parse(out)).toMatchObject({ images: 1, mre: { mean: expect.closeTo(5, 9) } })
    await writeFile(at('ids.txt'), '152, 999')
    expect(await evaluate('p.json', '--split', at('ids.txt'))).toMatchObject({
      status: 1,
      err: expect.stringMatching(/lists ids without annotation: 999/),
    })
  })

  it('scores a CSV of points like the predictions file that says the same', async () => {
    const rows = [shape(35, 40), shape(85, 80)].flatMap((points, i) =>
      points.map(([x, y], j) => `${151 + i}.png,${names[j]},${x},${y}`),
    )
    await writeFile(at('p.csv'), `file,landmark,x,y\n${rows.join('\n')}\n`)
    const own = JSON.parse((await evaluate('p.json', '--json')).out)
    const theirs = JSON.parse((await evaluate('p.csv', '--json')).out)
    expect(theirs.mre).toEqual(own.mre)
    expect(theirs.perLandmark).toEqual(own.perLandmark)
  })

  it('takes ids without their leading zeros for the same images', async () => {
    const rows = shape(35, 30).map(([x, y], j) => `1,${names[j]},${x},${y}`)
    await writeFile(at('numbers.csv'), `id,landmark,x,y\n${rows.join('\n')}\n`)
    const { out } = await evaluate('numbers.csv', '--json')
    // The mean truth of 001 begins at (25, 20).
    expect(JSON.parse(out).mre.mean).toBeCloseTo(Math.SQRT2, 9)
  })

  it('scores the common points against annotations of another landmark set, and says so', async () => {
    const home = at('aariz', 'Annotations', 'Cephalometric Landmarks', 'Senior Orthodontists')
    await mkdir(home, { recursive: true })
    const landmarks = [
      { symbol: 'UIT', value: { x: 35 + 22, y: 40 + 11 + 10 } },
      { symbol: 'Co', value: { x: 1, y: 1 } },
    ]
    await writeFile(join(home, '151.json'), JSON.stringify({ landmarks }))
    const { out, err } = await run(
      'evaluate',
      '--predictions',
      at('one.json'),
      '--annotations',
      at('aariz'),
      '--json',
    )
    // U1, the twelfth point, is called UIT there; it lies 10 px of 0.1 mm beside the prediction.
    expect(JSON.parse(out)).toMatchObject({ points: 1, mre: { mean: expect.closeTo(1, 9) } })
    expect(err).toMatch(/annotated landmarks are not predicted and are not scored/)
  })

  it('prints the tables that were asked for', async () => {
    const { out } = await evaluate('p.json', '--tables', 'bias,worst')
    expect(out).toMatch(/Bias of each landmark/)
    expect(out).toMatch(/Largest errors/)
    expect(out).not.toMatch(/Against each truth/)
    expect(await evaluate('p.json', '--tables', 'charm')).toMatchObject({
      status: 2,
      err: expect.stringMatching(
        /There is no table 'charm': choose from summary, landmarks, published, seeds, truths/,
      ),
    })
  })

  it('warns of annotated images of the split that were not predicted', async () => {
    const { status, err, out } = await evaluate('one.json', '--split', 'test1', '--json')
    expect(status).toBe(0)
    expect(err).toMatch(/1 of the 2 annotated images of split test1 have no prediction.*152/)
    expect(JSON.parse(out).unpredicted).toEqual(['152'])
  })

  it("takes the data set's pixel size where the predictions know none, and says so", async () => {
    const { err, out } = await evaluate('unscaled.json', '--json')
    expect(err).toMatch(/the data set's is used: 0\.1 x 0\.1 mm/)
    expect(JSON.parse(out).mre.mean).toBeCloseTo(3.5, 9)
    const given = await evaluate('unscaled.json', '--json', '--pixel-size', '0.2')
    expect(JSON.parse(given.out).mre.mean).toBeCloseTo(7, 9)
  })

  it('ends with status 2 and one sentence when it is called wrongly', async () => {
    expect(await run('evaluate', '--annotations', at('data'))).toMatchObject({
      status: 2,
      err: expect.stringMatching(/--predictions/),
    })
    expect(await evaluate('p.json', '--convention', 'lenient')).toMatchObject({
      status: 2,
      err: expect.stringMatching(/pooled, official, per-image, strict/),
    })
    expect(await evaluate('p.json', '--split', 'test3')).toMatchObject({
      status: 2,
      err: expect.stringMatching(/There is no split 'test3'/),
    })
    expect(await evaluate('p.json', '--exclude', 'X')).toMatchObject({ status: 2 })
  })

  it('ends with status 1 and one sentence when a file is wrong', async () => {
    await writeFile(at('broken.json'), '{"format": "landmark-diff')
    expect(await evaluate('broken.json')).toMatchObject({
      status: 1,
      err: expect.stringMatching(/broken\.json is not JSON/),
    })
    expect(await evaluate('p.json', '--split', 'test2')).toMatchObject({
      status: 1,
      err: expect.stringMatching(/nothing to score in split 'test2'/),
    })
    expect(
      await run('evaluate', '--predictions', at('p.json'), '--annotations', at('data', 'RawImage')),
    ).toMatchObject({
      status: 1,
      err: expect.stringMatching(/holds no annotations that are known/),
    })
    expect(await evaluate('p.json', '--json', at('absent', 'result.json'))).toMatchObject({
      status: 1,
      err: expect.stringMatching(/The result cannot be written to .*result\.json \(ENOENT\)/),
    })
  })

  it.each([
    ['a missing line', (lines: string[]) => lines.slice(0, 12), /152\.txt:13/],
    ['a NaN', (lines: string[]) => lines.with(3, 'NaN,20'), /152\.txt:4/],
    ['a point outside the image', (lines: string[]) => lines.with(0, '5000,20'), /152\.txt:1/],
  ])('ends with status 1 and names file and line of %s', async (_, change, place) => {
    const path = at('data', 'AnnotationsByMD', '400_senior', '152.txt')
    const text = await readFile(path, 'utf8')
    await writeFile(path, change(text.trimEnd().split('\n')).join('\n'))
    const { status, err } = await evaluate('p.json')
    await writeFile(path, text)
    expect(status).toBe(1)
    expect(err).toMatch(place)
  })

  it('shows an example in its help', async () => {
    const { status, out } = await run('evaluate', '--help')
    expect(status).toBe(0)
    expect(out).toMatch(/Examples:\s+\$ landmark-diffusion evaluate --predictions/)
  })
})

describe('landmark-diffusion report', () => {
  it('writes one HTML file with the pictures, without libtorch', async () => {
    const { status, err } = await run(
      'report',
      '--predictions',
      at('p.json'),
      '--annotations',
      at('data'),
      '--images',
      at('data'),
      '--out',
      at('r.html'),
    )
    expect(err).toMatch(/Report written to .*r\.html/)
    expect(status).toBe(0)
    const page = await readFile(at('r.html'), 'utf8')
    expect(page.match(/id="picture-/g)?.length).toBe(2)
    expect(page).toContain('junior doctor')
    expect(page.indexOf('<b>152</b>')).toBeLessThan(page.indexOf('<b>151</b>'))
  })

  it('needs no annotations', async () => {
    const { status } = await run('report', '--predictions', at('p.json'), '--out', at('bare.html'))
    expect(status).toBe(0)
    expect(await readFile(at('bare.html'), 'utf8')).toContain('not scored')
  })

  it('names the file that it cannot write', async () => {
    const { status, err } = await run(
      'report',
      '--predictions',
      at('p.json'),
      '--out',
      at('absent', 'r.html'),
    )
    expect(status).toBe(1)
    expect(err).toMatch(/cannot be written to .*r\.html \(ENOENT\)/)
  })
})
