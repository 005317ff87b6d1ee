/** MaxUnpool and fractional max pooling, as in `torch.nn`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { wantTensor } from '../torch/wants.js'
import * as functional from './functional/index.js'
import { Module } from './module.js'
import { type Optional, optional } from './optional.js'
import { type Size, sizes } from './size.js'

type UnpoolArguments = Optional<[stride: Size, padding: Size], { stride?: Size; padding?: Size }>

/** Elements back to the places that `MaxPool.withIndices` told, zeros elsewhere. */
abstract class MaxUnpool extends Module {
  readonly stride: Size
  readonly padding: Size

  constructor(
    readonly rank: number,
    readonly kernel: Size,
    rest: UnpoolArguments,
  ) {
    super()
    const { stride, padding } = optional<{ stride: Size; padding: Size }>(
      this.constructor.name,
      rest,
      { stride: kernel, padding: 0 },
    )
    this.stride = stride
    this.padding = padding
  }

  /** `outputSize`: the size that was pooled, where several pool to x's. */
  forward(x: Tensor, indices: Tensor, outputSize: readonly number[] | null = null): Tensor {
    const { rank, kernel, stride, padding } = this
    return functional.maxUnpool(rank, x, indices, kernel, { stride, padding, outputSize })
  }

  protected override toStringExtra(): string {
    return `kernel=${this.kernel}, stride=${this.stride}, padding=${this.padding}`
  }
}

/** x: [B, C, L]. */
export class MaxUnpool1d extends MaxUnpool {
  constructor(kernel: Size, ...rest: UnpoolArguments) {
    super(1, kernel, rest)
  }
}

/** x: [B, C, H, W]. */
export class MaxUnpool2d extends MaxUnpool {
  constructor(kernel: Size, ...rest: UnpoolArguments) {
    super(2, kernel, rest)
  }
}

/** x: [B, C, D, H, W]. */
export class MaxUnpool3d extends MaxUnpool {
  constructor(kernel: Size, ...rest: UnpoolArguments) {
    super(3, kernel, rest)
  }
}

export interface FractionalOptions {
  /** Of the spatial dimensions; either this or `outputRatio`. */
  outputSize?: Size
  /** Output over input, between 0 and 1. */
  outputRatio?: number | readonly number[]
}

/** The largest elements of windows whose places are drawn anew each time (Graham 2015). */
abstract class FractionalMaxPool extends Module {
  readonly kernel: readonly number[]
  readonly outputSize: readonly number[] | null
  readonly outputRatio: readonly number[] | null

  constructor(
    readonly rank: 2 | 3,
    kernel: Size,
    options: FractionalOptions,
  ) {
    super()
    this.kernel = sizes(kernel, rank, { what: 'kernel', least: 1 })
    const given = optional<{
      outputSize: Size | null
      outputRatio: number | readonly number[] | null
    }>(this.constructor.name, [options], { outputSize: null, outputRatio: null })
    if ((given.outputSize === null) === (given.outputRatio === null)) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `${this.constructor.name} wants either outputSize or outputRatio.`,
      )
    }
    this.outputSize =
      given.outputSize === null
        ? null
        : sizes(given.outputSize, rank, { what: 'outputSize', least: 1 })
    const ratio = given.outputRatio
    this.outputRatio = typeof ratio === 'number' ? new Array<number>(rank).fill(ratio) : ratio
    if (this.outputRatio?.some((one) => !(one > 0 && one < 1))) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `outputRatio must be between 0 and 1, not ${this.outputRatio.join(', ')}.`,
      )
    }
  }

  forward(x: Tensor): Tensor {
    return torch.scope(() => this.withIndices(x)[0])
  }

  /** The largest elements, and where each was in x. */
  withIndices(x: Tensor): [Tensor, Tensor] {
    const { rank, kernel, outputRatio } = this
    wantTensor(x, 'the input')
    const spatial = x.shape.slice(x.ndim - rank)
    const size =
      this.outputSize ??
      spatial.map((length, i) => Math.trunc(length * (outputRatio?.[i] as number)))
    const [batch = 1, channels = 1] = x.ndim === rank + 2 ? x.shape : [1, x.shape[0]]
    const { dtype, device } = x
    const places = torch.rand([batch, channels, rank], { dtype, device })
    const pool = rank === 2 ? torch.fractionalMaxPool2d : torch.fractionalMaxPool3d
    const result = pool(x, kernel, size, places)
    places.dispose()
    return result
  }

  protected override toStringExtra(): string {
    const { kernel, outputSize, outputRatio } = this
    const target = outputSize ? `outputSize=${outputSize}` : `outputRatio=${outputRatio}`
    return `kernel=${kernel.join('x')}, ${target}`
  }
}

/** x: [B, C, H, W]. */
export class FractionalMaxPool2d extends FractionalMaxPool {
  constructor(kernel: Size, options: FractionalOptions) {
    super(2, kernel, options)
  }
}

/** x: [B, C, D, H, W]. */
export class FractionalMaxPool3d extends FractionalMaxPool {
  constructor(kernel: Size, options: FractionalOptions) {
    super(3, kernel, options)
  }
}
