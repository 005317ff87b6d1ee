import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decodeImage } from '#lib/data/image.js'
import { readIsbi } from '#lib/data/isbi2015.js'
import {
  renderCephalogram,
  synthesize,
  syntheticIds,
  syntheticPixelSize,
} from '#lib/data/synthetic/index.js'
import { cephalometric19 } from '#lib/landmarks/cephalometry.js'
import type { Point } from '#lib/landmarks/geometry.js'

const size = { width: 242, height: 300 }
const pixelSize = syntheticPixelSize(size)
const place = Object.fromEntries(cephalometric19.landmarks.map(({ name }, i) => [name, i]))
const shapes = Array.from({ length: 60 }, (_, i) =>
  renderCephalogram(5, i, { width: 97, height: 120 }),
)
const at = (points: readonly Point[], name: string) => points[place[name] as number] as Point
const distance = (a: Point, b: Point) => Math.hypot(a[0] - b[0], a[1] - b[1])

describe('renderCephalogram', () => {
  test('equal seeds give equal images and points, other indices other ones', () => {
    const first = renderCephalogram(1, 2, size)
    const same = renderCephalogram(1, 2, size)
    expect(Buffer.compare(first.data, same.data)).toBe(0)
    expect(first.doctors).toEqual(same.doctors)
    expect(renderCephalogram(1, 3, size).points).not.toEqual(first.points)
  })

  test('a larger image shows the same skull at the same millimetres', () => {
    const small = renderCephalogram(1, 2, size)
    const large = renderCephalogram(1, 2, { width: 484, height: 600 })
    small.points.forEach(([x, y], i) => {
      expect((large.points[i] as Point)[0]).toBeCloseTo(2 * x + 0.5, 6)
      expect((large.points[i] as Point)[1]).toBeCloseTo(2 * y + 0.5, 6)
    })
  })

  test('faces look right, with the landmarks in the order of anatomy from top to bottom', () => {
    for (const { points } of shapes) {
      expect(at(points, 'N')[0]).toBeGreaterThan(at(points, 'S')[0])
      expect(at(points, 'ANS')[0]).toBeGreaterThan(at(points, 'PNS')[0])
      expect(at(points, 'UL')[0]).toBeGreaterThan(at(points, 'U1')[0])
      const down = ['N', 'ANS', 'A', 'U1', 'B', 'Pog', 'Me'].map((name) => at(points, name)[1])
      expect(down).toEqual([...down].sort((a, b) => a - b))
    }
  })

  test('sella to nasion measures 52 to 66 mm before magnification, about 59 on average', () => {
    const scale = syntheticPixelSize({ width: 97, height: 120 })
    const lengths = shapes.map(({ points }) => distance(at(points, 'S'), at(points, 'N')) * scale)
    const mean = lengths.reduce((a, b) => a + b) / lengths.length
    expect(Math.abs(mean - 59)).toBeLessThan(2)
  })

  test('all three jaw classes occur', () => {
    const anb = shapes.map(({ points }) => {
      const angle = (name: string) => {
        const [n, p] = [at(points, 'N'), at(points, name)]
        return (Math.atan2(p[1] - n[1], p[0] - n[0]) * 180) / Math.PI
      }
      return angle('B') - angle('A')
    })
    expect(anb.filter((angle) => angle < 0).length).toBeGreaterThan(2)
    expect(anb.filter((angle) => angle > 4.5).length).toBeGreaterThan(5)
    expect(anb.filter((angle) => angle >= 0 && angle <= 4.5).length).toBeGreaterThan(15)
  })

  test('the mean shape is at least 8 mm off, as with real radiographs (9.6 mm)', () => {
    const scale = syntheticPixelSize({ width: 97, height: 120 })
    const [train, held] = [shapes.slice(0, 40), shapes.slice(40)]
    const mean = cephalometric19.landmarks.map((_, i): Point => {
      const sum = train.reduce<Point>(
        ([x, y], { points }) => [x + (points[i] as Point)[0], y + (points[i] as Point)[1]],
        [0, 0],
      )
      return [sum[0] / train.length, sum[1] / train.length]
    })
    const errors = held.flatMap(({ points }) => points.map((p, i) => distance(p, mean[i] as Point)))
    expect((scale * errors.reduce((a, b) => a + b)) / errors.length).toBeGreaterThan(8)
  })

  test('landmarks are visible: the sella is darker than its floor, the air before the chin than the chin', () => {
    for (let i = 0; i < 10; i++) {
      const { data, points } = renderCephalogram(3, i, size)
      const value = ([x, y]: Point, radius: number) => {
        let [sum, count] = [0, 0]
        for (let dy = -radius; dy <= radius; dy++)
          for (let dx = -radius; dx <= radius; dx++) {
            sum += data[(Math.round(y) + dy) * size.width + Math.round(x) + dx] as number
            count++
          }
        return sum / count
      }
      const S = at(points, 'S')
      const floor = Array.from({ length: 9 }, (_, k) => value([S[0], S[1] + k], 1))
      expect(Math.max(...floor)).toBeGreaterThan(value(S, 1) + 8)
      const chin = at(points, "Pog'")
      expect(value([chin[0] - 8, chin[1]], 2)).toBeGreaterThan(
        value([chin[0] + 12, chin[1]], 2) + 10,
      )
    }
  })

  test('the two doctors mark whole pixels within a few millimetres of each other, not the same ones', () => {
    const { doctors } = renderCephalogram(1, 2, size)
    const gaps = doctors[0].map((p, i) => distance(p, doctors[1][i] as Point) * pixelSize)
    expect(doctors.flat(2).every(Number.isInteger)).toBe(true)
    expect(Math.max(...gaps)).toBeLessThan(6)
    expect(Math.max(...gaps)).toBeGreaterThan(0.5)
  })
})

