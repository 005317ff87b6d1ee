import { expect, test } from 'vitest'
import type { Sample } from '#lib/data/isbi2015.js'
import { Loader } from '#lib/data/loader.js'

const canvas = { width: 4, height: 5 }
const samples: Sample[] = Array.from({ length: 7 }, (_, i) => ({
  id: String(i),
  file: `${i}.png`,
  width: 8,
  height: 10,
  pixelSize: null,
  points: [[i, 2 * i], null],
}))
const loader = (options = {}) => new Loader(canvas, samples, { batchSize: 3, seed: 1, ...options })

test('a batch holds the places and points of its ids, in network pixels', () => {
  const { points, ids, indices } = loader().next()
  expect(ids).toHaveLength(3)
  ids.forEach((id, b) => {
    const i = Number(id)
    expect(indices[b]).toBe(i)
    // Half the size, pixel centres: (x + 0.5) / 2 - 0.5.
    expect(points[b * 4]).toBeCloseTo(i / 2 - 0.25)
    expect(points[b * 4 + 1]).toBeCloseTo(i - 0.25)
    expect(points[b * 4 + 2]).toBeNaN()
  })
})

test('every image comes once an epoch, and epochs differ in order', () => {
  const source = loader()
  const drawn = Array.from({ length: 7 }, () => source.next().ids).flat()
  const epochs = [0, 1, 2].map((e) => drawn.slice(7 * e, 7 * e + 7))
  for (const epoch of epochs) expect([...epoch].sort()).toEqual(samples.map(({ id }) => id))
  expect(epochs[0]).not.toEqual(epochs[1])
})

test('wrap fills the last batch from the next epoch, short leaves it small', () => {
  const wrap = loader()
  expect(wrap.batchesPerEpoch).toBe(3)
  const wrapped = [wrap.next(), wrap.next(), wrap.next(), wrap.next()]
  expect(wrapped.map(({ ids }) => ids.length)).toEqual([3, 3, 3, 3])
  expect(wrapped.map(({ epoch, index }) => [epoch, index])).toEqual([
    [0, 0],
    [0, 3],
    [0, 6],
    [1, 2],
  ])
  const short = loader({ lastBatch: 'short' })
  const lengths = [short.next(), short.next(), short.next(), short.next()]
  expect(lengths.map(({ ids }) => ids.length)).toEqual([3, 3, 1, 3])
  expect(lengths[3]).toMatchObject({ epoch: 1, index: 0 })
})

test('a restored position continues with the same batches', () => {
  const first = loader()
  for (let i = 0; i < 5; i++) first.next()
  const position = JSON.parse(JSON.stringify(first.position))
  const second = loader({ seed: 99 })
  second.restore(position)
  for (let i = 0; i < 6; i++) expect(second.next()).toEqual(first.next())
})

test('a position of another data set is refused', () => {
  expect(() => loader().restore({ seed: 1, epoch: 0, index: 7 })).toThrow(
    expect.objectContaining({ code: 'ERR_CHECKPOINT' }),
  )
})

test('without shuffling the order is that of the samples', () => {
  expect(loader({ shuffle: false }).next().ids).toEqual(['0', '1', '2'])
})

test('an empty data set is refused', () => {
  expect(() => new Loader(canvas, [], { batchSize: 1, seed: 0 })).toThrow(
    expect.objectContaining({ code: 'ERR_DATA' }),
  )
})
