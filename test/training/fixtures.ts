/** What the tests of training and inference share: a small synthetic data set, a run to its end, and files compared bit by bit. */

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { synthesize } from '#lib/data/synthetic/index.js'
import { readSafetensors } from '#lib/torch/files/safetensors.js'
import { type TrainEvent, type TrainOptions, train } from '#lib/training/trainer.js'

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'ld-test-'))
}

/** 12 images of 121 x 150: 5 to train on (one fewer than the split has is no multiple of the batch), 5 and 2 to test. */
export async function syntheticData(): Promise<string> {
  const folder = join(temporaryFolder(), 'data')
  await synthesize(folder, { count: 12, size: { width: 121, height: 150 }, seed: 3 })
  return folder
}

/** Takes every event; `stopAfter` aborts when the event of that step has come, which by default none waits for. */
export async function runToEnd(
  options: TrainOptions,
  { stopAfter = Number.POSITIVE_INFINITY } = {},
): Promise<TrainEvent[]> {
  const controller = new AbortController()
  const events: TrainEvent[] = []
  for await (const event of train({ readEvery: 1, ...options }, { signal: controller.signal })) {
    events.push(event)
    if (event.type === 'step' && event.step >= stopAfter) controller.abort()
  }
  return events
}

export function eventsOf<T extends TrainEvent['type']>(
  events: readonly TrainEvent[],
  type: T,
): Extract<TrainEvent, { type: T }>[] {
  return events.filter((event): event is Extract<TrainEvent, { type: T }> => event.type === type)
}

/** All tensors of a file as hexadecimal text, and the state in its header without what a clock says. */
export async function checkpointContent(path: string) {
  const { tensors, metadata } = await readSafetensors(path)
  const { seconds: _seconds, ...state } = JSON.parse(metadata['landmark-diffusion'] ?? '{}')
  const bytes = Object.fromEntries(
    [...tensors].map(([name, { data }]) => {
      const { buffer, byteOffset, byteLength } = data
      return [name, Buffer.from(buffer, byteOffset, byteLength).toString('hex')]
    }),
  )
  return { bytes, state }
}
