/** Sampling and windows of images (`torch.nn.functional`). */
import { LandmarkDiffusionError } from '../../errors.js'
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'
import { type Optional, optional } from '../optional.js'
import { type Size, sizes } from '../size.js'

const modes = ['bilinear', 'nearest', 'bicubic'] as const
const borders = ['zeros', 'border', 'reflection'] as const

export interface GridSampleOptions {
  /** Default 'bilinear'; for volumes that is trilinear. */
  mode?: (typeof modes)[number]
  /** What lies outside; default 'zeros'. */
  paddingMode?: (typeof borders)[number]
  /** -1 and 1 are the centres of the corner elements instead of their outer corners; default false. */
  alignCorners?: boolean
}

function numberOf(what: string, names: readonly string[], name: string): number {
  const index = names.indexOf(name)
  if (index >= 0) return index
  const list = names.map((one) => `'${one}'`).join(', ')
  throw new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `gridSample: ${what} is one of ${list}, not '${name}'.`,
  )
}

/** x at the places of `grid`, (x, y) or (x, y, z) from -1 to 1. x: [B, C, H, W], grid: [B, H', W', 2] -> [B, C, H', W']. */
export function gridSample(
  x: Tensor,
  grid: Tensor,
  ...rest: Optional<
    [mode: (typeof modes)[number], paddingMode: (typeof borders)[number], alignCorners: boolean],
    GridSampleOptions
  >
): Tensor {
  const { mode, paddingMode, alignCorners } = optional<Required<GridSampleOptions>>(
    'gridSample',
    rest,
    { mode: 'bilinear', paddingMode: 'zeros', alignCorners: false },
  )
  const sampling = numberOf('mode', modes, mode)
  const border = numberOf('paddingMode', borders, paddingMode)
  return torch.gridSampler(x, grid, sampling, border, alignCorners)
}

/** The grid of an affine map. theta: [B, 2, 3], size: [B, C, H, W] -> [B, H, W, 2] (or 3-D alike). */
export function affineGrid(
  theta: Tensor,
  size: readonly number[],
  ...rest: Optional<[alignCorners: boolean], { alignCorners?: boolean }>
): Tensor {
  const { alignCorners } = optional('affineGrid', rest, { alignCorners: false })
  return torch.affineGridGenerator(theta, size, alignCorners)
}

export interface WindowSettings {
  /** Distance between the taps; default 1. */
  dilation?: Size
  /** Zeros added on each side; default 0. */
  padding?: Size
  /** Step between windows; default 1. */
  stride?: Size
}

type WindowArguments = Optional<[dilation: Size, padding: Size, stride: Size], WindowSettings>

function windows(
  name: string,
  kernel: Size,
  rest: WindowArguments,
): [number[], number[], number[], number[]] {
  const defaults: Required<WindowSettings> = { dilation: 1, padding: 0, stride: 1 }
  const { dilation, padding, stride } = optional(name, rest, defaults)
  return [
    sizes(kernel, 2, { what: 'kernel', least: 1 }),
    sizes(dilation, 2, { what: 'dilation', least: 1 }),
    sizes(padding, 2, { what: 'padding' }),
    sizes(stride, 2, { what: 'stride', least: 1 }),
  ]
}

/** Windows as columns: [B, C, H, W] -> [B, C kernel, windows]. */
export function unfold(x: Tensor, kernel: Size, ...rest: WindowArguments): Tensor {
  return torch.im2col(x, ...windows('unfold', kernel, rest))
}

/** Columns summed back into an image of `outputSize`: [B, C kernel, windows] -> [B, C, ...outputSize]. */
export function fold(x: Tensor, outputSize: Size, kernel: Size, ...rest: WindowArguments): Tensor {
  const size = sizes(outputSize, 2, { what: 'outputSize', least: 1 })
  return torch.col2im(x, size, ...windows('fold', kernel, rest))
}
