/** Conv1d and Conv2d: parameters, defaults and initial values of `torch.nn.Conv1d` / `Conv2d`. */

import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import * as init from './init.js'
import { Module, parameter } from './module.js'

export interface ConvOptions<Size> {
  /** Step between windows; default 1. */
  stride?: Size
  /** Zeros added on each side; default 0. */
  padding?: Size
  /** Distance between the taps; default 1. */
  dilation?: Size
  /** Blocks of channels that do not see each other; default 1. */
  groups?: number
  /** Adds a learned constant per output channel; default true. */
  bias?: boolean
}

/** y[b, o] = bias[o] + sum_i weight[o, i] * x[b, i] (cross-correlation). x: [B, in, L] -> [B, out, L']. */
export class Conv1d extends Module {
  readonly weight: Tensor
  readonly bias: Tensor | null
  readonly #options: { stride: number; padding: number; dilation: number; groups: number }

  constructor(inputs: number, outputs: number, kernel: number, options: ConvOptions<number> = {}) {
    super()
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = options
    this.#options = { stride, padding, dilation, groups }
    ;[this.weight, this.bias] = convParameters([outputs, inputs / groups, kernel], bias)
  }

  forward(x: Tensor): Tensor {
    const { stride, padding, dilation, groups } = this.#options
    return torch.conv1d(x, this.weight, this.bias, [stride], [padding], [dilation], groups)
  }

  protected override toStringExtra(): string {
    return describe(this.weight, this.bias, this.#options)
  }
}

/** y[b, o] = bias[o] + sum_i weight[o, i] * x[b, i] (cross-correlation). x: [B, in, H, W] -> [B, out, H', W']. */
export class Conv2d extends Module {
  readonly weight: Tensor
  readonly bias: Tensor | null
  readonly #options: { stride: Pair; padding: Pair; dilation: Pair; groups: number }

  constructor(
    inputs: number,
    outputs: number,
    kernel: number | Pair,
    options: ConvOptions<number | Pair> = {},
  ) {
    super()
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = options
    this.#options = {
      stride: pair(stride),
      padding: pair(padding),
      dilation: pair(dilation),
      groups,
    }
    ;[this.weight, this.bias] = convParameters([outputs, inputs / groups, ...pair(kernel)], bias)
  }

  forward(x: Tensor): Tensor {
    const { stride, padding, dilation, groups } = this.#options
    return torch.conv2d(x, this.weight, this.bias, stride, padding, dilation, groups)
  }

  protected override toStringExtra(): string {
    return describe(this.weight, this.bias, this.#options)
  }
}

type Pair = [number, number]

function pair(size: number | Pair): Pair {
  return typeof size === 'number' ? [size, size] : size
}

/** Weight and bias uniform in +-1 / sqrt(fanIn), drawn in this order. */
function convParameters(shape: number[], bias: boolean): [Tensor, Tensor | null] {
  if (shape.some((size) => !Number.isInteger(size) || size < 1)) {
    throw new RangeError(
      `A convolution weight cannot have shape [${shape.join(', ')}]: channels must be positive whole numbers and divisible by groups.`,
    )
  }
  const weight = init.kaimingUniform_(torch.empty(shape), { a: Math.sqrt(5) })
  if (!bias) return [parameter(weight), null]
  const bound = 1 / Math.sqrt(init.fans(weight).fanIn)
  const offset = init.uniform_(torch.empty([shape[0] as number]), -bound, bound)
  return [parameter(weight), parameter(offset)]
}

function describe(
  weight: Tensor,
  bias: Tensor | null,
  options: { stride: unknown; padding: unknown; dilation: unknown; groups: number },
): string {
  const [out = 0, inputs = 0, ...kernel] = weight.shape
  const { groups, ...sizes } = options
  const parts = [`${inputs * groups}`, `${out}`, `kernel=${kernel.join('x')}`]
  for (const [name, value] of Object.entries(sizes)) {
    const text = [value].flat().join('x')
    const plain = name === 'padding' ? /^0(x0)?$/ : /^1(x1)?$/
    if (!plain.test(text)) parts.push(`${name}=${text}`)
  }
  if (groups !== 1) parts.push(`groups=${groups}`)
  if (!bias) parts.push('bias=false')
  return parts.join(', ')
}
