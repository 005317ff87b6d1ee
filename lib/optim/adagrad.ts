/** Adagrad (Duchi, Hazan and Singer 2011) on libtorch's fused kernel: one op a step. */
import { optional } from '../nn/optional.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { atLeast, type Group, Optimizer, type Parameters, type StepLists } from './optimizer.js'

export interface AdagradOptions {
  /** Learning rate; default 1e-2. Assign `optimizer.lr` to change it at any step. */
  lr?: number
  /** The n-th step's learning rate is lr / (1 + (n - 1) lrDecay); default 0. */
  lrDecay?: number
  /** Times the weight, added to the gradient; default 0. */
  weightDecay?: number
  /** The sums of squares before the first step; default 0. */
  initialAccumulatorValue?: number
  /** Added to the root of the sum; default 1e-10. */
  eps?: number
  /** Ascends; default false. */
  maximize?: boolean
}

/** s = s + g^2;  p = p - lr / (1 + (n - 1) lrDecay) g / (sqrt(s) + eps). */
export class Adagrad extends Optimizer<Required<AdagradOptions>> {
  constructor(
    parameters: Parameters | readonly Group<Required<AdagradOptions>>[],
    options: AdagradOptions = {},
  ) {
    const defaults: Required<AdagradOptions> = {
      lr: 1e-2,
      lrDecay: 0,
      weightDecay: 0,
      initialAccumulatorValue: 0,
      eps: 1e-10,
      maximize: false,
    }
    super(parameters, optional(new.target.name, [options], defaults))
  }

  protected override check(options: Required<AdagradOptions>): void {
    super.check(options)
    for (const name of ['lrDecay', 'weightDecay', 'initialAccumulatorValue', 'eps'] as const)
      atLeast(options, name, 0)
  }

  protected createState(
    parameter: Tensor,
    { initialAccumulatorValue }: Required<AdagradOptions>,
  ): Record<string, Tensor> {
    return {
      step: torch.zeros([], { dtype: 'float32', device: parameter.device }),
      sum: torch.fullLike(parameter, initialAccumulatorValue),
    }
  }

  protected update(options: Required<AdagradOptions>, lists: StepLists): void {
    const { lrDecay, weightDecay, eps, maximize } = options
    const { lr } = lists
    const steps = lists.state('step')
    torch.call('aten::_foreach_add_.Scalar', [steps, 1])
    torch.skippingUndefined(() =>
      torch.call(
        typeof lr === 'number' ? 'aten::_fused_adagrad_' : 'aten::_fused_adagrad_.tensor_lr',
        [lists.parameters, lists.gradients, lists.state('sum'), steps],
        { lr, lr_decay: lrDecay, weight_decay: weightDecay, eps, maximize },
      ),
    )
  }
}
