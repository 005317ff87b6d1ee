/** Exponential moving average of the weights, with latent-diffusion's warm-up (LitEma). */
import { LandmarkDiffusionError } from '../errors.js'
import { Module } from '../nn/index.js'
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
    if (!(module instanceof Module)) {
      throw new LandmarkDiffusionError('ERR_SCHEMA', 'Ema wants a module.')
    }
    this.decay = decay
    this.#weights = Object.fromEntries(module.namedParameters())
    const names = Object.keys(this.#weights)
    const copies = copiesOf(Object.values(this.#weights))
    this.#averages = Object.fromEntries(copies.map((copy, i) => [names[i], copy]))
  }

  /** Counts an update, and gives the share of the weights, 1 - d, that it takes in. */
  advance(): number {
    this.updates += 1
    return 1 - Math.min(this.decay, (1 + this.updates) / (10 + this.updates))
  }

  /**
   * Takes the current weights in: one queued op, to be called after every optimiser step. In a program
   * `share` is what `advance()` gave, as a 0-dim tensor: numbers would stay as they were when it was recorded.
   */
  update(share: number | Tensor = this.#ownShare()): void {
    const averages = Object.values(this.#averages)
    const weights = Object.values(this.#weights)
    torch.noGrad(() => {
      torch.scope(() => {
        if (typeof share === 'number') {
          torch.call('aten::_foreach_lerp_.Scalar', [averages, weights, share])
        } else {
          const shares = weights.map(() => share)
          torch.call('aten::_foreach_lerp_.List', [averages, weights, shares])
        }
      })
    })
  }

  #ownShare(): number {
    if (torch.isRecordingProgram()) {
      throw new LandmarkDiffusionError(
        'ERR_PROGRAM',
        'ema.update() in a program would take the same share each time and count no updates. Give it ' +
          'update(share), where share is a tensor of what ema.advance() gives before each call.',
      )
    }
    return this.advance()
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
