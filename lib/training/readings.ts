/**
 * What batches came to, on its way back from the device. Several batches are read together, so that a device that is
 * fast is not asked at every step; nothing waits for an answer but who wants it.
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

export class Readings {
  readonly #every: number
  #waiting: Waiting[] = []

  /** every: batches that are read together */
  constructor(every: number) {
    this.#every = every
  }

  /** values: of `lossTensor` or `withVotes`; taken over. */
  add(values: Tensor): Promise<StepOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ values, resolve, reject })
      if (this.#waiting.length >= this.#every) this.flush()
    })
  }

  /** Reads what waits for others. */
  flush(): void {
    const batches = this.#waiting
    if (batches.length === 0) return
    this.#waiting = []
    const all = torch.stack(batches.map(({ values }) => values))
    const read = all.data() as Promise<Float32Array>
    all.dispose()
    for (const { values } of batches) values.dispose()
    read.then(
      (numbers) => {
        const width = numbers.length / batches.length
        for (const [i, { resolve }] of batches.entries())
          resolve(outcomeOf(numbers.subarray(i * width, (i + 1) * width)))
      },
      (error: unknown) => {
        for (const { reject } of batches) reject(error)
      },
    )
  }
}

function outcomeOf([loss = 0, nll = 0, mse = 0, aborted = 0, time = 0]: Float32Array): StepOutcome {
  const stop = aborted > 0 ? 'aborted' : time > 0 ? 'time' : null
  return { figures: { loss, nll, mse }, stop }
}
