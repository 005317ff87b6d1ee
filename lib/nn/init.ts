/**
 * Initial values, with the formulae and the random stream of `torch.nn.init`: after the same
 * `manualSeed` the same layers get the same numbers as in PyTorch. All work in place, record no
 * gradient, and return the tensor that they were given (`truncNormal_` a promise of it).
 */

import { LandmarkDiffusionError } from '../errors.js'
import type { Generator, Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { wantTensor } from '../torch/wants.js'
import { type Optional, optional } from './optional.js'

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

export interface TruncNormalOptions extends InitOptions {
  /** Of the normal distribution before it is cut; default 0. */
  mean?: number
  /** Of the normal distribution before it is cut; default 1. */
  std?: number
  /** Least value; default -2. */
  a?: number
  /** Largest value; default 2. */
  b?: number
}

/**
 * Normal, cut to [a, b]: values outside are drawn again until there are none, from the normal
 * distribution where [a, b] holds more than 0.3 of it, else from the uniform one with rejection.
 * How often depends on the values, so this one is a promise.
 */
export async function truncNormal_(
  tensor: Tensor,
  ...rest: Optional<[mean: number, std: number, a: number, b: number], TruncNormalOptions>
): Promise<Tensor> {
  const {
    mean,
    std,
    a: low,
    b: high,
    ...options
  } = optional<Required<Omit<TruncNormalOptions, 'generator'>> & InitOptions>(
    'truncNormal_',
    rest,
    {
      mean: 0,
      std: 1,
      a: -2,
      b: 2,
      ...generatorOnly,
    },
  )
  wantTensor(tensor, "truncNormal_()'s tensor")
  // Else no value would ever lie inside.
  if (!(Number.isFinite(mean) && Number.isFinite(std) && std > 0)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `truncNormal_ needs a mean and a positive std, not ${mean} and ${std}.`,
    )
  }
  if (!(low < high)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `truncNormal_ needs a < b, not ${low} and ${high}.`,
    )
  }
  await torch.noGrad(() =>
    torch.scopeAsync(async () => {
      const bounds = [low, high].map((bound) => (bound - mean) / std / Math.SQRT2)
      const [below = 0, upTo = 0] = await torch
        .erf(torch.tensor(bounds, { dtype: 'float64' }))
        .data()
      const draw = (Number(upTo) - Number(below)) / 2 > 0.3 ? redrawNormal : rejectUniform
      await draw(tensor, { mean, std, low, high, options })
    }),
  )
  return tensor
}

interface Truncation {
  mean: number
  std: number
  low: number
  high: number
  options: InitOptions
}

async function redrawNormal(tensor: Tensor, truncation: Truncation): Promise<void> {
  const { mean, std, low, high, options } = truncation
  normal_(tensor, mean, std, options)
  for (;;) {
    const outside = tensor.lt(low).logicalOr(tensor.gt(high))
    if (!(await outside.any().item())) return
    const again = normal_(torch.emptyLike(tensor), mean, std, options)
    tensor.copy_(torch.where(outside, again, tensor) as Tensor)
  }
}

/** A uniform candidate is kept with probability pdf(candidate) / pdf(mode). */
async function rejectUniform(tensor: Tensor, truncation: Truncation): Promise<void> {
  const { mean, std, low, high, options } = truncation
  const logPeak = -0.5 * ((Math.max(low, Math.min(mean, high)) - mean) / std) ** 2
  const refused = (candidates: Tensor) => {
    const logPdf = candidates.sub(mean).div(std).square().mul(-0.5).sub(logPeak)
    return uniform_(torch.emptyLike(tensor), 0, 1, options).log().gt(logPdf)
  }
  uniform_(tensor, low, high, options)
  let pending = refused(tensor)
  while (await pending.any().item()) {
    const candidates = uniform_(torch.emptyLike(tensor), low, high, options)
    tensor.copy_(torch.where(pending, candidates, tensor) as Tensor)
    pending = pending.logicalAnd(refused(candidates))
  }
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

/** Ones on the diagonal of a matrix, zeros elsewhere. */
export function eye_(tensor: Tensor): Tensor {
  wantTensor(tensor, "eye_()'s tensor")
  const [rows = 0, columns = 0] = tensor.shape
  if (tensor.ndim !== 2) throw new LandmarkDiffusionError('ERR_SCHEMA', 'eye_ wants a matrix.')
  return fill(tensor, () => torch.call('aten::eye.m_out', [rows, columns], { out: tensor }))
}

/** A convolution weight that hands on as many input channels as it can, in each of `groups` groups. */
export function dirac_(
  tensor: Tensor,
  ...rest: Optional<[groups: number], { groups?: number }>
): Tensor {
  const { groups } = optional('dirac_', rest, { groups: 1 })
  wantTensor(tensor, "dirac_()'s tensor")
  const [outputs = 0, inputs = 0, ...kernel] = tensor.shape
  if (kernel.length < 1 || kernel.length > 3)
    throw new LandmarkDiffusionError('ERR_SCHEMA', 'dirac_ wants a convolution weight.')
  if (outputs % groups !== 0) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `dirac_ cannot split ${outputs} output channels into ${groups} groups.`,
    )
  }
  const each = outputs / groups
  return fill(tensor, () => {
    tensor.fill_(0)
    for (let group = 0; group < groups; group++) {
      for (let channel = 0; channel < Math.min(each, inputs); channel++) {
        let tap = tensor.select(0, group * each + channel).select(0, channel)
        for (const length of kernel) tap = tap.select(0, Math.floor(length / 2))
        tap.fill_(1)
      }
    }
  })
}

