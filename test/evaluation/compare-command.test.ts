import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Point, writePredictions } from 'landmark-diffusion/evaluation'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runWithoutLibtorch as run } from '../cli/without-libtorch.js'
import { predictionsOf } from './fixtures.js'

let folder = ''
const at = (...parts: string[]) => join(folder, ...parts)

const compare = (...words: string[]) => run('compare', ...words, '--annotations', at('truth.csv'))

/** Two images with the landmarks P and Q, each `x` px beside the truth. */
const beside = (x: number): Record<string, Point[]> => ({
  '1': [
    [10 + x, 10],
    [20 + x, 10],
  ],
  '2': [
    [10 + x, 30],
    [20 + x, 30],
  ],
})

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compare-'))
  const rows = Object.entries(beside(0)).flatMap(([id, points]) =>
    points.map(([x, y], j) => `${id},${'PQ'[j]},${x},${y},0.1`),
  )
  await writeFile(at('truth.csv'), `id,landmark,x,y,pixel_size\n${rows.join('\n')}\n`)
  for (const [name, x] of [
    ['a', 30],
    ['b', 20],
    ['c', 50],
  ] as const)
    await writePredictions(at(`${name}.json`), predictionsOf(beside(x), ['P', 'Q']))
  for (const name of ['run', 'empty']) {
    await mkdir(at(name))
    await writeFile(at(name, 'config.yaml'), 'train: {}\n')
  }
  await writePredictions(at('run', 'test1.json'), predictionsOf(beside(20), ['P', 'Q']))
  await writeFile(at('run', 'environment.json'), '{}')
})
afterAll(() => rm(folder, { recursive: true }))

describe('landmark-diffusion compare', () => {
  it('compares the later predictions with the first, without libtorch', async () => {
    const { status, out } = await compare(
      at('a.json'),
      at('b.json'),
      at('c.json'),
      '--json',
      at('r.json'),
    )
    expect(status).toBe(0)
    expect(out).toMatch(/^A +3\.00 /m)
    expect(out).toMatch(/^B - A: MRE, mm +-1\.00 +\[-1\.00, -1\.00\]/m)
    expect(out).toMatch(/^C - A: MRE, mm +\+2\.00 /m)
    const result = JSON.parse(await readFile(at('r.json'), 'utf8'))
    expect(result).toMatchObject({ split: 'all', truth: 'mean', images: 2, points: 4 })
    expect(result.comparisons[0]).toMatchObject({
      first: at('a.json'),
      second: at('b.json'),
      crossed: {
        '2': { gained: 4, lost: 0 },
        '2.5': { gained: 4, lost: 0 },
        '3': { gained: 0, lost: 0 },
      },
      wins: { points: { first: 0, second: 4, ties: 0 } },
    })
  })

  it('finds the predictions in the folder of a run', async () => {
    const { out } = await compare(at('a.json'), at('run'), '--json')
    expect(JSON.parse(out).comparisons[0].mre.difference).toBeCloseTo(-1, 9)
    expect(await compare(at('a.json'), at('empty'))).toMatchObject({
      status: 1,
      err: expect.stringMatching(
        /empty has no predictions yet.*predict DATA .*--run .*empty --out/,
      ),
    })
    await writePredictions(at('run', 'train.json'), predictionsOf(beside(0), ['P', 'Q']))
    expect(await compare(at('a.json'), at('run'))).toMatchObject({
      status: 1,
      err: expect.stringMatching(/several predictions files, test1\.json, train\.json/),
    })
    await rm(at('run', 'train.json'))
  })

  it('says what only some predicted', async () => {
    const { '1': one = [] } = beside(0)
    await writePredictions(at('one.json'), predictionsOf({ '1': one }, ['P', 'Q']))
    const { out } = await compare(at('a.json'), at('one.json'))
    expect(out).toMatch(/: 1 images, 2 points/)
    expect(out).toMatch(/Not compared, because not all have them: 1 images\./)
  })

  it('ends with status 2 where there is nothing to compare', async () => {
    expect(await compare(at('a.json'))).toMatchObject({ status: 2 })
    expect(await compare(at('a.json'), at('a.json'))).toMatchObject({
      status: 2,
      err: expect.stringMatching(/is given twice/),
    })
    expect(await compare(at('a.json'), at('b.json'), '--truth', 'nobody')).toMatchObject({
      status: 2,
      err: expect.stringMatching(/no truth 'nobody': choose one of mean/),
    })
  })
})
