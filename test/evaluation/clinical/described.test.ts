import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describedMeasures, evaluateClinical } from 'landmark-diffusion/evaluation'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scorePredictions } from '#lib/cli/scoring.js'
import { parseLandmarkSet } from '#lib/landmarks/landmark-file.js'
import { annotationsOf, predictionsOf } from '../fixtures.js'

const file = {
  format: 'landmark-diffusion/landmarks',
  version: 1,
  name: 'pelvis',
  landmarks: [{ name: 'HL', aliases: ['FHL'] }, { name: 'HR' }, { name: 'SY' }],
  measures: [
    {
      name: 'width',
      distance: ['HL', 'HR'],
      normal: [10, 20],
      classes: { below: 'narrow', within: 'normal', above: 'wide' },
    },
    {
      name: 'opening',
      angle: [
        ['SY', 'HL'],
        ['SY', 'HR'],
      ],
    },
    {
      name: 'symmetry',
      ratio: [
        ['SY', 'HL'],
        ['SY', 'HR'],
      ],
      normal: [0.9, 1.1],
    },
  ],
}
const set = parseLandmarkSet(file, 'pelvis.json')

/** Pixels of 0.1 mm: a right angle at SY with legs of 10 and 10, 30 and 15, and 30 and 10 mm. */
const pelvis = (left: number, right: number) => [
  [0, left * 10] as const,
  [right * 10, 0] as const,
  [0, 0] as const,
]
const truth = { a: pelvis(10, 10), b: pelvis(30, 15), c: pelvis(6, 8) }
const predicted = { a: pelvis(10, 10), b: pelvis(12, 16), c: pelvis(6, 8) }

describe('measures of a landmark file', () => {
  const { mode, measures } = evaluateClinical({
    predictions: predictionsOf(predicted, ['FHL', 'HR', 'SY']),
    annotations: annotationsOf(truth),
    landmarks: ['HL', 'HR', 'SY'],
    landmarkSet: set,
    measures: describedMeasures(set.measures),
  })
  const valuesOf = (i: number) =>
    measures[i]?.perImage.flatMap((image) => [image.truth, image.predicted]) as number[]

  it('are distances in mm, angles in degrees and ratios, also under aliases', () => {
    expect(mode).toBeNull()
    expect(measures.map(({ name, unit }) => [name, unit])).toEqual([
      ['width', 'mm'],
      ['opening', '°'],
      ['symmetry', ''],
    ])
    const width = [Math.SQRT2 * 10, Math.SQRT2 * 10, Math.hypot(30, 15), 20, 10, 10]
    for (const [i, value] of width.entries()) expect(valuesOf(0)[i]).toBeCloseTo(value, 10)
    for (const value of valuesOf(1)) expect(value).toBeCloseTo(90, 10)
    for (const [i, value] of [1, 1, 2, 0.75, 0.75, 0.75].entries())
      expect(valuesOf(2)[i]).toBeCloseTo(value, 10)
  })

  it('have the classes of their normal range, whose bounds belong to it', () => {
    const classes = measures.map(({ perImage }) =>
      perImage.map(({ truthClass, predictedClass }) => `${truthClass}/${predictedClass}`),
    )
    expect(classes[0]).toEqual(['normal/normal', 'wide/normal', 'normal/normal'])
    expect(classes[2]).toEqual([
      'normal/normal',
      'above normal/below normal',
      'below normal/below normal',
    ])
    expect(measures[0]).toMatchObject({ scr: 50, accuracy: 100 * (2 / 3) })
  })

  it('without a normal range have no classes, and agree all the same', () => {
    const { scr, classes, confusion, agreement, perImage } = measures[1] as (typeof measures)[0]
    expect(scr).toBeNaN()
    expect([classes, confusion]).toEqual([[], []])
    expect(agreement.mae).toBeCloseTo(0, 10)
    expect(perImage[0]).toMatchObject({ truthClass: null, predictedClass: null })
  })

  it('say something of chains too', () => {
    const predictions = predictionsOf(predicted, ['HL', 'HR', 'SY'])
    const images = predictions.images.map((image) => ({ ...image, chains: [image.points] }))
    const { measures: found } = evaluateClinical({
      predictions: { ...predictions, images },
      annotations: annotationsOf(truth),
      measures: describedMeasures(set.measures),
    })
    expect(found[0]?.sampled).toMatchObject({ images: 3, brier: 2 / 3 })
    expect(found[1]?.sampled).toMatchObject({ images: 3, brier: Number.NaN, ece: Number.NaN })
  })
})

describe('evaluate --landmarks', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'described-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('shows the measures of the file instead of the cephalometric ones', async () => {
    const table = (points: Record<string, readonly (readonly [number, number])[]>) =>
      Object.entries(points).flatMap(([id, list]) =>
        list.map(([x, y], j) => `${id},${['HL', 'HR', 'SY'][j]},${x},${y},0.1`),
      )
    for (const [name, points] of Object.entries({ truth, predicted }))
      await writeFile(
        join(folder, `${name}.csv`),
        `id,landmark,x,y,pixel_size\n${table(points).join('\n')}\n`,
      )
    await writeFile(join(folder, 'pelvis.json'), JSON.stringify(file))
    const { parts } = await scorePredictions({
      predictions: join(folder, 'predicted.csv'),
      annotations: join(folder, 'truth.csv'),
      landmarks: join(folder, 'pelvis.json'),
      truth: 'mean',
      convention: 'pooled',
      clinical: 'corrected',
    })
    const { text } = parts.get('clinical') ?? { text: '' }
    expect(text).toMatch(/^Measures of the landmark set$/m)
    expect(text).toMatch(/^success rate, % +width +opening +symmetry +mean$/m)
    expect(text).toMatch(/^predictions +50\.0 +- +66\.7 +58\.3$/m)
    expect(text).not.toMatch(/ISBI/)
  })
})
