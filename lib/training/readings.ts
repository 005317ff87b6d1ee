/**
 * What batches came to, on its way back from the device. Several batches are read together: each reading wakes the
 * JavaScript thread, and that is most of what a step costs it. Nothing waits for an answer but who wants it.
 */

import { LandmarkDiffusionError } from '../errors.js'
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
  resolve: (outcome: StepOutcome) => void
  reject: (error: unknown) => void
}

/** Batches that are on their way together. */
interface Reading {
  reader: torch.RowReader
  batches: Waiting[]
}

/** Batches that are read together at most, and seconds that the first of them may wait for the others. */
const mostTogether = 16
const longestWait = 5

/** On the CPU a batch that failed, or is no finite number, does not wait for the others; those behind it are not read. */
export class Readings {
  readonly #adapts: boolean
  #together: number
  /** The one that takes further batches. */
  #open: Reading | null = null
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
      this.#open ??= this.#begin()
      const { reader, batches } = this.#open
      batches.push({ resolve, reject })
      reader.add(values)
      values.dispose()
      if (batches.length >= this.#together) this.flush()
    })
  }

  /** Reads what waits for others. */
  flush(): void {
    this.#open?.reader.close()
    this.#open = null
  }

  #begin(): Reading {
    const reading: Reading = { reader: new torch.RowReader(), batches: [] }
    reading.reader.result.then(
      ([rows, failure]) => this.#deliver(reading, rows, failure),
      (error: unknown) => this.#deliver(reading, [], error),
    )
    return reading
  }

  #deliver(reading: Reading, rows: torch.Rows[0], failure: unknown): void {
    // It takes no more, though nobody has closed it.
    if (this.#open === reading) this.#open = null
    const seconds = this.#secondsOf(Math.max(1, rows.length))
    for (const [i, { resolve, reject }] of reading.batches.entries()) {
      const row = rows[i]
      if (row) resolve(outcomeOf(row, seconds))
      else reject(failure ?? notReached())
    }
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
      if (this.#open && this.#open.batches.length >= this.#together) this.flush()
    }
    return seconds
  }
}

function notReached(): LandmarkDiffusionError {
  return new LandmarkDiffusionError('ERR_DIVERGED', 'the loss of a batch before was no number')
}

function outcomeOf(
  [loss = 0, nll = 0, mse = 0, aborted = 0, time = 0]: readonly number[],
  seconds: number,
): StepOutcome {
  const stop = aborted > 0 ? 'aborted' : time > 0 ? 'time' : null
  return { figures: { loss, nll, mse }, stop, seconds }
}
