import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readLandmarkSet } from '#lib/landmarks/landmark-file.js'

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'landmarks-'))
})
afterAll(() => rm(dir, { recursive: true }))

const hand = {
  format: 'landmark-diffusion/landmarks',
  version: 1,
  name: 'hand',
  landmarks: [{ name: 'L', label: 'left', aliases: ['left'] }, { name: 'R' }, { name: 'T' }],
  flipPairs: [['L', 'R']],
  measures: [
    {
      name: 'width',
      distance: ['L', 'R'],
      normal: [10, 20],
      classes: { below: 'a', within: 'b', above: 'c' },
    },
    {
      name: 'spread',
      angle: [
        ['T', 'L'],
        ['T', 'R'],
      ],
    },
  ],
}

async function read(change: object) {
  const path = join(dir, 'hand.json')
  await writeFile(path, JSON.stringify({ ...hand, ...change }))
  return readLandmarkSet(path)
}

test('a landmark file gives names, aliases, pairs and measures', async () => {
  const set = await read({})
  expect(set.landmarks.map(({ name, label }) => [name, label])).toEqual([
    ['L', 'left'],
    ['R', 'R'],
    ['T', 'T'],
  ])
  expect(set).toMatchObject({ name: 'hand', flipPairs: [['L', 'R']], disputed: [] })
  expect(set.measures[0]).toMatchObject({ distance: ['L', 'R'], normal: [10, 20] })
})

test.each([
  [
    'a landmark twice',
    { landmarks: [{ name: 'L' }, { name: 'L' }] },
    /landmarks: 'L' is there twice/,
  ],
  [
    'an alias that is a name',
    { landmarks: [{ name: 'L' }, { name: 'R', aliases: ['L'] }] },
    /'L' is there twice/,
  ],
  [
    'an unknown landmark in a pair',
    { flipPairs: [['L', 'X']] },
    /flipPairs\[0\]: there is no landmark 'X'/,
  ],
  [
    'a landmark in two pairs',
    {
      flipPairs: [
        ['L', 'R'],
        ['L', 'T'],
      ],
    },
    /flipPairs: 'L' is there twice/,
  ],
  [
    'an unknown landmark in a measure',
    {
      measures: [
        {
          name: 'a',
          ratio: [
            ['L', 'R'],
            ['L', 'X'],
          ],
        },
      ],
    },
    /measures\[0\]: there is no landmark 'X'/,
  ],
  [
    'a measure of two kinds',
    {
      measures: [
        {
          name: 'a',
          distance: ['L', 'R'],
          ratio: [
            ['L', 'R'],
            ['L', 'T'],
          ],
        },
      ],
    },
    /measures\[0\]: has to be one of/,
  ],
  [
    'classes without a range',
    {
      measures: [
        { name: 'a', distance: ['L', 'R'], classes: { below: 'a', within: 'b', above: 'c' } },
      ],
    },
    /classes need the range/,
  ],
  ['an unknown key', { colour: 'red' }, /colour/],
  ['a unit other than mm', { unit: 'inch' }, /unit/],
])('%s is refused with its place', async (_, change, message) => {
  await expect(read(change)).rejects.toMatchObject({
    code: 'ERR_DATA',
    message: expect.stringMatching(message),
  })
})
