/** ConvTranspose1d, ConvTranspose2d and ConvTranspose3d: the gradients of convolutions as layers, as in `torch.nn`. */
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { convParameters, describeConv } from './conv.js'
import { Module } from './module.js'
import { type Optional, optional } from './optional.js'
import { type Size, sizes } from './size.js'

export interface ConvTransposeOptions {
  /** Distance of the input's elements in the output; default 1. */
  stride?: Size
  /** Elements cut off on each side; default 0. */
  padding?: Size
  /** Elements added after the end, less than the stride: which of the sizes that a convolution maps to the input's; default 0. */
  outputPadding?: Size
  /** Distance between the taps; default 1. */
  dilation?: Size
  /** Blocks of channels that do not see each other; default 1. */
  groups?: number
  /** Adds a learned constant per output channel; default true. */
  bias?: boolean
}

type ConvTransposeArguments = Optional<
  [stride: Size, padding: Size, outputPadding: Size, groups: number, bias: boolean, dilation: Size],
  ConvTransposeOptions
>

const transposes = [torch.convTranspose1d, torch.convTranspose2d, torch.convTranspose3d] as const

abstract class ConvTranspose extends Module {
  readonly weight: Tensor
  readonly bias: Tensor | null
  readonly stride: readonly number[]
  readonly padding: readonly number[]
  readonly outputPadding: readonly number[]
  readonly dilation: readonly number[]
  readonly groups: number

  constructor(
    rank: number,
    inputs: number,
    outputs: number,
    kernel: Size,
    rest: ConvTransposeArguments,
  ) {
    super()
    const options = optional<Required<ConvTransposeOptions>>(this.constructor.name, rest, {
      stride: 1,
      padding: 0,
      outputPadding: 0,
      groups: 1,
      bias: true,
      dilation: 1,
    })
    const { groups, bias } = options
    this.stride = sizes(options.stride, rank, { what: 'stride', least: 1 })
    this.padding = sizes(options.padding, rank, { what: 'padding' })
    this.outputPadding = sizes(options.outputPadding, rank, { what: 'outputPadding' })
    this.dilation = sizes(options.dilation, rank, { what: 'dilation', least: 1 })
    this.groups = groups
    const window = sizes(kernel, rank, { what: 'kernel', least: 1 })
    const shape = [inputs, outputs / groups, ...window]
    const parameters = convParameters(shape, { groups, bias, outputs })
    this.weight = parameters.weight
    this.bias = parameters.bias
  }

  forward(x: Tensor): Tensor {
    const { weight, bias, stride, padding, outputPadding, groups, dilation } = this
    const transpose = transposes[stride.length - 1] as (typeof transposes)[number]
    return transpose(x, weight, bias, stride, padding, outputPadding, groups, dilation)
  }

  protected override toStringExtra(): string {
    const text = describeConv(this, { transposed: true })
    return this.outputPadding.some((size) => size !== 0)
      ? `${text}, outputPadding=${this.outputPadding.join('x')}`
      : text
  }
}

/** x: [B, in, L] -> [B, out, L'], L' = (L - 1) stride - 2 padding + dilation (kernel - 1) + outputPadding + 1. */
export class ConvTranspose1d extends ConvTranspose {
  constructor(inputs: number, outputs: number, kernel: Size, ...rest: ConvTransposeArguments) {
    super(1, inputs, outputs, kernel, rest)
  }
}

/** x: [B, in, H, W] -> [B, out, H', W'], sizes as in ConvTranspose1d. */
export class ConvTranspose2d extends ConvTranspose {
  constructor(inputs: number, outputs: number, kernel: Size, ...rest: ConvTransposeArguments) {
    super(2, inputs, outputs, kernel, rest)
  }
}

/** x: [B, in, D, H, W] -> [B, out, D', H', W'], sizes as in ConvTranspose1d. */
export class ConvTranspose3d extends ConvTranspose {
  constructor(inputs: number, outputs: number, kernel: Size, ...rest: ConvTransposeArguments) {
    super(3, inputs, outputs, kernel, rest)
  }
}
