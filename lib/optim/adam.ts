/** Adam (Kingma and Ba 2014) and AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) on libtorch's fused kernels: one op a step. */
import { optional } from '../nn/optional.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { atLeast, type Group, Optimizer, type Parameters, type StepLists } from './optimizer.js'

export interface AdamOptions {
  /** Learning rate; default 1e-3. Assign `optimizer.lr` to change it at any step. */
  lr?: number
  /** Decay of the running mean and of the running mean square; default [0.9, 0.999]. */
  betas?: readonly [number, number]
  /** Added to the root of the mean square; default 1e-8. */
  eps?: number
  /** Adam: times the weight, added to the gradient; default 0. AdamW: share of each weight, times lr, that every step takes away; default 0.01. */
  weightDecay?: number
  /** Divides by the largest mean square so far (Reddi et al. 2018); default false. */
  amsgrad?: boolean
  /** Ascends; default false. */
  maximize?: boolean
}

/**
 * m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
 * p = p - lr (m / (1 - b1^n)) / (sqrt(v / (1 - b2^n)) + eps).
 */
abstract class AdamFamily extends Optimizer<Required<AdamOptions>> {
  protected abstract readonly kernel: string

  protected override check(options: Required<AdamOptions>): void {
    super.check(options)
    atLeast(options, 'betas', 0, 1)
    atLeast(options, 'eps', 0)
    atLeast(options, 'weightDecay', 0)
  }

  protected createState(
    parameter: Tensor,
    { amsgrad }: Required<AdamOptions>,
  ): Record<string, Tensor> {
    return {
      step: torch.zeros([], { dtype: 'float32', device: parameter.device }),
      exp_avg: torch.zerosLike(parameter),
      exp_avg_sq: torch.zerosLike(parameter),
      ...(amsgrad ? { max_exp_avg_sq: torch.zerosLike(parameter) } : {}),
    }
  }

  protected update(options: Required<AdamOptions>, lists: StepLists): void {
    const { betas, eps, weightDecay, amsgrad, maximize } = options
    const { lr } = lists
    const steps = lists.state('step')
    torch.call('aten::_foreach_add_.Scalar', [steps, 1])
    torch.skippingUndefined(() =>
      torch.call(
        typeof lr === 'number' ? this.kernel : `${this.kernel}.tensor_lr`,
        [
          lists.parameters,
          lists.gradients,
          lists.state('exp_avg'),
          lists.state('exp_avg_sq'),
          amsgrad ? lists.state('max_exp_avg_sq') : [],
          steps,
        ],
        { lr, beta1: betas[0], beta2: betas[1], weight_decay: weightDecay, eps, amsgrad, maximize },
      ),
    )
  }
}

const defaults = {
  lr: 1e-3,
  betas: [0.9, 0.999] as readonly [number, number],
  eps: 1e-8,
  amsgrad: false,
  maximize: false,
}

/** Adam; weight decay is part of the gradient: g = g + weightDecay p. */
export class Adam extends AdamFamily {
  protected readonly kernel = 'aten::_fused_adam_'

  constructor(
    parameters: Parameters | readonly Group<Required<AdamOptions>>[],
    options: AdamOptions = {},
  ) {
    super(parameters, optional(new.target.name, [options], { ...defaults, weightDecay: 0 }))
  }
}

/** Adam with weight decay apart from the gradient: p = p (1 - lr weightDecay) before each step. */
export class AdamW extends AdamFamily {
  protected readonly kernel = 'aten::_fused_adamw_'

  constructor(
    parameters: Parameters | readonly Group<Required<AdamOptions>>[],
    options: AdamOptions = {},
  ) {
    super(parameters, optional(new.target.name, [options], { ...defaults, weightDecay: 0.01 }))
  }
}
