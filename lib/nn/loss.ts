/** Losses as layers, as in `torch.nn`: the functions of `nn.functional`, their options kept. */
import type { Tensor } from '../torch/index.js'
import type { LossOptions, Reduction } from './functional/index.js'
import * as functional from './functional/index.js'
import { Module } from './module.js'

abstract class Loss<Options extends { reduction?: string }> extends Module {
  constructor(protected readonly options: Options) {
    super()
  }

  protected override toStringExtra(): string {
    const { reduction = 'mean', ...others } = this.options
    return [['reduction', reduction], ...Object.entries(others)]
      .map(([name, value]) => `${name}=${value}`)
      .join(', ')
  }
}

/** |input - target|. */
export class L1Loss extends Loss<LossOptions> {
  constructor(options: LossOptions = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.l1Loss(input, target, this.options)
  }
}

/** (input - target)^2. */
export class MSELoss extends Loss<LossOptions> {
  constructor(options: LossOptions = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.mseLoss(input, target, this.options)
  }
}

/** d^2 / (2 beta) where d = |input - target| < beta, else d - beta / 2. */
export class SmoothL1Loss extends Loss<LossOptions & { beta?: number }> {
  constructor(options: LossOptions & { beta?: number } = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.smoothL1Loss(input, target, this.options)
  }
}

/** d^2 / 2 where d = |input - target| < delta, else delta (d - delta / 2). */
export class HuberLoss extends Loss<LossOptions & { delta?: number }> {
  constructor(options: LossOptions & { delta?: number } = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.huberLoss(input, target, this.options)
  }
}

/** target (log target - input), input being log-probabilities. */
export class KLDivLoss extends Loss<{ reduction?: Reduction | 'batchmean'; logTarget?: boolean }> {
  constructor(options: { reduction?: Reduction | 'batchmean'; logTarget?: boolean } = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.klDiv(input, target, this.options)
  }
}

/** exp(input) - target input, or input - target log(input + eps). */
export class PoissonNLLLoss extends Loss<
  LossOptions & { logInput?: boolean; full?: boolean; eps?: number }
> {
  constructor(options: LossOptions & { logInput?: boolean; full?: boolean; eps?: number } = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.poissonNllLoss(input, target, this.options)
  }
}

/** input where target is 1, max(0, margin - input) where it is -1. */
export class HingeEmbeddingLoss extends Loss<LossOptions & { margin?: number }> {
  constructor(options: LossOptions & { margin?: number } = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.hingeEmbeddingLoss(input, target, this.options)
  }
}

/** log(1 + exp(-target input)), target 1 or -1. */
export class SoftMarginLoss extends Loss<LossOptions> {
  constructor(options: LossOptions = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.softMarginLoss(input, target, this.options)
  }
}

/** (log variance + (input - target)^2 / variance) / 2, the variance at least eps. */
export class GaussianNLLLoss extends Loss<LossOptions & { full?: boolean; eps?: number }> {
  constructor(options: LossOptions & { full?: boolean; eps?: number } = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor, variance: Tensor): Tensor {
    return functional.gaussianNllLoss(input, target, variance, this.options)
  }
}

/** max(0, -target (input1 - input2) + margin), target 1 or -1. */
export class MarginRankingLoss extends Loss<LossOptions & { margin?: number }> {
  constructor(options: LossOptions & { margin?: number } = {}) {
    super(options)
  }

  forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    return functional.marginRankingLoss(input1, input2, target, this.options)
  }
}

/** 1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1. */
export class CosineEmbeddingLoss extends Loss<LossOptions & { margin?: number }> {
  constructor(options: LossOptions & { margin?: number } = {}) {
    super(options)
  }

  forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    return functional.cosineEmbeddingLoss(input1, input2, target, this.options)
  }
}

/** max(0, |anchor - positive|_p - |anchor - negative|_p + margin). */
export class TripletMarginLoss extends Loss<
  LossOptions & { margin?: number; p?: number; eps?: number; swap?: boolean }
> {
  constructor(
    options: LossOptions & { margin?: number; p?: number; eps?: number; swap?: boolean } = {},
  ) {
    super(options)
  }

  forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return functional.tripletMarginLoss(anchor, positive, negative, this.options)
  }
}