/** Orthogonal rows or columns, times `gain` (Saxe et al. 2013); more than two dimensions count as [first, rest]. */
export function orthogonal_(
  tensor: Tensor,
  ...rest: Optional<[gain: number], GainOptions>
): Tensor {
  wantTensor(tensor, "orthogonal_()'s tensor")
  const { gain, ...options } = withGain('orthogonal_', rest)
  const [rows = 0] = tensor.shape
  if (tensor.ndim < 2)
    throw new LandmarkDiffusionError('ERR_SCHEMA', 'orthogonal_ wants two dimensions or more.')
  if (tensor.numel === 0) return tensor
  const columns = tensor.numel / rows
  return fill(tensor, () => {
    const { dtype, device } = tensor
    const drawn = normal_(torch.empty([rows, columns], { dtype, device }), 0, 1, options)
    const tall = rows < columns ? drawn.t() : drawn
    const [q, r] = torch.call('aten::linalg_qr', [tall]) as [Tensor, Tensor]
    const signed = q.mul(r.diagonal().sign())
    tensor.copy_((rows < columns ? signed.t() : signed).reshape([...tensor.shape]).mul(gain))
  })
}

/** Zero but for a normal distribution of `std` in a share of 1 - `sparsity` of the rows of each column (Martens 2010). */
export function sparse_(
  tensor: Tensor,
  sparsity: number,
  ...rest: Optional<[std: number], InitOptions & { std?: number }>
): Tensor {
  const { std, ...options } = optional<{ std: number } & InitOptions>('sparse_', rest, {
    std: 0.01,
    ...generatorOnly,
  })
  wantTensor(tensor, "sparse_()'s tensor")
  const [rows = 0, columns = 0] = tensor.shape
  if (tensor.ndim !== 2) throw new LandmarkDiffusionError('ERR_SCHEMA', 'sparse_ wants a matrix.')
  const zeros = Math.ceil(sparsity * rows)
  return fill(tensor, () => {
    normal_(tensor, 0, std, options)
    for (let column = 0; column < columns; column++) {
      const chosen = torch.randperm(rows).narrow(0, 0, zeros)
      tensor.select(1, column).indexFill_(0, chosen, 0)
    }
  })
}

/** Non-linearities by the names of `torch.nn.init.calculate_gain`. */
export type Nonlinearity = 'linear' | 'sigmoid' | 'tanh' | 'relu' | 'leaky_relu' | 'selu'

/** What keeps the variance through the non-linearity; `slope` is leaky ReLU's. */
export function calculateGain(nonlinearity: Nonlinearity, slope = 0.01): number {
  const gains: Record<Nonlinearity, number> = {
    linear: 1,
    sigmoid: 1,
    tanh: 5 / 3,
    relu: Math.SQRT2,
    leaky_relu: Math.sqrt(2 / (1 + slope ** 2)),
    selu: 3 / 4,
  }
  return gains[nonlinearity]
}

