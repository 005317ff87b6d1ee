/** Gradients averaged over the ranks, while the backward pass still runs: what DistributedDataParallel does, as a part of its own. */
import { addon } from '../addon.js'
import { refuseInProgram } from '../recording.js'
import type { Tensor } from '../tensor.js'
import { getWorldSize, problem } from './group.js'

export interface ReducerOptions {
  /** Size at which a bucket of gradients is sent, in MiB. Default 25, as in PyTorch. */
  bucketCapMb?: number
}

let next = 1

/**
 * ```ts
 * const reducer = new torch.distributed.Reducer(model.parameters())
 * reducer.prepare() // the next backward pass is the last before the update
 * loss.backward() // full buckets are sent meanwhile
 * await reducer.finish() // every gradient is the average over the ranks
 * optimizer.step()
 * ```
 * Passes before `prepare()` only accumulate, as inside DDP's `no_sync`. Parameters are not synchronised: give every
 * rank the same ones to begin with (`broadcast`). Every parameter must get a gradient on every rank.
 */
export class Reducer implements Disposable {
  readonly #id = next++

  /** parameters: leaves that require a gradient, in the same order on all ranks */
  constructor(parameters: Iterable<Tensor>, { bucketCapMb = 25 }: ReducerOptions = {}) {
    getWorldSize()
    const list = [...parameters]
    if (list.length === 0) throw problem('Reducer: there are no parameters')
    if (!(bucketCapMb > 0 && bucketCapMb <= 1 << 20))
      throw problem(`Reducer: bucketCapMb must be a number of MiB above 0, not ${bucketCapMb}`)
    const ids = list.map((parameter) => parameter.id)
    addon().native.createReducer(this.#id, ids, Math.ceil(bucketCapMb * 2 ** 20))
  }

  /** The backward pass that is queued next is the last one before `finish()`. */
  prepare(): void {
    refuseInProgram(
      'Reducer.prepare() was called',
      'Run steps with several ranks without a program.',
    )
    addon().native.prepareReducer(this.#id)
  }

  /**
   * Queued after that pass; later ops see the averages in `grad`. The promise rejects with ERR_DISTRIBUTED where a
   * rank is lost: the gradients are then of no use.
   */
  finish(): Promise<void> {
    return addon().native.finishReducer(this.#id)
  }

  dispose(): void {
    addon().native.releaseReducer(this.#id)
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
