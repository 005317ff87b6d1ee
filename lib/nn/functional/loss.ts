/** Losses with PyTorch's names and defaults; `reduction` is 'mean' unless told (`torch.nn.functional`). */
import { LandmarkDiffusionError } from '../../errors.js'
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'

/** How the elements' losses become one: their mean, their sum, or not at all. */
export type Reduction = 'none' | 'mean' | 'sum'

export interface LossOptions {
  /** Default 'mean'. */
  reduction?: Reduction
}

const numbers = { none: 0, mean: 1, sum: 2 } as const

/** libtorch's number of a reduction. */
function number({ reduction = 'mean' }: LossOptions): number {
  if (!Object.hasOwn(numbers, reduction)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `reduction is 'none', 'mean' or 'sum', not '${reduction}'.`,
    )
  }
  return numbers[reduction]
}

function reduce(losses: Tensor, { reduction = 'mean' }: LossOptions): Tensor {
  number({ reduction })
  if (reduction === 'none') return losses
  return reduction === 'mean' ? losses.mean() : losses.sum()
}

/** |input - target|. */
export function l1Loss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  return torch.l1Loss(input, target, number(options))
}

/** (input - target)^2. */
export function mseLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  return torch.mseLoss(input, target, number(options))
}

/** d^2 / (2 beta) where d = |input - target| < beta, else d - beta / 2 (Girshick 2015). */
export function smoothL1Loss(
  input: Tensor,
  target: Tensor,
  options: LossOptions & { beta?: number } = {},
): Tensor {
  return torch.smoothL1Loss(input, target, number(options), options.beta ?? 1)
}

/** d^2 / 2 where d = |input - target| < delta, else delta (d - delta / 2) (Huber 1964). */
export function huberLoss(
  input: Tensor,
  target: Tensor,
  options: LossOptions & { delta?: number } = {},
): Tensor {
  return torch.huberLoss(input, target, number(options), options.delta ?? 1)
}

export interface ClassOptions extends LossOptions {
  /** One per class: [C]. */
  weight?: Tensor | null
  /** Targets of this value count for nothing; default -100. */
  ignoreIndex?: number
}

/**
 * -log softmax(input)[target]. input: [B, C, ...] or [C]; target: int64 classes [B, ...], or
 * probabilities of input's shape.
 */
export function crossEntropy(
  input: Tensor,
  target: Tensor,
  options: ClassOptions & { labelSmoothing?: number } = {},
): Tensor {
  const { weight = null, ignoreIndex = -100, labelSmoothing = 0 } = options
  return torch.crossEntropyLoss(input, target, weight, number(options), ignoreIndex, labelSmoothing)
}

/** -input[target]. input: log-probabilities [B, C, ...] or [C]; target: int64 classes [B, ...]. */
export function nllLoss(input: Tensor, target: Tensor, options: ClassOptions = {}): Tensor {
  const { weight = null, ignoreIndex = -100 } = options
  return torch.nllLossNd(input, target, weight, number(options), ignoreIndex)
}

/** -(t log p + (1 - t) log(1 - p)), p = input in 0..1. */
export function binaryCrossEntropy(
  input: Tensor,
  target: Tensor,
  options: LossOptions & { weight?: Tensor | null } = {},
): Tensor {
  return torch.binaryCrossEntropy(input, target, options.weight ?? null, number(options))
}

/** binaryCrossEntropy of sigmoid(input), without its overflow. `posWeight` multiplies the positive term. */
export function binaryCrossEntropyWithLogits(
  input: Tensor,
  target: Tensor,
  options: LossOptions & { weight?: Tensor | null; posWeight?: Tensor | null } = {},
): Tensor {
  const { weight = null, posWeight = null } = options
  return torch.binaryCrossEntropyWithLogits(input, target, weight, posWeight, number(options))
}

/** target (log target - input), input being log-probabilities; 'batchmean' divides the sum by the batch. */
export function klDiv(
  input: Tensor,
  target: Tensor,
  options: { reduction?: Reduction | 'batchmean'; logTarget?: boolean } = {},
): Tensor {
  const { reduction = 'mean', logTarget = false } = options
  if (reduction !== 'batchmean') {
    return torch.klDiv(input, target, number({ reduction }), { logTarget })
  }
  return torch.scope(() => {
    const sum = torch.klDiv(input, target, numbers.sum, { logTarget })
    return sum.div(input.shape[0] || 1)
  })
}

/** exp(input) - target input with `logInput`, else input - target log(input + eps); `full` adds Stirling's term. */
export function poissonNllLoss(
  input: Tensor,
  target: Tensor,
  options: LossOptions & { logInput?: boolean; full?: boolean; eps?: number } = {},
): Tensor {
  const { logInput = true, full = false, eps = 1e-8 } = options
  return torch.poissonNllLoss(input, target, logInput, full, eps, number(options))
}

