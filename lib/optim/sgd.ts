/** Stochastic gradient descent with momentum (Sutskever et al. 2013) on libtorch's fused kernel: one op a step. */

import { LandmarkDiffusionError } from '../errors.js'
import { optional } from '../nn/optional.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import {
  atLeast,
  type Group,
  Optimizer,
  type Parameters,
  type StepLists,
  type StepOptions,
} from './optimizer.js'

export interface SGDOptions {
  /** Learning rate; default 1e-3. Assign `optimizer.lr` to change it at any step. */
  lr?: number
  /** Share of the last step that is taken again; default 0. */
  momentum?: number
  /** Share of the gradient that is kept out of the momentum; default 0. */
  dampening?: number
  /** Times the weight, added to the gradient; default 0. */
  weightDecay?: number
  /** Looks one momentum step ahead; needs momentum and no dampening; default false. */
  nesterov?: boolean
  /** Ascends; default false. */
  maximize?: boolean
}

/** b = momentum b + (1 - dampening) g (the first b is g);  p = p - lr b, or p - lr (g + momentum b) with nesterov. */
export class SGD extends Optimizer<Required<SGDOptions>> {
  // The first step of all writes the momentum instead of adding to it, which only dampening can tell apart.
  #started = false

  constructor(
    parameters: Parameters | readonly Group<Required<SGDOptions>>[],
    options: SGDOptions = {},
  ) {
    const defaults: Required<SGDOptions> = {
      lr: 1e-3,
      momentum: 0,
      dampening: 0,
      weightDecay: 0,
      nesterov: false,
      maximize: false,
    }
    super(parameters, optional(new.target.name, [options], defaults))
  }

  protected override check(options: Required<SGDOptions>): void {
    super.check(options)
    atLeast(options, 'momentum', 0)
    atLeast(options, 'weightDecay', 0)
    if (options.nesterov && (options.momentum === 0 || options.dampening !== 0)) {
      throw new LandmarkDiffusionError('ERR_SCHEMA', 'nesterov needs a momentum, and dampening 0.')
    }
  }

  protected createState(
    parameter: Tensor,
    { momentum }: Required<SGDOptions>,
  ): Record<string, Tensor> {
    return momentum === 0 ? {} : { momentum_buffer: torch.zerosLike(parameter) }
  }

  override step(options: StepOptions = {}): void {
    super.step(options)
    this.#started = true
  }

  override loadStateDict(dict: Readonly<Record<string, Tensor>>): void {
    super.loadStateDict(dict)
    this.#started = true
  }

  protected update(options: Required<SGDOptions>, lists: StepLists): void {
    const { momentum, dampening, weightDecay, nesterov, maximize } = options
    const { lr } = lists
    const first = dampening !== 0 && !this.#started
    if (first && torch.isRecordingProgram()) {
      throw new LandmarkDiffusionError(
        'ERR_PROGRAM',
        'With dampening, the first step of SGD differs from all others: take it before the program is called.',
      )
    }
    const buffers = momentum === 0 ? [] : lists.state('momentum_buffer')
    torch.skippingUndefined(() =>
      torch.call(
        typeof lr === 'number' ? 'aten::_fused_sgd_' : 'aten::_fused_sgd_.tensor_lr',
        [lists.parameters, lists.gradients, buffers],
        {
          weight_decay: weightDecay,
          momentum,
          lr,
          dampening,
          nesterov,
          maximize,
          is_first_step: first,
        },
      ),
    )
  }
}
