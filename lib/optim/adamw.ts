/** AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) on libtorch's fused kernel: one op a step. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'

export interface AdamWOptions {
  /** Learning rate; default 1e-3. Assign `optimizer.lr` to change it at any step. */
  lr?: number
  /** Decay of the running mean and of the running mean square; default [0.9, 0.999]. */
  betas?: readonly [number, number]
  /** Added to the root of the mean square; default 1e-8. */
  eps?: number
  /** Share of each weight, times lr, that every step takes away; default 0.01. */
  weightDecay?: number
}

/** Parameters alone, or with names (`module.namedParameters()`), which the state dict then uses. */
export type Parameters = Iterable<Tensor> | Iterable<readonly [string, Tensor]>

interface Slot {
  name: string
  parameter: Tensor
  step: Tensor
  mean: Tensor
  square: Tensor
}

/**
 * m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
 * p = p (1 - lr wd) - lr (m / (1 - b1^n)) / (sqrt(v / (1 - b2^n)) + eps).
 *
 * Nothing is awaited: `step` queues two ops. Parameters that no backward pass reached keep their
 * values and statistics; only their n counts on, since whether a gradient is there is known to the
 * executor alone.
 */
export class AdamW {
  lr: number
  weightDecay: number
  readonly betas: readonly [number, number]
  readonly eps: number
  readonly #slots: Slot[]

  constructor(parameters: Parameters, options: AdamWOptions = {}) {
    const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01 } = options
    this.lr = lr
    this.betas = betas
    this.eps = eps
    this.weightDecay = weightDecay
    this.#slots = [...parameters].map((entry, index) => {
      const [name, parameter] = entry instanceof torch.Tensor ? [String(index), entry] : entry
      return {
        name,
        parameter,
        step: torch.keep(torch.zeros([], { dtype: 'float32', device: parameter.device })),
        mean: torch.keep(torch.zerosLike(parameter)),
        square: torch.keep(torch.zerosLike(parameter)),
      }
    })
  }

  /** Applies the gradients of the last backward passes. */
  step(): void {
    torch.noGrad(() => {
      torch.scope(() => {
        const found = torch.gradients(this.#slots.map(({ parameter }) => parameter))
        const gradients: Tensor[] = []
        const slots = this.#slots.filter((_, i) => {
          const gradient = found[i]
          if (gradient) gradients.push(gradient)
          return Boolean(gradient)
        })
        if (slots.length === 0) return
        const column = (key: 'parameter' | 'step' | 'mean' | 'square') => slots.map((s) => s[key])
        const steps = column('step')
        torch.call('aten::_foreach_add_.Scalar', [steps, 1])
        torch.skippingUndefined(() =>
          torch.call(
            'aten::_fused_adamw_',
            [column('parameter'), gradients, column('mean'), column('square'), [], steps],
            {
              lr: this.lr,
              beta1: this.betas[0],
              beta2: this.betas[1],
              weight_decay: this.weightDecay,
              eps: this.eps,
              amsgrad: false,
              maximize: false,
            },
          ),
        )
      })
    })
  }

  /** Forgets the gradients, so that the next backward pass writes instead of adding. */
  zeroGrad(): void {
    torch.clearGradients(this.#slots.map(({ parameter }) => parameter))
  }

  /** The running statistics, flat: `<name>.step` [], `<name>.exp_avg` and `<name>.exp_avg_sq` (the parameter's shape). Live handles. */
  stateDict(): Record<string, Tensor> {
    const dict: Record<string, Tensor> = {}
    for (const { name, step, mean, square } of this.#slots) {
      dict[`${name}.step`] = step
      dict[`${name}.exp_avg`] = mean
      dict[`${name}.exp_avg_sq`] = square
    }
    return dict
  }

  /** @throws ERR_CHECKPOINT when a name is missing or unknown, or a shape differs; nothing has been changed then. */
  loadStateDict(dict: Readonly<Record<string, Tensor>>): void {
    copyInto(this.stateDict(), dict, 'the optimiser')
  }

  /** Frees the running statistics; the parameters stay. */
  dispose(): void {
    for (const tensor of Object.values(this.stateDict())) tensor.dispose()
  }
}

/** Copies `source` into the tensors of the same names, all or nothing. */
export function copyInto(
  target: Readonly<Record<string, Tensor>>,
  source: Readonly<Record<string, Tensor>>,
  owner: string,
): void {
  const names = Object.keys(target)
  const wrong = [
    ...names.filter((name) => !Object.hasOwn(source, name)).map((name) => `${name} is missing`),
    ...Object.keys(source)
      .filter((name) => !Object.hasOwn(target, name))
      .map((name) => `${name} is unexpected`),
    ...names
      .filter((name) => source[name] && String(source[name].shape) !== String(target[name]?.shape))
      .map((name) => `${name} is [${source[name]?.shape}], not [${target[name]?.shape}]`),
  ]
  if (wrong.length > 0) {
    throw new LandmarkDiffusionError(
      'ERR_CHECKPOINT',
      `The saved state does not fit ${owner}: ${wrong.slice(0, 5).join('; ')}` +
        `${wrong.length > 5 ? `; and ${wrong.length - 5} more` : ''}. ` +
        'Resume with the configuration that was saved beside it.',
    )
  }
  torch.noGrad(() => {
    torch.scope(() => {
      for (const name of names) target[name]?.copy_(source[name] as Tensor)
    })
  })
}