/** Losses with a weight for each class: a buffer, moved and saved with the module. */
abstract class WeightedLoss<Options extends LossOptions> extends Loss<Options> {
  readonly weight: Tensor | null

  constructor({ weight = null, ...options }: Options & { weight?: Tensor | null }) {
    super(options as unknown as Options)
    this.weight = weight && this.registerBuffer('weight', weight)
  }
}

/** -log softmax(input)[target]. input: [B, C, ...]; target: classes [B, ...], or probabilities of input's shape. */
export class CrossEntropyLoss extends WeightedLoss<
  LossOptions & { ignoreIndex?: number; labelSmoothing?: number }
> {
  constructor(
    options: LossOptions & { ignoreIndex?: number; labelSmoothing?: number } & {
      weight?: Tensor | null
    } = {},
  ) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.crossEntropy(input, target, { ...this.options, weight: this.weight })
  }
}

/** -input[target]. input: log-probabilities [B, C, ...]; target: classes [B, ...]. */
export class NLLLoss extends WeightedLoss<LossOptions & { ignoreIndex?: number }> {
  constructor(options: LossOptions & { ignoreIndex?: number } & { weight?: Tensor | null } = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.nllLoss(input, target, { ...this.options, weight: this.weight })
  }
}

/** -(t log p + (1 - t) log(1 - p)), p = input in 0..1. */
export class BCELoss extends WeightedLoss<LossOptions> {
  constructor(options: LossOptions & { weight?: Tensor | null } = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.binaryCrossEntropy(input, target, { ...this.options, weight: this.weight })
  }
}

/** sum over i other than target of max(0, margin - input[target] + input[i])^p / C. input: [B, C]. */
export class MultiMarginLoss extends WeightedLoss<LossOptions & { p?: number; margin?: number }> {
  constructor(
    options: LossOptions & { p?: number; margin?: number } & { weight?: Tensor | null } = {},
  ) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.multiMarginLoss(input, target, { ...this.options, weight: this.weight })
  }
}

/** As MultiMarginLoss with several classes a row: see `functional.multilabelMarginLoss`. */
export class MultiLabelMarginLoss extends Loss<LossOptions> {
  constructor(options: LossOptions = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return functional.multilabelMarginLoss(input, target, this.options)
  }
}

/** The mean over classes of BCEWithLogitsLoss. input, target: [B, C]. */
export class MultiLabelSoftMarginLoss extends WeightedLoss<LossOptions> {
  constructor(options: LossOptions & { weight?: Tensor | null } = {}) {
    super(options)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { options, weight } = this
    return functional.multilabelSoftMarginLoss(input, target, { ...options, weight })
  }
}

/** max(0, distance(anchor, positive) - distance(anchor, negative) + margin), by a distance of one's own. */
export class TripletMarginWithDistanceLoss extends Loss<functional.TripletDistanceOptions> {
  constructor(options: functional.TripletDistanceOptions = {}) {
    super(options)
  }

  forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return functional.tripletMarginWithDistanceLoss(anchor, positive, negative, this.options)
  }
}

/** BCELoss of sigmoid(input), without its overflow; `posWeight` multiplies the positive term. */
export class BCEWithLogitsLoss extends WeightedLoss<LossOptions> {
  readonly pos_weight: Tensor | null

  constructor({
    posWeight = null,
    ...options
  }: LossOptions & { weight?: Tensor | null; posWeight?: Tensor | null } = {}) {
    super(options)
    this.pos_weight = posWeight && this.registerBuffer('pos_weight', posWeight)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { options, weight, pos_weight: posWeight } = this
    return functional.binaryCrossEntropyWithLogits(input, target, { ...options, weight, posWeight })
  }
}

/** Connectionist temporal classification: see `functional.ctcLoss`. */
export class CTCLoss extends Loss<LossOptions & { blank?: number; zeroInfinity?: boolean }> {
  constructor(options: LossOptions & { blank?: number; zeroInfinity?: boolean } = {}) {
    super(options)
  }

  forward(
    logProbs: Tensor,
    targets: Tensor,
    inputLengths: readonly number[],
    targetLengths: readonly number[],
  ): Tensor {
    return functional.ctcLoss(logProbs, targets, inputLengths, targetLengths, this.options)
  }
}