test('400 images have the ids of ISBI 2015, fewer the first ones of each split', () => {
  const all = syntheticIds(400)
  expect([all.train.length, all.test1.at(-1), all.test2.at(0), all.test2.at(-1)]).toEqual([
    150,
    '300',
    '301',
    '400',
  ])
  const few = syntheticIds(8)
  expect(few).toEqual({
    train: ['001', '002', '003'],
    test1: ['151', '152', '153'],
    test2: ['301', '302'],
  })
  expect(Object.values(syntheticIds(1)).flat()).toEqual(['001'])
})

describe('synthesize', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ld-synthetic-'))
  })
  afterEach(() => rm(dir, { recursive: true }))
  const options = { count: 4, size, seed: 9 }

  test('writes a data set that the ISBI reader accepts, with its pixel size', async () => {
    const progress: number[] = []
    await synthesize(dir, { ...options, onProgress: ({ done }) => progress.push(done) })
    expect(progress).toEqual([0, 1, 2, 3, 4])
    const samples = await readIsbi(dir, { split: 'all', truth: 'mean' })
    expect(samples.map(({ id }) => id)).toEqual(['001', '002', '151', '152'])
    expect(samples[0]).toMatchObject({ ...size, pixelSize: [pixelSize, pixelSize] })
    const drawn = renderCephalogram(9, 1, size)
    const image = await decodeImage(samples[0]?.file as string)
    expect(Buffer.compare(image.data, drawn.data)).toBe(0)
    expect(samples[0]?.points?.[4]).toEqual([
      ((drawn.doctors[0][4] as Point)[0] + (drawn.doctors[1][4] as Point)[0]) / 2,
      ((drawn.doctors[0][4] as Point)[1] + (drawn.doctors[1][4] as Point)[1]) / 2,
    ])
  })

  test('run again it writes nothing, and completes what is missing', async () => {
    await synthesize(dir, options)
    const file = (id: string) => join(dir, 'RawImage/TrainingData', `${id}.png`)
    const [before, kept] = [await readFile(file('001')), (await stat(file('002'))).mtimeMs]
    await rm(file('001'))
    await synthesize(dir, options)
    expect((await readFile(file('001'))).equals(before)).toBe(true)
    expect((await stat(file('002'))).mtimeMs).toBe(kept)
  })

  test('does not touch another data set', async () => {
    await synthesize(dir, options)
    await expect(synthesize(dir, { ...options, seed: 10 })).rejects.toMatchObject({
      code: 'ERR_DATA',
    })
    await rm(join(dir, 'dataset.json'))
    await expect(synthesize(dir, options)).rejects.toMatchObject({ code: 'ERR_DATA' })
  })

  test('a folder that cannot be made, and sizes and counts out of range, are refused', async () => {
    await writeFile(join(dir, 'file'), '')
    await expect(synthesize(join(dir, 'file/x'), options)).rejects.toMatchObject({
      code: 'ERR_DATA',
    })
    await mkdir(join(dir, 'new'))
    for (const wrong of [{ count: 0 }, { count: 401 }, { size: { width: 5, height: 5 } }])
      await expect(synthesize(join(dir, 'new'), { ...options, ...wrong })).rejects.toMatchObject({
        code: 'ERR_DATA',
      })
  })

  test('aborted it rejects with ERR_ABORTED, and the next run completes the set', async () => {
    const controller = new AbortController()
    const writing = synthesize(dir, {
      ...options,
      signal: controller.signal,
      onProgress: ({ done }) => done === 1 && controller.abort(),
    })
    await expect(writing).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    await synthesize(dir, options)
    expect(await readIsbi(dir, { split: 'all', truth: 'mean' })).toHaveLength(4)
  })
})
