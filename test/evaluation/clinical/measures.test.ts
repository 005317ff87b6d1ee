import { type ClinicalMode, evaluateClinical, type Point } from 'landmark-diffusion/evaluation'
import { describe, expect, it } from 'vitest'
import { annotationsOf, predictionsOf } from '../fixtures.js'

const names = "S N Or Po A B Pog Me Gn Go L1 U1 UL LL Sn Pog' PNS ANS Ar".split(' ')

/** The organisers' example: coordinates and classes of image 001 as printed in the Readme of their evaluation package. */
const example: Point[] = [
  [835, 996],
  [1473, 1029],
  [1289, 1279],
  [604, 1228],
  [1375, 1654],
  [1386, 2019],
  [1333, 2200],
  [1263, 2272],
  [1305, 2252],
  [694, 1805],
  [1460, 1870],
  [1450, 1864],
  [1588, 1753],
  [1569, 2013],
  [1514, 1620],
  [1382, 2310],
  [944, 1506],
  [1436, 1569],
  [664, 1340],
]

type Points = readonly (Point | null)[]

/** The measures of one image, read off `points` on both sides. */
function read(
  points: Points,
  landmarks: readonly string[] = names,
  mode: ClinicalMode = 'corrected',
) {
  const { measures } = evaluateClinical({
    predictions: predictionsOf({ '1': points }, landmarks),
    annotations: annotationsOf({ '1': points }),
    mode,
    bootstrap: { resamples: 0 },
  })
  return new Map(
    measures.map(({ name, perImage: [image], classes }) => {
      const type = classes.find((entry) => entry.name === image?.predictedClass)?.type ?? null
      return [name, { value: image?.predicted ?? null, type, ...image }]
    }),
  )
}

/** MW of an image with these incisors, in pixels of 0.1 mm. */
function incisors(u1: Point, l1: Point, mode?: ClinicalMode) {
  return read([u1, l1], ['U1', 'L1'], mode).get('MW')
}

/** FHI of an image with this facial height index. */
const faceOf = (index: number): Point[] => [
  [0, 0],
  [0, 0],
  [0, 1000],
  [0, 1000 * index],
]

describe.each(['corrected', 'official'] as const)('the eight measures, %s', (mode) => {
  it("are those of the organisers' worked example to the printed digit", () => {
    const found = read(example, names, mode)
    const printed = [...found].map(([name, { value }]) => [
      name,
      value?.toFixed(name === 'FHI' ? 3 : 2),
    ])
    expect(Object.fromEntries(printed)).toEqual({
      SNA: '84.05',
      SNB: '87.94',
      ANB: '-3.89',
      ODI: '51.94',
      APDI: '99.02',
      FHI: '0.651',
      FHA: '33.23',
      MW: '-1.17',
    })
  })

  it("fall into the classes of the organisers' worked example, in their order", () => {
    const found = read(example, names, mode)
    expect([...found.values()].map(({ type }) => type)).toEqual([3, 3, 2, 3, 3, 1, 2, 3])
  })

  it('have both bounds of the normal range in it', () => {
    const types = [0.649, 0.65, 0.75, 0.751].map(
      (index) => read(faceOf(index), ['S', 'N', 'Me', 'Go'], mode).get('FHI')?.type,
    )
    expect(types).toEqual([3, 1, 1, 2])
  })

  it('put the incisors into the classes of the organisers where these are not in dispute', () => {
    const types = [[-30], [0], [20], [45], [46]].map(
      ([x = 0]) => incisors([x, 0], [0, 0], mode)?.type,
    )
    expect(types).toEqual([3, 2, 1, 1, 4])
  })
})

describe('the official mode', () => {
  it('calls a small positive overjet a cross-bite, the corrected one a reduced overjet', () => {
    expect(incisors([10, 0], [0, 0], 'official')?.predictedClass).toBe('anterior cross-bite')
    expect(incisors([10, 0], [0, 0])?.predictedClass).toBe('reduced overjet')
  })

  it('compares the incisors as text, so that 998 lies behind 1002 in the corrected mode only', () => {
    expect(incisors([1002, 0], [998, 0])?.value).toBeCloseTo(0.4, 12)
    expect(incisors([1002, 0], [998, 0], 'official')?.value).toBeCloseTo(-0.4, 12)
  })

  it('rounds points to whole pixels', () => {
    expect(incisors([30.4, 0], [0, 0.4])?.value).toBeCloseTo(Math.hypot(3.04, 0.04), 12)
    expect(incisors([30.4, 0], [0, 0.4], 'official')?.value).toBe(3)
  })
})

describe('a measure', () => {
  it('is read in mm with the pixel size of each axis', () => {
    const predictions = predictionsOf(
      {
        '1': [
          [30, 40],
          [0, 0],
        ],
      },
      ['U1', 'L1'],
      [0.1, 0.2],
    )
    const { measures } = evaluateClinical({
      predictions,
      annotations: annotationsOf({
        '1': [
          [30, 40],
          [0, 0],
        ],
      }),
    })
    expect(measures.at(-1)?.perImage[0]?.predicted).toBeCloseTo(Math.hypot(3, 8), 12)
  })

  it('without its points is null, with the reason', () => {
    const points = example.map((point, j) => (names[j] === 'A' ? null : point))
    const found = read(points)
    expect(found.get('SNA')).toMatchObject({
      value: null,
      predictedClass: null,
      reason: 'annotation: no point for A; prediction: no point for A',
    })
    expect(found.get('SNB')?.value).not.toBeNull()
    expect(read(example.slice(0, 2), ['S', 'N']).get('SNA')?.reason).toContain(
      'the landmarks do not include A',
    )
    expect(
      read(
        faceOf(0.7).map(() => [5, 5] as const),
        ['S', 'N', 'Me', 'Go'],
      ).get('FHI')?.reason,
    ).toContain('points coincide')
  })

  it('finds its landmarks under the abbreviations of other data sets', () => {
    expect(
      read(
        [
          [30, 0],
          [0, 0],
        ],
        ['UI', 'LI'],
      ).get('MW')?.value,
    ).toBe(3)
  })

  it('turns the signs of ODI and APDI with the palatal plane', () => {
    // Frankfort horizontal level; the palatal plane rises by 45 degrees towards the front (y grows down).
    const landmarks = ['Me', 'Go', 'B', 'A', 'Po', 'Or', 'PNS', 'ANS', 'N', 'Pog']
    const points: Point[] = [
      [0, 0],
      [-100, 0],
      [0, 0],
      [0, -100],
      [0, 0],
      [100, 0],
      [0, 0],
      [100, -100],
      [0, 0],
      [0, 100],
    ]
    const rising = read(points, landmarks)
    expect(rising.get('ODI')?.value).toBeCloseTo(90 - 45, 10)
    expect(rising.get('APDI')?.value).toBeCloseTo(90 + 0 - 45, 10)
    const falling = read(
      points.map((point, j) => (landmarks[j] === 'ANS' ? [100, 100] : point)),
      landmarks,
    )
    expect(falling.get('ODI')?.value).toBeCloseTo(90 + 45, 10)
    expect(falling.get('APDI')?.value).toBeCloseTo(90 + 45, 10)
  })
})
