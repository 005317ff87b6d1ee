/** The images that a run trains on and those that it holds out: listed, split, decoded once, and given to all ranks. */

import { buildCache, ImageCache } from '../data/cache.js'
import { readIsbi, type Sample } from '../data/isbi2015.js'
import { ResidentImages } from '../data/resident.js'
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

/** Decoded images: those to train on where that is done, those held out in the process's memory. */
export interface RunImages {
  images: ResidentImages
  held: ImageCache
}

/** The first rank decodes, or reads `cacheFile`. Yields its progress. */
export async function* decodeSamples(
  { training, validation }: Pick<RunSamples, 'training' | 'validation'>,
  { width, height }: Config['data'],
  cacheFile: string,
  { peers, device, signal }: { peers: Peers; device: string; signal: AbortSignal | undefined },
): AsyncGenerator<TrainEvent, RunImages, void> {
  const samples = [...training, ...validation]
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
  const all = new ImageCache(await peers.bytesFromFirst(pixels), canvas)
  // A copy, so that the memory of all is free once the others are where they are trained on.
  const held = all.section(training.length, validation.length).pixels.slice()
  return {
    images: new ResidentImages(all.section(0, training.length), device),
    held: new ImageCache(held, canvas),
  }
}
