/** A checkpoint is one safetensors file: weights, averages and optimiser as tensors, everything else as JSON in its header. Written beside the old one and renamed, so that neither a full disk nor SIGKILL costs the last good state. */

import { existsSync } from 'node:fs'
import { z } from 'zod'
import { LandmarkDiffusionError } from '../errors.js'
import { readSafetensorsMetadata } from '../torch/files/safetensors.js'
import * as torch from '../torch/index.js'
import type { Config } from './config.js'
import { parseConfig } from './config.js'

type Tensor = torch.Tensor

const formatName = 'landmark-diffusion/checkpoint'
const metadataKey = 'landmark-diffusion'

const metadataSchema = z.looseObject({
  format: z.literal(formatName),
  version: z.literal(1),
  config: z.unknown(),
  /** Fingerprint of the training data. */
  data: z.string(),
  seconds: z.number(),
  best: z.object({ step: z.int(), mre: z.number() }).nullable(),
  /** The run stopped before a validation that this step should have had. */
  validationDue: z.boolean(),
  progress: z.object({
    step: z.int().min(0),
    loader: z.object({ seed: z.int(), epoch: z.int(), index: z.int() }),
    emaUpdates: z.int().min(0),
  }),
})

/** What a checkpoint knows besides its tensors. */
export interface CheckpointMetadata extends z.infer<typeof metadataSchema> {
  config: Config
}

export interface Checkpoint {
  metadata: CheckpointMetadata
  /** `model.*`, `ema.*` (absent without averaging), `optim.*`; the caller frees them. */
  tensors: Record<string, Tensor>
}

/** Replaces `path` when, and only when, the whole file is on the disk. @throws ERR_CHECKPOINT */
export async function writeCheckpoint(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Omit<CheckpointMetadata, 'format' | 'version'>,
): Promise<void> {
  const text = JSON.stringify({ format: formatName, version: 1, ...metadata })
  try {
    await torch.save(path, tensors, { metadata: { format: 'pt', [metadataKey]: text } })
  } catch (cause) {
    throw new LandmarkDiffusionError(
      'ERR_CHECKPOINT',
      `${path}: the checkpoint could not be written (${reason(cause)}); the one before it is untouched: make room and go on with --resume`,
      { cause },
    )
  }
}

/** @throws ERR_CHECKPOINT naming the file when it is absent, cut off, or no checkpoint of this package */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const metadata = await readCheckpointMetadata(path)
  if (!metadata) {
    throw new LandmarkDiffusionError(
      'ERR_CHECKPOINT',
      `${path}: holds weights but is not a checkpoint of a training run; give the last.safetensors of a run folder`,
    )
  }
  return { metadata, tensors: await loadTensors(path) }
}

/** null when the file holds tensors but was not written by `writeCheckpoint`. @throws ERR_CHECKPOINT */
export async function readCheckpointMetadata(path: string): Promise<CheckpointMetadata | null> {
  const header = await orCheckpointError(path, () => readSafetensorsMetadata(path))
  const text = header[metadataKey]
  if (text === undefined) return null
  return orCheckpointError(path, async () => {
    const metadata = metadataSchema.parse(JSON.parse(text))
    return { ...metadata, config: parseConfig(metadata.config, path) }
  })
}

/** Tensors of a safetensors file. @throws ERR_CHECKPOINT */
export function loadTensors(path: string): Promise<Record<string, Tensor>> {
  return orCheckpointError(path, () => torch.load(path))
}

/** The entries of a dictionary whose names begin with `prefix`, without it. */
export function withoutPrefix(
  dict: Readonly<Record<string, Tensor>>,
  prefix: string,
): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(dict)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  )
}

async function orCheckpointError<T>(path: string, read: () => Promise<T>): Promise<T> {
  if (!existsSync(path)) {
    throw new LandmarkDiffusionError('ERR_CHECKPOINT', `${path}: there is no such checkpoint`)
  }
  try {
    return await read()
  } catch (cause) {
    const { code } = cause as { code?: string }
    if (code === 'ERR_ADDON_LOAD' || code === 'ERR_LIBTORCH_MISMATCH') throw cause
    throw new LandmarkDiffusionError(
      'ERR_CHECKPOINT',
      `${path}: the checkpoint cannot be read, it is damaged or cut off (${reason(cause)}); use another one (best or last), or an older copy`,
      { cause },
    )
  }
}

function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const { code } = cause as { code?: string }
  if (code === 'ENOSPC') return 'the disk is full'
  return cause.message.split('\n')[0] ?? ''
}
