import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openAnnotations } from '#lib/data/annotations/index.js'
import { checkDataset, type Finding } from '#lib/data/check/index.js'
import { cephalometric19 } from '#lib/landmarks/cephalometry.js'

const names = cephalometric19.landmarks.map(({ name }) => name)
const at = (name: string) => names.indexOf(name)

/** A face in pixels of 0.1 mm, about as wide apart as a real one. */
const face: [number, number][] = [
  [830, 1000],
  [1410, 1040],
  [1290, 1210],
  [610, 1230],
  [1420, 1480],
  [1330, 1870],
  [1340, 1990],
  [1270, 2100],
  [1320, 2060],
  [830, 1850],
  [1390, 1680],
  [1440, 1690],
  [1570, 1600],
  [1530, 1760],
  [1500, 1470],
  [1440, 2010],
  [960, 1400],
  [1450, 1420],
  [720, 1330],
]

/** Triangular noise of a fixed sequence (a 31-bit Lehmer generator), SD about 0.8 mm. */
function noise(seed: number): () => number {
  let state = seed
  const uniform = () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  }
  return () => Math.round(20 * (uniform() + uniform() - 1))
}

type Points = [number, number][]
let home = ''
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'check-'))
})
afterAll(() => rm(home, { recursive: true }))

/** 20 images a split, two doctors; `change` may spoil the points of one image by one doctor. */
async function findingsOf(
  change: (points: Points, id: number, doctor: string) => Points | null = (points) => points,
  images: Record<string, Buffer> = {},
): Promise<Finding[]> {
  const dir = await mkdtemp(join(home, 'set-'))
  const ids = [1, 151, 301].flatMap((first) => Array.from({ length: 20 }, (_, i) => first + i))
  for (const doctor of ['junior', 'senior']) {
    await mkdir(join(dir, 'AnnotationsByMD', `400_${doctor}`), { recursive: true })
    const random = noise(doctor === 'junior' ? 7 : 77)
    for (const id of ids) {
      const shift = 3 * (id % 20)
      const points = face.map(([x, y]): [number, number] => [x + shift + random(), y + random()])
      const changed = change(points, id, doctor)
      if (changed === null) continue
      const path = join(
        dir,
        'AnnotationsByMD',
        `400_${doctor}`,
        `${String(id).padStart(3, '0')}.txt`,
      )
      await writeFile(path, `${changed.map((point) => point.join(',')).join('\n')}\n`)
    }
  }
  for (const [name, bytes] of Object.entries(images)) {
    await mkdir(dirname(join(dir, 'RawImage', name)), { recursive: true })
    await writeFile(join(dir, 'RawImage', name), bytes)
  }
  return [...(await checkDataset(dir, await openAnnotations(dir))).findings]
}
const moved = (points: Points, name: string, dx: number, dy: number) =>
  points.with(at(name), [(points[at(name)]?.[0] ?? 0) + dx, (points[at(name)]?.[1] ?? 0) + dy])

