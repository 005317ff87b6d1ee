/** Exponential moving average of the weights, with latent-diffusion's warm-up (LitEma). */
import type { Module } from '../nn/index.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { copyInto } from './state.js'

export interface EmaOptions {
  /** Share of the old average kept by one update, once warm; default 0.9999. */
  decay?: number
}

/**
 * average = average + (1 - d) (weight - average), d = min(decay, (1 + n) / (10 + n)) at the n-th
 * update (n from 1): the first updates nearly copy, so that the random start is soon forgotten.
 */
export class Ema {
  readonly decay: number
  /** How many updates there were. Saved and restored by whoever saves the state dict. */
  updates = 0
  readonly #weights: Record<string, Tensor>
  readonly #averages: Record<string, Tensor>

  constructor(module: Module, { decay = 0.9999 }: EmaOptions = {}) {
    this.decay = decay
    this.#weights = Object.fromEntries(module.namedParameters())
    const names = Object.keys(this.#weights)
    const copies = copiesOf(Object.values(this.#weights))
    this.#averages = Object.fromEntries(copies.map((copy, i) => [names[i], copy]))
  }

  /** Takes the current weights in: one queued op, to be called after every optimiser step. */
  update(): void {
    this.updates += 1
    const decay = Math.min(this.decay, (1 + this.updates) / (10 + this.updates))
    torch.noGrad(() => {
      torch.scope(() => {
        torch.call('aten::_foreach_lerp_.Scalar', [
          Object.values(this.#averages),
          Object.values(this.#weights),
          1 - decay,
        ])
      })
    })
  }

  /** The averages under the parameters' names: live handles, fit for `module.loadStateDict`. */
  stateDict(): Record<string, Tensor> {
    return { ...this.#averages }
  }

  /** @throws ERR_CHECKPOINT when a name is missing or unknown, or a shape differs. */
  loadStateDict(dict: Readonly<Record<string, Tensor>>): void {
    copyInto(this.#averages, dict, 'the averaged weights')
  }

  /** Runs `fn` with the averages in the module, and puts the exact weights back after it. */
  async use<T>(fn: () => Promise<T>): Promise<T> {
    const weights = Object.values(this.#weights)
    const saved = copiesOf(weights)
    assign(weights, Object.values(this.#averages))
    try {
      return await fn()
    } finally {
      assign(weights, saved)
      for (const tensor of saved) tensor.dispose()
    }
  }

  /** Frees the averages; the module stays. */
  dispose(): void {
    for (const tensor of Object.values(this.#averages)) tensor.dispose()
  }
}

function copiesOf(tensors: Tensor[]): Tensor[] {
  return torch.noGrad(() => tensors.map((tensor) => torch.keep(tensor.clone())))
}

function assign(targets: Tensor[], sources: Tensor[]): void {
  torch.noGrad(() => {
    torch.scope(() => {
      torch.call('aten::_foreach_copy_', [targets, sources])
    })
  })
}
