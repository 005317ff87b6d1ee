/** The images that a run trains on and those that it holds out: listed, split, decoded once, and given to all ranks. */

import { buildCache, ImageCache } from '../data/cache.js'
import { readIsbi, type Sample } from '../data/isbi2015.js'
import { LandmarkDiffusionError } from '../errors.js'
import type { Config } from './config.js'
import type { Peers } from './peers.js'
import { fingerprint } from './run-folder.js'
import type { TrainEvent } from './trainer.js'
import { splitValidation } from './validation.js'

export interface RunSamples {
  training: Sample[]
  validation: Sample[]
  fingerprint: string
}

/** The annotated training images of a data set. @throws ERR_DATA where there is none */
export async function listSamples(folder: string, config: Config): Promise<RunSamples> {
  const samples = await readIsbi(folder, { split: 'train', truth: config.data.truth })
  const marked = samples.filter(({ points }) => points !== null)
  if (marked.length === 0) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${folder}: no training image has annotations; expected AnnotationsByMD/400_senior and 400_junior`,
    )
  }
  const split = splitValidation(marked.length, config.train.validation)
  const pick = (places: number[]) => places.map((place) => marked[place] as Sample)
  return {
    training: pick(split.training),
    validation: pick(split.validation),
    fingerprint: fingerprint(marked),
  }
}

/** The canvases of the samples in their order; the first rank decodes, or reads `cacheFile`. Yields its progress. */
export async function* decodeSamples(
  samples: readonly Sample[],
  { width, height }: Config['data'],
  cacheFile: string,
  { peers, signal }: { peers: Peers; signal: AbortSignal | undefined },
): AsyncGenerator<TrainEvent, ImageCache, void> {
  const canvas = { width, height }
  let pixels = new Uint8Array(0)
  if (peers.isFirst) {
    const warnings: string[] = []
    let decoded = { done: 0, total: samples.length }
    const caching = buildCache(samples, canvas, cacheFile, {
      ...(signal ? { signal } : {}),
      onProgress: (progress) => {
        decoded = progress
      },
      onWarning: (message) => warnings.push(message),
    })
    let cache: ImageCache | null = null
    while (!cache) {
      const tick = new Promise<null>((resolve) => setTimeout(resolve, 100, null))
      cache = await Promise.race([caching, tick])
      yield { type: 'prepare', ...decoded }
    }
    for (const message of warnings) yield { type: 'warning', message }
    pixels = cache.pixels as Uint8Array<ArrayBuffer>
  }
  return new ImageCache(await peers.bytesFromFirst(pixels), canvas)
}
