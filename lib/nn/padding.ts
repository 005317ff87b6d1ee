/** Padding by a constant, by reflection, by the border and around, as in `torch.nn`. */
import { LandmarkDiffusionError, shown } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import { type PadMode, pad } from './functional/index.js'
import { Module } from './module.js'

/** Elements on every side, or before and after each dimension, the last dimension first. */
export type Padding = number | readonly number[]

abstract class Pad extends Module {
  readonly padding: readonly number[]

  constructor(
    rank: number,
    padding: Padding,
    readonly mode: 'constant' | PadMode,
    readonly value = 0,
  ) {
    super()
    const given = typeof padding === 'number' ? new Array<number>(2 * rank).fill(padding) : padding
    this.padding = Array.isArray(given) ? given : []
    if (this.padding.length !== 2 * rank || !this.padding.every(Number.isInteger)) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `Padding of ${rank} dimensions wants one whole number or ${2 * rank} of them, not ${shown(padding)}.`,
      )
    }
  }

  forward(x: Tensor): Tensor {
    return pad(x, this.padding, { mode: this.mode, value: this.value })
  }

  protected override toStringExtra(): string {
    return this.padding.join(', ') + (this.value === 0 ? '' : `, value=${this.value}`)
  }
}

/** x: [..., L], `value` outside. */
export class ConstantPad1d extends Pad {
  constructor(padding: Padding, value: number) {
    super(1, padding, 'constant', value)
  }
}

/** x: [..., H, W], `value` outside. */
export class ConstantPad2d extends Pad {
  constructor(padding: Padding, value: number) {
    super(2, padding, 'constant', value)
  }
}

/** x: [..., D, H, W], `value` outside. */
export class ConstantPad3d extends Pad {
  constructor(padding: Padding, value: number) {
    super(3, padding, 'constant', value)
  }
}

/** x: [..., L], zeros outside. */
export class ZeroPad1d extends ConstantPad1d {
  constructor(padding: Padding) {
    super(padding, 0)
  }
}

/** x: [..., H, W], zeros outside. */
export class ZeroPad2d extends ConstantPad2d {
  constructor(padding: Padding) {
    super(padding, 0)
  }
}

/** x: [..., D, H, W], zeros outside. */
export class ZeroPad3d extends ConstantPad3d {
  constructor(padding: Padding) {
    super(padding, 0)
  }
}

/** x: [B, C, L], mirrored at the border element. */
export class ReflectionPad1d extends Pad {
  constructor(padding: Padding) {
    super(1, padding, 'reflect')
  }
}

/** x: [B, C, H, W], mirrored at the border elements. */
export class ReflectionPad2d extends Pad {
  constructor(padding: Padding) {
    super(2, padding, 'reflect')
  }
}

/** x: [B, C, D, H, W], mirrored at the border elements. */
export class ReflectionPad3d extends Pad {
  constructor(padding: Padding) {
    super(3, padding, 'reflect')
  }
}

/** x: [B, C, L], the border element repeated. */
export class ReplicationPad1d extends Pad {
  constructor(padding: Padding) {
    super(1, padding, 'replicate')
  }
}

/** x: [B, C, H, W], the border elements repeated. */
export class ReplicationPad2d extends Pad {
  constructor(padding: Padding) {
    super(2, padding, 'replicate')
  }
}

/** x: [B, C, D, H, W], the border elements repeated. */
export class ReplicationPad3d extends Pad {
  constructor(padding: Padding) {
    super(3, padding, 'replicate')
  }
}

/** x: [B, C, L], continued from the other end. */
export class CircularPad1d extends Pad {
  constructor(padding: Padding) {
    super(1, padding, 'circular')
  }
}

/** x: [B, C, H, W], continued from the other end. */
export class CircularPad2d extends Pad {
  constructor(padding: Padding) {
    super(2, padding, 'circular')
  }
}

/** x: [B, C, D, H, W], continued from the other end. */
export class CircularPad3d extends Pad {
  constructor(padding: Padding) {
    super(3, padding, 'circular')
  }
}
