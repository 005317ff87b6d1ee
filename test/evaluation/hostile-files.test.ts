import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readAnyPredictions } from '#lib/cli/predictions.js'
import { openAnnotations } from '#lib/data/annotations/index.js'
import { readLandmarkSet } from '#lib/landmarks/landmark-file.js'

const scripts = fileURLToPath(new URL('../../scripts/fuzz/', import.meta.url))

it.each(['evaluation-files.mjs', 'tensor-files.mjs'])(
  'mutated files of every format give a result or a clear error: %s',
  async (script) => {
    const words = [join(scripts, script), '--count', '400', '--seed', '7']
    const { stdout } = await promisify(execFile)(process.execPath, words)
    const [, results, refusals] = /400 mutated files: (\d+) read, (\d+) refused/.exec(stdout) ?? []
    expect(Number(results)).toBeGreaterThan(0)
    expect(Number(refusals)).toBeGreaterThan(0)
  },
)

describe('a file of 1 GB is refused before it is read', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'large-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const predictions = (path: string) =>
    readAnyPredictions(path, { set: null, pixelSizeOf: () => null })
  const annotations = async (path: string) => {
    const source = await openAnnotations(path)
    return source.read(source.ids, source.annotators.at(-1) ?? 'mean')
  }
  const readers: [string, string, (path: string) => Promise<unknown>, string?][] = [
    ['predictions', 'p.json', predictions],
    ['predictions as a table', 'p.csv', predictions],
    ['annotations in JSON', 'a.json', annotations],
    ['annotations as a table', 'a.csv', annotations],
    ['annotations of one image', 'texts/151.txt', annotations, 'texts'],
    ['annotations of ISBI 2015', 'isbi/AnnotationsByMD/400_senior/151.txt', annotations, 'isbi'],
    ['3D Slicer markups', 'slicer/151.mrk.json', annotations, 'slicer'],
    ['a landmark file', 'l.json', readLandmarkSet],
  ]

  it.each(readers)('%s', async (_, name, read, opened = name) => {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, '')
    // A hole of this size takes no space on the disk; reading it would take a gigabyte of memory.
    await truncate(path, 2 ** 30)
    const before = process.memoryUsage().rss
    await expect(read(join(folder, opened))).rejects.toThrow(
      /has 1024 MiB; at most \d+ MiB are read/,
    )
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20)
  })
})