describe('checking a data set', () => {
  test('finds nothing in a clean one', async () => {
    expect(await findingsOf()).toEqual([])
  })

  test('finds that one doctor changes the convention of a landmark in one split, and says who', async () => {
    const findings = await findingsOf((points, id, doctor) =>
      doctor === 'senior' && id > 300 ? moved(points, "Pog'", 40, -99) : points,
    )
    const [shifted] = findings
    expect(shifted).toMatchObject({
      kind: 'shifted convention',
      severity: 'problem',
      landmarks: ["Pog'"],
      split: 'test2',
      annotator: 'senior',
    })
    expect(shifted?.message).toMatch(
      /convention changes in test2.*moves by 10\.\d mm.*senior marks it/,
    )
    expect(findings.filter(({ kind }) => kind === 'shifted convention')).toHaveLength(1)
  })

  test('notes a landmark that the doctors mark differently everywhere', async () => {
    const findings = await findingsOf((points, _, doctor) =>
      doctor === 'junior' ? moved(points, 'Or', 40, 0) : points,
    )
    expect(
      findings.map(({ kind, severity, landmarks, split }) => [kind, severity, landmarks, split]),
    ).toEqual(
      ['train', 'test1', 'test2'].map((split) => ['annotators differ', 'note', ['Or'], split]),
    )
    expect(findings[0]?.message).toMatch(/junior minus senior: dx (3\.\d|4\.\d), dy -?0\.\d mm/)
  })

  test('finds one point far from where the others expect it', async () => {
    const findings = await findingsOf((points, id, doctor) =>
      id === 5 && doctor === 'junior' ? moved(points, 'Go', 150, 0) : points,
    )
    expect(findings).toMatchObject([
      { kind: 'outlier', ids: ['005'], annotator: 'junior', landmarks: ['Go'] },
    ])
    expect(findings[0]?.message).toMatch(
      /Go lies 1[45]\.\d mm from where the other landmarks expect it/,
    )
  })

  test('finds two landmarks in each other place, and does not call them outliers', async () => {
    const findings = await findingsOf((points, id, doctor) =>
      id === 152 && doctor === 'senior'
        ? points
            .with(at('PNS'), points[at('ANS')] as [number, number])
            .with(at('ANS'), points[at('PNS')] as [number, number])
        : points,
    )
    expect(findings).toMatchObject([
      { kind: 'swapped landmarks', ids: ['152'], annotator: 'senior', landmarks: ['PNS', 'ANS'] },
    ])
  })

  test('finds points of a resized image, in one image and in all', async () => {
    const half = (points: Points): Points => points.map(([x, y]) => [x / 2, y / 2])
    const one = await findingsOf((points, id) => (id === 3 ? half(points) : points))
    expect(one.map(({ kind }) => kind)).toContain('implausible size')
    expect(one.map(({ kind }) => kind)).toContain('implausible spacing')
    expect(new Set(one.flatMap(({ ids = [] }) => ids))).toEqual(new Set(['003']))
    const all = await findingsOf(half)
    expect(all[0]?.message).toMatch(
      /S-N is 29\.\d mm in the median image, where 50 to 90 mm are plausible/,
    )
  })

  test('finds annotations that are copies of another image or of the other doctor', async () => {
    let kept: Points = []
    const findings = await findingsOf((points, id, doctor) => {
      if (id === 7) kept = points
      return doctor === 'junior' && id === 8 ? kept : points
    })
    expect(findings).toMatchObject([
      { kind: 'duplicate annotation', ids: ['007', '008'], annotator: 'junior' },
    ])
    const juniors = new Map<number, Points>()
    const copied = await findingsOf((points, id, doctor) => {
      if (doctor === 'junior') juniors.set(id, points)
      return doctor === 'senior' && id === 9 ? (juniors.get(9) as Points) : points
    })
    expect(copied).toMatchObject([{ kind: 'duplicate annotation', ids: ['009'] }])
  })

  test('finds files that are missing, the same, or cannot be read', async () => {
    const image = (grey: number) =>
      sharp({
        create: {
          width: 1935,
          height: 2400,
          channels: 3,
          background: { r: grey, g: grey, b: grey },
        },
      })
        .png()
        .toBuffer()
    const [first, second] = await Promise.all([image(1), image(200)])
    const findings = await findingsOf(
      (points, id, doctor) => {
        if (id === 2 && doctor === 'senior') return null
        return id === 4 ? moved(points, 'S', 5000, 0) : points
      },
      {
        'TrainingData/001.png': first,
        'TrainingData/002.png': second,
        'TrainingData/003.png': first,
        'TrainingData/099.png': second,
      },
    )
    const messages = findings.map(({ kind, message }) => `${kind}: ${message}`).join('\n')
    expect(messages).toMatch(
      /unreadable annotation: .*400_senior.*002\.txt: this annotation file is missing/,
    )
    expect(messages).toMatch(
      /unreadable annotation: .*004\.txt:1: the point .* lies outside the image/,
    )
    expect(messages).toMatch(/missing image: 57 annotated images have no file/)
    expect(messages).toMatch(/missing annotation: 1 images have no annotation: 099/)
    expect(messages).toMatch(/duplicate image: .*001\.png and .*003\.png are the same file/)
  })
})