export interface KaimingOptions extends InitOptions {
  /** Slope of leaky ReLU; PyTorch's layers use sqrt(5), which gives +-1 / sqrt(fanIn); default 0. */
  a?: number
  /** Keeps the variance of the forward ('fan_in', default) or of the backward pass ('fan_out'). */
  mode?: 'fan_in' | 'fan_out'
  /** Default 'leaky_relu'. */
  nonlinearity?: Nonlinearity
}

type KaimingArguments = Optional<
  [a: number, mode: 'fan_in' | 'fan_out', nonlinearity: Nonlinearity],
  KaimingOptions
>

function kaiming(
  name: string,
  tensor: Tensor,
  rest: KaimingArguments,
): { std: number; options: InitOptions } {
  const { a, mode, nonlinearity, ...options } = optional<
    Required<Omit<KaimingOptions, 'generator'>> & InitOptions
  >(name, rest, { a: 0, mode: 'fan_in', nonlinearity: 'leaky_relu', ...generatorOnly })
  const { fanIn, fanOut } = fans(tensor)
  const fan = mode === 'fan_in' ? fanIn : fanOut
  return { std: calculateGain(nonlinearity, a) / Math.sqrt(fan), options }
}

/** Uniform in +-sqrt(3) * gain / sqrt(fan) (He et al. 2015). */
export function kaimingUniform_(tensor: Tensor, ...rest: KaimingArguments): Tensor {
  const { std, options } = kaiming('kaimingUniform_', tensor, rest)
  const bound = Math.sqrt(3) * std
  return uniform_(tensor, -bound, bound, options)
}

/** Normal with standard deviation gain / sqrt(fan) (He et al. 2015). */
export function kaimingNormal_(tensor: Tensor, ...rest: KaimingArguments): Tensor {
  const { std, options } = kaiming('kaimingNormal_', tensor, rest)
  return normal_(tensor, 0, std, options)
}

/** Uniform in +-gain * sqrt(6 / (fanIn + fanOut)) (Glorot and Bengio 2010). */
export function xavierUniform_(
  tensor: Tensor,
  ...rest: Optional<[gain: number], GainOptions>
): Tensor {
  const { gain, ...options } = withGain('xavierUniform_', rest)
  const { fanIn, fanOut } = fans(tensor)
  const bound = Math.sqrt(3) * (gain * Math.sqrt(2 / (fanIn + fanOut)))
  return uniform_(tensor, -bound, bound, options)
}

/** Normal with standard deviation gain * sqrt(2 / (fanIn + fanOut)) (Glorot and Bengio 2010). */
export function xavierNormal_(
  tensor: Tensor,
  ...rest: Optional<[gain: number], GainOptions>
): Tensor {
  const { gain, ...options } = withGain('xavierNormal_', rest)
  const { fanIn, fanOut } = fans(tensor)
  return normal_(tensor, 0, gain * Math.sqrt(2 / (fanIn + fanOut)), options)
}

export interface Fans {
  /** Inputs that one output sums over. */
  fanIn: number
  /** Outputs that one input reaches. */
  fanOut: number
}

/** Fans of a weight of shape [out, in, ...kernel]. */
export function fans(weight: Tensor): Fans {
  wantTensor(weight, 'the weight')
  const [out, inputs, ...kernel] = weight.shape
  if (out === undefined || inputs === undefined) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `A weight of shape [${weight.shape.join(', ')}] has no fan: 2-D or more.`,
    )
  }
  const window = kernel.reduce((a, b) => a * b, 1)
  return { fanIn: inputs * window, fanOut: out * window }
}

interface GainOptions extends InitOptions {
  /** Multiplies what is drawn; default 1. */
  gain?: number
}

/** For `optional`: the option is known, and absent by default. */
const generatorOnly: InitOptions = { generator: undefined as unknown as Generator }

function withGain(name: string, rest: readonly unknown[]): { gain: number } & InitOptions {
  return optional(name, rest, { gain: 1, ...generatorOnly })
}

let skipping = false

/**
 * Makes modules without their initial values: what `make` builds has whatever its memory held, and draws no random
 * numbers. For modules whose weights are loaded next. As `torch.nn.utils.skip_init`.
 */
export function skipInit<T>(make: () => T): T {
  const before = skipping
  skipping = true
  try {
    return make()
  } finally {
    skipping = before
  }
}

function fill(tensor: Tensor, write: () => unknown): Tensor {
  wantTensor(tensor, 'what is filled')
  if (skipping) return tensor
  torch.noGrad(() => {
    torch.scope(() => {
      write()
    })
  })
  return tensor
}
