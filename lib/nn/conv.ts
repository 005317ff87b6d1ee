/** Conv1d, Conv2d and Conv3d: parameters, defaults and initial values of `torch.nn`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import * as functional from './functional/index.js'
import * as init from './init.js'
import { Module, parameter } from './module.js'
import { type Optional, optional } from './optional.js'
import { type Size, sizes } from './size.js'

export interface ConvOptions {
  /** Step between windows; default 1. */
  stride?: Size
  /** Elements added on each side, or 'same' for an output of the input's size (stride 1 only), or 'valid' for none; default 0. */
  padding?: Size | 'same' | 'valid'
  /** Distance between the taps; default 1. */
  dilation?: Size
  /** Blocks of channels that do not see each other; default 1. */
  groups?: number
  /** Adds a learned constant per output channel; default true. */
  bias?: boolean
  /** What the added elements hold; default 'zeros'. */
  paddingMode?: 'zeros' | functional.PadMode
}

type ConvArguments = Optional<
  [
    stride: Size,
    padding: Size | 'same' | 'valid',
    dilation: Size,
    groups: number,
    bias: boolean,
    paddingMode: 'zeros' | functional.PadMode,
  ],
  ConvOptions
>

type Convolve = (
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  stride: readonly number[],
  padding: readonly number[] | string,
  dilation: readonly number[],
  groups: number,
) => Tensor

const convolutions = [torch.conv1d, torch.conv2d, torch.conv3d] as readonly Convolve[]

/** y[b, o] = bias[o] + sum_i weight[o, i] * x[b, i] (cross-correlation) over `rank` spatial dimensions. */
abstract class Conv extends Module {
  readonly weight: Tensor
  readonly bias: Tensor | null
  readonly stride: readonly number[]
  readonly padding: readonly number[] | 'same' | 'valid'
  readonly dilation: readonly number[]
  readonly groups: number
  readonly paddingMode: NonNullable<ConvOptions['paddingMode']>

  constructor(rank: number, inputs: number, outputs: number, kernel: Size, rest: ConvArguments) {
    super()
    const options = optional<Required<ConvOptions>>(this.constructor.name, rest, {
      stride: 1,
      padding: 0,
      dilation: 1,
      groups: 1,
      bias: true,
      paddingMode: 'zeros',
    })
    const { padding, groups, bias, paddingMode } = options
    this.stride = sizes(options.stride, rank, { what: 'stride', least: 1 })
    this.dilation = sizes(options.dilation, rank, { what: 'dilation', least: 1 })
    this.padding = typeof padding === 'string' ? padding : sizes(padding, rank, { what: 'padding' })
    this.groups = groups
    this.paddingMode = paddingMode
    if (padding === 'same' && this.stride.some((step) => step !== 1)) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        "padding 'same' needs stride 1: with other strides it is not defined.",
      )
    }
    const window = sizes(kernel, rank, { what: 'kernel', least: 1 })
    const parameters = convParameters([outputs, inputs / groups, ...window], { groups, bias })
    this.weight = parameters.weight
    this.bias = parameters.bias
  }

  forward(x: Tensor): Tensor {
    const { weight, bias, stride, padding, dilation, groups, paddingMode } = this
    const convolve = convolutions[stride.length - 1] as Convolve
    if (paddingMode === 'zeros') return convolve(x, weight, bias, stride, padding, dilation, groups)
    const padded = functional.pad(x, this.#border(), { mode: paddingMode })
    return convolve(padded, weight, bias, stride, 'valid', dilation, groups)
  }

  /** Elements before and after, last dimension first, as `functional.pad` wants them. */
  #border(): number[] {
    const { padding, dilation } = this
    const kernel = this.weight.shape.slice(2)
    const sides = kernel.map((length, i) => {
      if (padding === 'valid') return [0, 0]
      if (padding !== 'same') return [padding[i] as number, padding[i] as number]
      const total = (dilation[i] as number) * (length - 1)
      return [Math.floor(total / 2), total - Math.floor(total / 2)]
    })
    return sides.reverse().flat()
  }

  protected override toStringExtra(): string {
    return describeConv(this)
  }
}

/** x: [B, in, L] -> [B, out, L'], L' = floor((L + 2 padding - dilation (kernel - 1) - 1) / stride + 1). */
export class Conv1d extends Conv {
  constructor(inputs: number, outputs: number, kernel: Size, ...rest: ConvArguments) {
    super(1, inputs, outputs, kernel, rest)
  }
}

/** x: [B, in, H, W] -> [B, out, H', W'], sizes as in Conv1d. */
export class Conv2d extends Conv {
  constructor(inputs: number, outputs: number, kernel: Size, ...rest: ConvArguments) {
    super(2, inputs, outputs, kernel, rest)
  }
}

/** x: [B, in, D, H, W] -> [B, out, D', H', W'], sizes as in Conv1d. */
export class Conv3d extends Conv {
  constructor(inputs: number, outputs: number, kernel: Size, ...rest: ConvArguments) {
    super(3, inputs, outputs, kernel, rest)
  }
}

/** Weight and bias uniform in +-1 / sqrt(fanIn), drawn in this order. */
export function convParameters(
  shape: number[],
  {
    groups,
    bias,
    outputs = shape[0] as number,
  }: { groups: number; bias: boolean; outputs?: number },
): { weight: Tensor; bias: Tensor | null } {
  if (
    !Number.isInteger(groups) ||
    outputs % groups !== 0 ||
    shape.some((size) => !Number.isInteger(size) || size < 1)
  ) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `A convolution weight cannot have shape [${shape.join(', ')}] in ${groups} groups: channels must be positive whole numbers and divisible by groups.`,
    )
  }
  const weight = init.kaimingUniform_(torch.empty(shape), { a: Math.sqrt(5) })
  if (!bias) return { weight: parameter(weight), bias: null }
  const bound = 1 / Math.sqrt(init.fans(weight).fanIn)
  const offset = init.uniform_(torch.empty([outputs]), -bound, bound)
  return { weight: parameter(weight), bias: parameter(offset) }
}

interface Convolution {
  readonly weight: Tensor
  readonly bias: Tensor | null
  readonly stride: readonly number[]
  readonly padding: readonly number[] | string
  readonly dilation: readonly number[]
  readonly groups: number
  readonly paddingMode?: string
}

/** What a convolution prints between its parentheses; what is at its default is left out. */
export function describeConv(layer: Convolution, { transposed = false } = {}): string {
  const { weight, bias, stride, padding, dilation, groups, paddingMode = 'zeros' } = layer
  const [first = 0, second = 0, ...kernel] = weight.shape
  const channels = transposed ? [first, second * groups] : [second * groups, first]
  const parts = [...channels, `kernel=${kernel.join('x')}`]
  if (stride.some((step) => step !== 1)) parts.push(`stride=${stride.join('x')}`)
  if (typeof padding === 'string') parts.push(`padding=${padding}`)
  else if (padding.some((size) => size !== 0)) parts.push(`padding=${padding.join('x')}`)
  if (dilation.some((step) => step !== 1)) parts.push(`dilation=${dilation.join('x')}`)
  if (groups !== 1) parts.push(`groups=${groups}`)
  if (!bias) parts.push('bias=false')
  if (paddingMode !== 'zeros') parts.push(`paddingMode=${paddingMode}`)
  return parts.join(', ')
}
