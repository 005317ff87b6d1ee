/**
 * What batches came to, on its way back from the device. Several batches are read together: each reading wakes the
 * JavaScript thread, and that is most of what a step costs it. Nothing waits for an answer but who wants it.
 */

import * as torch from '../torch/index.js'

type Tensor = torch.Tensor

/** What one batch came to, or one of each rank on average. */
export interface StepFigures {
  loss: number
  nll: number
  mse: number
}

/** Why a run is to stop before its end. All ranks must do so after the same batch. */
export type StopReason = 'aborted' | 'time'

/** Figures, and the stop that some rank wished for when it queued the batch. */
export interface StepOutcome {
  figures: StepFigures
  stop: StopReason | null
  /** What the batch took: its share of the time since the reading before. */
  seconds: number
}

/** float32 [3], without history. */
export function lossTensor({ loss, nll, mse }: Record<keyof StepFigures, Tensor>): Tensor {
  return torch.stack([loss, nll, mse].map((scalar) => scalar.detach()))
}

/** float32 [5]: losses, and a vote for each reason to stop. Averaged over the ranks, a vote of any is above 0. */
export function withVotes(losses: Tensor, stop: StopReason | null): Tensor {
  const votes = [Number(stop === 'aborted'), Number(stop === 'time')]
  return torch.scope(() =>
    torch.cat([losses, torch.tensor(votes, { dtype: 'float32', device: losses.device })]),
  )
}

interface Waiting {
  values: Tensor
  resolve: (outcome: StepOutcome) => void
  reject: (error: unknown) => void
}

/** Batches that are read together at most, and seconds that the first of them may wait for the others. */
const mostTogether = 10
const longestWait = 2

export class Readings {
  readonly #adapts: boolean
  #together: number
  #waiting: Waiting[] = []
  /** Since the last pause: its end, the last reading, and how many batches were read. */
  #began = performance.now()
  #last = this.#began
  #read = 0

  /** together: batches that are read together; null for as many as `longestWait` allows. */
  constructor(together: number | null) {
    this.#adapts = together === null
    this.#together = together ?? 1
  }

  /** How many batches may wait before one of them is read. */
  get together(): number {
    return this.#together
  }

  /** values: of `lossTensor` or `withVotes`; taken over. */
  add(values: Tensor): Promise<StepOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ values, resolve, reject })
      if (this.#waiting.length >= this.#together) this.flush()
    })
  }

  /** Reads what waits for others. */
  flush(): void {
    const batches = this.#waiting
    if (batches.length === 0) return
    this.#waiting = []
    // Always as many, with the last one again: an op of a number seen for the first time would be waited for, here
    // behind all batches that are queued, with the event loop.
    const rows = Math.max(mostTogether, batches.length)
    const all = torch.stack(
      Array.from({ length: rows }, (_, i) => (batches[i] ?? (batches.at(-1) as Waiting)).values),
    )
    const read = all.data() as Promise<Float32Array>
    all.dispose()
    for (const { values } of batches) values.dispose()
    read.then(
      (numbers) => {
        const seconds = this.#secondsOf(batches.length)
        const width = numbers.length / rows
        for (const [i, { resolve }] of batches.entries())
          resolve(outcomeOf(numbers.subarray(i * width, (i + 1) * width), seconds))
      },
      (error: unknown) => {
        for (const { reject } of batches) reject(error)
      },
    )
  }

  /** What came before the next batch was no batch: saving, say. */
  pause(): void {
    this.#began = performance.now()
    this.#last = this.#began
    this.#read = 0
  }

  /** What each of the batches took that have been read now. */
  #secondsOf(batches: number): number {
    const now = performance.now()
    const seconds = (now - this.#last) / 1000 / batches
    this.#last = now
    this.#read += batches
    if (this.#adapts) {
      // On average: two readings may come one right after the other.
      const rate = (1000 * this.#read) / (now - this.#began)
      this.#together = Math.max(1, Math.min(mostTogether, Math.floor(longestWait * rate)))
      if (this.#waiting.length >= this.#together) this.flush()
    }
    return seconds
  }
}

function outcomeOf(
  [loss = 0, nll = 0, mse = 0, aborted = 0, time = 0]: Float32Array,
  seconds: number,
): StepOutcome {
  const stop = aborted > 0 ? 'aborted' : time > 0 ? 'time' : null
  return { figures: { loss, nll, mse }, stop, seconds }
}
