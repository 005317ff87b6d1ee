/** RMSprop (Hinton 2012, lecture 6e; centred: Graves 2013, arXiv 1308.0850), one op a step. */
import { LandmarkDiffusionError } from '../errors.js'
import { optional } from '../nn/optional.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { atLeast, type Group, Optimizer, type Parameters, type StepLists } from './optimizer.js'

export interface RMSpropOptions {
  /** Learning rate; default 1e-2. Assign `optimizer.lr` to change it at any step. */
  lr?: number
  /** Decay of the running mean square; default 0.99. */
  alpha?: number
  /** Added to the root of the mean square; default 1e-8. */
  eps?: number
  /** Times the weight, added to the gradient; default 0. */
  weightDecay?: number
  /** Share of the last step that is taken again; default 0. */
  momentum?: number
  /** Divides by the running standard deviation instead; default false. */
  centered?: boolean
  /** Ascends; default false. */
  maximize?: boolean
}

/** v = alpha v + (1 - alpha) g^2;  b = momentum b + g / (sqrt(v) + eps);  p = p - lr b. */
export class RMSprop extends Optimizer<Required<RMSpropOptions>> {
  constructor(
    parameters: Parameters | readonly Group<Required<RMSpropOptions>>[],
    options: RMSpropOptions = {},
  ) {
    const defaults: Required<RMSpropOptions> = {
      lr: 1e-2,
      alpha: 0.99,
      eps: 1e-8,
      weightDecay: 0,
      momentum: 0,
      centered: false,
      maximize: false,
    }
    super(parameters, optional(new.target.name, [options], defaults))
  }

  protected override check(options: Required<RMSpropOptions>): void {
    super.check(options)
    for (const name of ['alpha', 'eps', 'weightDecay', 'momentum'] as const)
      atLeast(options, name, 0)
  }

  protected createState(
    parameter: Tensor,
    { momentum, centered }: Required<RMSpropOptions>,
  ): Record<string, Tensor> {
    return {
      square_avg: torch.zerosLike(parameter),
      ...(centered ? { grad_avg: torch.zerosLike(parameter) } : {}),
      ...(momentum > 0 ? { momentum_buffer: torch.zerosLike(parameter) } : {}),
    }
  }

  protected update(options: Required<RMSpropOptions>, lists: StepLists): void {
    const { alpha, eps, weightDecay, momentum, centered, maximize } = options
    const { lr } = lists
    if (typeof lr !== 'number') {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        'RMSprop takes its learning rate as a number only.',
      )
    }
    torch.skippingUndefined(() =>
      torch.call(
        'landmark_diffusion::_fused_rmsprop_',
        [
          lists.parameters,
          lists.gradients,
          lists.state('square_avg'),
          centered ? lists.state('grad_avg') : [],
          momentum > 0 ? lists.state('momentum_buffer') : [],
        ],
        { lr, alpha, eps, weight_decay: weightDecay, momentum, maximize },
      ),
    )
  }
}
