/** Activations: layers that change each element by itself, or a row of them, as in `torch.nn`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { Module, parameter } from './module.js'
import { type Optional, optional } from './optional.js'

/** y = max(0, x). */
export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return torch.relu(x)
  }
}

/** y = min(max(0, x), 6) (Howard et al. 2017). */
export class ReLU6 extends Module {
  forward(x: Tensor): Tensor {
    return torch.relu6(x)
  }
}

/** y = x for x >= 0, else negativeSlope x (Maas et al. 2013). */
export class LeakyReLU extends Module {
  constructor(readonly negativeSlope = 0.01) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.leakyRelu(x, this.negativeSlope)
  }

  protected override toStringExtra(): string {
    return `negativeSlope=${this.negativeSlope}`
  }
}

/** y = x for x >= 0, else weight x, the weight learned: one, or one a channel (He et al. 2015). x: [B, channels, ...]. */
export class PReLU extends Module {
  readonly weight: Tensor

  constructor(channels = 1, ...rest: Optional<[init: number], { init?: number }>) {
    super()
    const { init } = optional(this.constructor.name, rest, { init: 0.25 })
    this.weight = parameter(torch.full([channels], init, { dtype: 'float32' }))
  }

  forward(x: Tensor): Tensor {
    return torch.prelu(x, this.weight)
  }

  protected override toStringExtra(): string {
    return `${this.weight.shape[0]}`
  }
}

/** As LeakyReLU; while training, the slope of each element is uniform in [lower, upper), else their middle (Xu et al. 2015). */
export class RReLU extends Module {
  constructor(
    readonly lower = 1 / 8,
    readonly upper = 1 / 3,
  ) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.rrelu(x, this.lower, this.upper, this.training)
  }

  protected override toStringExtra(): string {
    return `lower=${this.lower}, upper=${this.upper}`
  }
}

/** y = x for x > 0, else alpha (exp(x) - 1) (Clevert et al. 2015). */
export class ELU extends Module {
  constructor(readonly alpha = 1) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.elu(x, this.alpha)
  }

  protected override toStringExtra(): string {
    return `alpha=${this.alpha}`
  }
}

/** ELU with the two constants that keep mean 0 and variance 1 (Klambauer et al. 2017). */
export class SELU extends Module {
  forward(x: Tensor): Tensor {
    return torch.selu(x)
  }
}

/** y = max(0, x) + min(0, alpha (exp(x / alpha) - 1)) (Barron 2017). */
export class CELU extends Module {
  constructor(readonly alpha = 1) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.celu(x, this.alpha)
  }

  protected override toStringExtra(): string {
    return `alpha=${this.alpha}`
  }
}

/** y = x Phi(x), Phi the normal distribution function; 'tanh' approximates it (Hendrycks and Gimpel 2016). */
export class GELU extends Module {
  readonly approximate: 'none' | 'tanh'

  constructor(
    ...rest: Optional<[approximate: 'none' | 'tanh'], { approximate?: 'none' | 'tanh' }>
  ) {
    super()
    const defaults: { approximate: 'none' | 'tanh' } = { approximate: 'none' }
    this.approximate = optional(this.constructor.name, rest, defaults).approximate
  }

  forward(x: Tensor): Tensor {
    return torch.gelu(x, { approximate: this.approximate })
  }

  protected override toStringExtra(): string {
    return `approximate=${this.approximate}`
  }
}

/** y = x * sigmoid(x) (Elfwing et al. 2017). */
export class SiLU extends Module {
  forward(x: Tensor): Tensor {
    return torch.silu(x)
  }
}

/** y = x tanh(softplus(x)) (Misra 2019). */
export class Mish extends Module {
  forward(x: Tensor): Tensor {
    return torch.mish(x)
  }
}

/** y = tanh(x). */
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return torch.tanh(x)
  }
}

/** y = x - tanh(x). */
export class Tanhshrink extends Module {
  forward(x: Tensor): Tensor {
    return torch.scope(() => torch.sub(x, torch.tanh(x)))
  }
}

