import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { heatmapFolder, readHeatmaps } from 'landmark-diffusion/evaluation'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LandmarkDiffusionError } from '#lib/errors.js'
import { Density } from '#lib/evaluation/uncertainty/density.js'
import { parseHeatmaps } from '#lib/evaluation/uncertainty/heatmap-file.js'
import { lehmer } from '../fixtures.js'
import { mapsOf } from './heatmaps.js'

const fixture = join(import.meta.dirname, '../../fixtures/uncertainty.safetensors')
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heatmaps-'))
})
afterAll(() => rm(folder, { recursive: true }))

const refuse = (reason: string) => new LandmarkDiffusionError('ERR_DATA', reason)

/** The fixture with its header changed. */
async function withHeader(change: (text: string) => string): Promise<Buffer> {
  const bytes = await readFile(fixture)
  const size = Number(bytes.readBigUInt64LE(0))
  const text = Buffer.from(change(bytes.toString('utf8', 8, 8 + size)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, bytes.subarray(8 + size)])
}

describe('a file of heatmaps', () => {
  it('that was changed anywhere gives heatmaps or a clear error', async () => {
    const bytes = await readFile(fixture)
    const uniform = lehmer(77)
    const outcomes = { read: 0, refused: 0 }
    for (let trial = 0; trial < 2000; trial++) {
      const changed = Buffer.from(bytes)
      const end = trial % 3 === 0 ? Math.floor(uniform() * bytes.length) : bytes.length
      for (let k = 0; k <= trial % 4; k++)
        changed[Math.floor(uniform() * bytes.length)] = Math.floor(256 * uniform())
      try {
        const maps = parseHeatmaps(changed.subarray(0, end), refuse)
        for (const n of maps.landmarks.keys()) {
          const total = Density.of(maps, n).mass.reduce((a, b) => a + b, 0)
          expect(total).toBeCloseTo(1, 6)
        }
        outcomes.read++
      } catch (error) {
        if (!(error instanceof LandmarkDiffusionError)) throw error
        outcomes.refused++
      }
    }
    expect(outcomes.read).toBeGreaterThan(100)
    expect(outcomes.refused).toBeGreaterThan(600)
  })

  it.each([
    [
      'a canvas that its tensors do not fill',
      /"width\\": 21/,
      '"width\\": 4000',
      /coarse.*should be/,
    ],
    ['a huge canvas', /"height\\": 13/, '"height\\": 1e9', /height/],
    ['another format', /diffusion\/heatmaps/, 'diffusion/weights', /format/],
    ['another type', /"F16"/, '"F32"', /dtype/],
    [
      'a tensor beyond the end',
      /"data_offsets":\[0,/,
      '"data_offsets":[900000,',
      /inside the file/,
    ],
  ])('of %s is refused', async (_, from, to, message) => {
    const bytes = await withHeader((text) => {
      expect(text).toMatch(from)
      return text.replace(from, to)
    })
    expect(() => parseHeatmaps(bytes, refuse)).toThrow(message)
  })

  it('of 1 GB is refused before it is read', async () => {
    const file = join(folder, 'large.safetensors')
    await writeFile(file, '')
    await truncate(file, 2 ** 30)
    await expect(readHeatmaps(file)).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringMatching(/large\.safetensors.*1024 MiB/),
    })
  })

  it('without any probability is refused', () => {
    const maps = mapsOf({ width: 2, height: 1, weights: [[1, 1]] })
    maps.values.fill(Number.NEGATIVE_INFINITY)
    expect(() => Density.of(maps, 0)).toThrow(/landmark L1 is empty everywhere/)
  })
})

describe('a folder of heatmaps', () => {
  it('has a file in the folder of each image', async () => {
    await mkdir(join(folder, '151'))
    await writeFile(join(folder, '151', 'heatmaps.safetensors'), await readFile(fixture))
    const read = heatmapFolder(folder)
    expect((await read('151')).landmarks).toEqual(['S', 'N'])
    await expect(read('152')).rejects.toThrow(/152.*ENOENT.*predict --heatmaps/)
  })

  it('is not left by an id of a predictions file', async () => {
    const read = heatmapFolder(join(folder, '151'))
    await expect(read('../151')).rejects.toMatchObject({ code: 'ERR_DATA' })
    await expect(read('..')).rejects.toThrow(/no name of a folder/)
  })
})
