/**
 * Data sets of synthetic cephalograms in the layout of ISBI 2015, for tests, for the quickstart, and
 * for whoever has no access to real radiographs. Also labelled like it: two observers, whole pixels.
 */
import { setMaxListeners } from 'node:events'
import { access, readdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { LandmarkDiffusionError } from '../../errors.js'
import type { Size } from '../../landmarks/geometry.js'
import { makeFolder } from '../../output-folder.js'
import { workerPool } from '../../worker-pool.js'
import { type DatasetFile, type IsbiSplit, isbiSplits } from '../isbi2015.js'
import { syntheticPixelSize } from './render.js'
import type { SynthesisTask } from './worker.js'

export { renderCephalogram, type SyntheticCephalogram, syntheticPixelSize } from './render.js'

export interface SynthesizeOptions {
  /** Images in all three splits together, 1 to 400. */
  count: number
  /** Default 1935 x 2400, as ISBI 2015; the film is 193.5 x 240 mm at every size. */
  size?: Size
  /** Default 0. */
  seed?: number
  onProgress?: (progress: { done: number; total: number }) => void
  signal?: AbortSignal
}

/** The ids of a synthetic data set: ISBI's own for 400, else the first ones of each split, 3 : 3 : 2. */
export function syntheticIds(count: number): Record<IsbiSplit, string[]> {
  const train = Math.ceil((count * 3) / 8)
  const test1 = Math.min(count - train, Math.ceil((count * 3) / 8))
  const sizes = { train, test1, test2: count - train - test1 }
  const ids = (split: IsbiSplit) =>
    Array.from({ length: sizes[split] }, (_, i) =>
      String(isbiSplits[split].first + i).padStart(3, '0'),
    )
  return { train: ids('train'), test1: ids('test1'), test2: ids('test2') }
}

/**
 * Writes `RawImage`, `AnnotationsByMD` and `dataset.json` (pixel size) into a folder. An image's
 * content depends on seed, id and size only. A folder that holds an unfinished set of the same kind
 * is completed, a finished one left alone; one that holds anything else is refused with ERR_DATA.
 */
export async function synthesize(dir: string, options: SynthesizeOptions): Promise<void> {
  const { count, size = { width: 1935, height: 2400 }, seed = 0, onProgress, signal } = options
  const { width, height } = size
  if (!Number.isInteger(count) || count < 1 || count > 400)
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${count} synthetic images: the ISBI layout has ids for 1 to 400`,
    )
  if (Math.min(width, height) < 32 || width * height > 20e6)
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `synthetic images of ${width} x ${height} pixels: choose at least 32 x 32 and at most 20 million pixels`,
    )
  if (signal?.aborted) throw aborted(dir, signal)
  await prepareFolder(dir, { count, seed, width, height })
  const tasks: SynthesisTask[] = []
  for (const [split, ids] of Object.entries(syntheticIds(count)))
    for (const id of ids) {
      const annotation = (doctor: string) => join(dir, 'AnnotationsByMD', doctor, `${id}.txt`)
      tasks.push({
        seed,
        index: Number(id),
        width,
        height,
        image: join(dir, 'RawImage', isbiSplits[split as IsbiSplit].folder, `${id}.png`),
        annotations: [annotation('400_senior'), annotation('400_junior')],
      })
    }
  const missing = (
    await Promise.all(tasks.map(async (task) => ((await exists(task.image)) ? [] : [task])))
  ).flat()
  const total = tasks.length
  let done = total - missing.length
  onProgress?.({ done, total })
  if (missing.length > 0)
    await writeAll(dir, missing, () => onProgress?.({ done: ++done, total }), signal)
}

async function writeAll(
  dir: string,
  tasks: readonly SynthesisTask[],
  onDone: () => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const pool = workerPool<SynthesisTask, void>(new URL('./worker.js', import.meta.url), {
    minThreads: 1,
    maxThreads: Math.min(availableParallelism(), tasks.length),
  })
  const stop = new AbortController()
  setMaxListeners(0, stop.signal) // one listener a task
  const abort = () => stop.abort()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    await Promise.all(
      tasks.map(async (task) => {
        await pool.run(task, { signal: stop.signal })
        onDone()
      }),
    )
  } catch (error) {
    stop.abort()
    if (signal?.aborted) throw aborted(dir, signal)
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${dir}: the synthetic images cannot be written (${(error as Error).message}); ` +
        'free some space or choose another folder, and run it again to go on',
      { cause: error },
    )
  } finally {
    signal?.removeEventListener('abort', abort)
    await pool.destroy()
  }
}

async function prepareFolder(
  dir: string,
  { count, seed, width, height }: { count: number; seed: number } & Size,
): Promise<void> {
  const pixelSize = syntheticPixelSize({ width, height })
  const content: DatasetFile = {
    format: 'landmark-diffusion/dataset',
    version: 1,
    width,
    height,
    pixelSize: [pixelSize, pixelSize],
    synthetic: { count, seed },
  }
  const text = `${JSON.stringify(content, null, 2)}\n`
  const file = join(dir, 'dataset.json')
  try {
    const folders = [
      ...Object.values(isbiSplits).map(({ folder }) => join('RawImage', folder)),
      ...['400_senior', '400_junior'].map((doctor) => join('AnnotationsByMD', doctor)),
    ]
    await makeFolder(dir)
    const found = await readdir(dir)
    if (found.includes('dataset.json')) {
      if ((await readFile(file, 'utf8')) !== text) throw occupied(dir, 'another data set')
    } else if (found.includes('RawImage') || found.includes('AnnotationsByMD'))
      throw occupied(dir, 'a data set that was not made here')
    else await writeFile(file, text)
    for (const folder of folders) await makeFolder(join(dir, folder))
  } catch (error) {
    if (error instanceof LandmarkDiffusionError) throw error
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${dir}: cannot be written (${(error as Error).message}); choose another folder`,
      { cause: error },
    )
  }
}

function occupied(dir: string, content: string) {
  return new LandmarkDiffusionError(
    'ERR_DATA',
    `${dir}: holds ${content}; give an empty folder, or the same count, size and seed to complete it`,
  )
}

function aborted(dir: string, signal: AbortSignal) {
  return new LandmarkDiffusionError(
    'ERR_ABORTED',
    `stopped while writing ${dir}; the same command goes on from here`,
    { cause: signal.reason },
  )
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
