/**
 * Initial values, with the formulae and the random stream of `torch.nn.init`: after the same
 * `manualSeed` the same layers get the same numbers as in PyTorch. All work in place, record no
 * gradient, and return the tensor that they were given.
 */

import type { Generator, Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'

export interface InitOptions {
  /** Source of random numbers; the default generator when absent. */
  generator?: Generator
}

/** Uniform in [low, high). */
export function uniform_(tensor: Tensor, low = 0, high = 1, options: InitOptions = {}): Tensor {
  return fill(tensor, () => torch.call('aten::uniform_', [tensor, low, high], { ...options }))
}

/** Normal with the given mean and standard deviation. */
export function normal_(tensor: Tensor, mean = 0, std = 1, options: InitOptions = {}): Tensor {
  return fill(tensor, () => torch.call('aten::normal_', [tensor, mean, std], { ...options }))
}

export function constant_(tensor: Tensor, value: number): Tensor {
  return fill(tensor, () => tensor.fill_(value))
}

export function zeros_(tensor: Tensor): Tensor {
  return constant_(tensor, 0)
}

export function ones_(tensor: Tensor): Tensor {
  return constant_(tensor, 1)
}

/**
 * Uniform in +-sqrt(3) * gain / sqrt(fan), gain = sqrt(2 / (1 + a^2)) (He et al. 2015, with the
 * slope `a` of a leaky ReLU). PyTorch's layers call it with a = sqrt(5), that is +-1 / sqrt(fanIn).
 */
export function kaimingUniform_(
  tensor: Tensor,
  { a = 0, mode = 'fanIn', ...options }: InitOptions & { a?: number; mode?: keyof Fans } = {},
): Tensor {
  const gain = Math.sqrt(2 / (1 + a ** 2))
  const bound = Math.sqrt(3) * (gain / Math.sqrt(fans(tensor)[mode]))
  return uniform_(tensor, -bound, bound, options)
}

/** Uniform in +-gain * sqrt(6 / (fanIn + fanOut)) (Glorot and Bengio 2010). */
export function xavierUniform_(
  tensor: Tensor,
  { gain = 1, ...options }: InitOptions & { gain?: number } = {},
): Tensor {
  const { fanIn, fanOut } = fans(tensor)
  const bound = Math.sqrt(3) * (gain * Math.sqrt(2 / (fanIn + fanOut)))
  return uniform_(tensor, -bound, bound, options)
}

export interface Fans {
  /** Inputs that one output sums over. */
  fanIn: number
  /** Outputs that one input reaches. */
  fanOut: number
}

/** Fans of a weight of shape [out, in, ...kernel]. */
export function fans(weight: Tensor): Fans {
  const [out, inputs, ...kernel] = weight.shape
  if (out === undefined || inputs === undefined) {
    throw new RangeError(`A weight of shape [${weight.shape.join(', ')}] has no fan: 2-D or more.`)
  }
  const window = kernel.reduce((a, b) => a * b, 1)
  return { fanIn: inputs * window, fanOut: out * window }
}

function fill(tensor: Tensor, write: () => unknown): Tensor {
  torch.noGrad(() => {
    torch.scope(() => {
      write()
    })
  })
  return tensor
}