/** (log max(variance, eps) + (input - target)^2 / max(variance, eps)) / 2; `full` adds log(2 pi) / 2. */
export function gaussianNllLoss(
  input: Tensor,
  target: Tensor,
  variance: Tensor,
  options: LossOptions & { full?: boolean; eps?: number } = {},
): Tensor {
  const { full = false, eps = 1e-6 } = options
  return torch.scope(() => {
    // The floor takes part in no gradient, as in PyTorch.
    const floored = torch.noGrad(() => torch.clampMin(variance, eps).sub(variance))
    const safe = torch.add(variance, floored)
    const losses = safe.log().add(torch.sub(input, target).square().div(safe)).mul(0.5)
    return reduce(full ? losses.add(0.5 * Math.log(2 * Math.PI)) : losses, options)
  })
}

/** max(0, -target (input1 - input2) + margin), target 1 or -1. */
export function marginRankingLoss(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  options: LossOptions & { margin?: number } = {},
): Tensor {
  return torch.marginRankingLoss(input1, input2, target, options.margin ?? 0, number(options))
}

/** input where target is 1, max(0, margin - input) where it is -1. */
export function hingeEmbeddingLoss(
  input: Tensor,
  target: Tensor,
  options: LossOptions & { margin?: number } = {},
): Tensor {
  return torch.hingeEmbeddingLoss(input, target, options.margin ?? 1, number(options))
}

/** 1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1. */
export function cosineEmbeddingLoss(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  options: LossOptions & { margin?: number } = {},
): Tensor {
  return torch.cosineEmbeddingLoss(input1, input2, target, options.margin ?? 0, number(options))
}

/** max(0, |anchor - positive|_p - |anchor - negative|_p + margin) (Balntas et al. 2016). All [B, D]. */
export function tripletMarginLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: LossOptions & { margin?: number; p?: number; eps?: number; swap?: boolean } = {},
): Tensor {
  const { margin = 1, p = 2, eps = 1e-6, swap = false } = options
  return torch.tripletMarginLoss(anchor, positive, negative, margin, p, eps, swap, number(options))
}

/** log(1 + exp(-target input)), target 1 or -1. */
export function softMarginLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  return torch.softMarginLoss(input, target, number(options))
}

/** sum over classes i other than target of max(0, margin - input[target] + input[i])^p / C. input: [B, C]. */
export function multiMarginLoss(
  input: Tensor,
  target: Tensor,
  options: LossOptions & { p?: number; margin?: number; weight?: Tensor | null } = {},
): Tensor {
  const { p = 1, margin = 1, weight = null } = options
  return torch.multiMarginLoss(input, target, p, margin, weight, number(options))
}

/**
 * Connectionist temporal classification (Graves et al. 2006). logProbs: [T, B, C] log-probabilities;
 * targets: int64 [B, S] or [sum of targetLengths]; lengths: one per sample.
 */
export function ctcLoss(
  logProbs: Tensor,
  targets: Tensor,
  inputLengths: readonly number[],
  targetLengths: readonly number[],
  options: LossOptions & { blank?: number; zeroInfinity?: boolean } = {},
): Tensor {
  const { blank = 0, zeroInfinity = false } = options
  return torch.call('aten::ctc_loss.IntList', [
    logProbs,
    targets,
    inputLengths,
    targetLengths,
    blank,
    number(options),
    zeroInfinity,
  ]) as Tensor
}

/** As `multiMarginLoss` with several classes each: input [B, C]; target int64 [B, C], a row's classes first, then -1. */
export function multilabelMarginLoss(
  input: Tensor,
  target: Tensor,
  options: LossOptions = {},
): Tensor {
  return torch.multilabelMarginLoss(input, target, number(options))
}

/** The mean over classes of binaryCrossEntropyWithLogits, target 0 or 1. input, target: [B, C]. */
export function multilabelSoftMarginLoss(
  input: Tensor,
  target: Tensor,
  options: LossOptions & { weight?: Tensor | null } = {},
): Tensor {
  const { weight = null } = options
  return torch.scope(() => {
    const losses = torch
      .mul(target, torch.logSigmoid(input))
      .add(
        torch
          .neg(target)
          .add(1)
          .mul(torch.logSigmoid(torch.neg(input))),
      )
      .neg()
    const weighted = weight === null ? losses : losses.mul(weight)
    return reduce(weighted.mean([input.ndim - 1]), options)
  })
}

export interface TripletDistanceOptions extends LossOptions {
  /** Of two tensors [B, D], [B]; default the Euclidean distance. */
  distanceFunction?: ((a: Tensor, b: Tensor) => Tensor) | null
  /** Default 1. */
  margin?: number
  /** Takes the nearer of anchor and positive as the negative's partner (Balntas et al. 2016); default false. */
  swap?: boolean
}

/** max(0, distance(anchor, positive) - distance(anchor, negative) + margin). All [B, D]. */
export function tripletMarginWithDistanceLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: TripletDistanceOptions = {},
): Tensor {
  const { distanceFunction, margin = 1, swap = false } = options
  const distance = distanceFunction ?? ((a: Tensor, b: Tensor) => torch.pairwiseDistance(a, b))
  return torch.scope(() => {
    const near = distance(anchor, positive)
    const far = distance(anchor, negative)
    const farther = swap ? torch.minimum(far, distance(positive, negative)) : far
    return reduce(near.sub(farther).add(margin).clampMin(0), options)
  })
}