/** y = min(max(x, minVal), maxVal). */
export class Hardtanh extends Module {
  constructor(
    readonly minVal = -1,
    readonly maxVal = 1,
  ) {
    super()
    if (!(minVal < maxVal)) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `Hardtanh needs minVal < maxVal, not ${minVal} and ${maxVal}.`,
      )
    }
  }

  forward(x: Tensor): Tensor {
    return torch.hardtanh(x, this.minVal, this.maxVal)
  }

  protected override toStringExtra(): string {
    return `minVal=${this.minVal}, maxVal=${this.maxVal}`
  }
}

/** y = 1 / (1 + exp(-x)). */
export class Sigmoid extends Module {
  forward(x: Tensor): Tensor {
    return torch.sigmoid(x)
  }
}

/** y = log(sigmoid(x)). */
export class LogSigmoid extends Module {
  forward(x: Tensor): Tensor {
    return torch.logSigmoid(x)
  }
}

/** y = relu6(x + 3) / 6. */
export class Hardsigmoid extends Module {
  forward(x: Tensor): Tensor {
    return torch.hardsigmoid(x)
  }
}

/** y = x relu6(x + 3) / 6 (Howard et al. 2019). */
export class Hardswish extends Module {
  forward(x: Tensor): Tensor {
    return torch.hardswish(x)
  }
}

/** y = log(1 + exp(beta x)) / beta; y = x where beta x > threshold. */
export class Softplus extends Module {
  readonly beta: number
  readonly threshold: number

  constructor(
    ...rest: Optional<[beta: number, threshold: number], { beta?: number; threshold?: number }>
  ) {
    super()
    const { beta, threshold } = optional(this.constructor.name, rest, { beta: 1, threshold: 20 })
    this.beta = beta
    this.threshold = threshold
  }

  forward(x: Tensor): Tensor {
    return torch.softplus(x, this.beta, this.threshold)
  }

  protected override toStringExtra(): string {
    return `beta=${this.beta}, threshold=${this.threshold}`
  }
}

/** y = x / (1 + |x|). */
export class Softsign extends Module {
  forward(x: Tensor): Tensor {
    return torch.scope(() => torch.div(x, torch.abs(x).add(1)))
  }
}

/** y = x - lambda sign(x) where |x| > lambda, else 0. */
export class Softshrink extends Module {
  constructor(readonly lambda = 0.5) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.softshrink(x, this.lambda)
  }

  protected override toStringExtra(): string {
    return `${this.lambda}`
  }
}

/** y = x where |x| > lambda, else 0. */
export class Hardshrink extends Module {
  constructor(readonly lambda = 0.5) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.hardshrink(x, this.lambda)
  }

  protected override toStringExtra(): string {
    return `${this.lambda}`
  }
}

/** y = x where x > threshold, else value. */
export class Threshold extends Module {
  constructor(
    readonly threshold: number,
    readonly value: number,
  ) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.threshold(x, this.threshold, this.value)
  }

  protected override toStringExtra(): string {
    return `threshold=${this.threshold}, value=${this.value}`
  }
}

/** y = a * sigmoid(b), a and b the two halves of x along `dim` (Dauphin et al. 2016). */
export class GLU extends Module {
  constructor(readonly dim = -1) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.glu(x, this.dim)
  }

  protected override toStringExtra(): string {
    return `dim=${this.dim}`
  }
}

/** y = exp(x) / sum exp(x) along `dim`. */
export class Softmax extends Module {
  constructor(readonly dim: number) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.softmax(x, this.dim)
  }

  protected override toStringExtra(): string {
    return `dim=${this.dim}`
  }
}

/** y = exp(x) / sum exp(x) over the channels at each position. x: [B, C, H, W] or [C, H, W]. */
export class Softmax2d extends Module {
  forward(x: Tensor): Tensor {
    return torch.softmax(x, -3)
  }
}

/** y = log(softmax(x)) along `dim`. */
export class LogSoftmax extends Module {
  constructor(readonly dim: number) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.logSoftmax(x, this.dim)
  }

  protected override toStringExtra(): string {
    return `dim=${this.dim}`
  }
}

/** y = exp(-x) / sum exp(-x) along `dim`. */
export class Softmin extends Module {
  constructor(readonly dim: number) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.scope(() => torch.softmax(torch.neg(x), this.dim))
  }

  protected override toStringExtra(): string {
    return `dim=${this.dim}`
  }
}
