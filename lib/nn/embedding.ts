/** Embedding and EmbeddingBag: rows of a learned table by their numbers, as in `torch.nn`. */
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { paddingRow } from './functional/embedding.js'
import {
  type BagMode,
  type EmbeddingSettings,
  embedding,
  embeddingBag,
} from './functional/index.js'
import * as init from './init.js'
import { Module, parameter } from './module.js'
import { type Optional, optional } from './optional.js'

/** `paddingIdx`: this row starts at zero besides. */
export type EmbeddingOptions = EmbeddingSettings

/** Rows from the standard normal distribution, the padding row zero. */
function table(count: number, width: number, paddingIdx: number | null): Tensor {
  const weight = init.normal_(torch.empty([count, width]))
  if (paddingIdx !== null) {
    torch.noGrad(() => torch.scope(() => void weight.select(0, paddingIdx).fill_(0)))
  }
  return parameter(weight)
}

const defaults: Required<EmbeddingOptions> = {
  paddingIdx: null,
  maxNorm: null,
  normType: 2,
  scaleGradByFreq: false,
}

/** y[...] = weight[x[...]]. x: int64 or int32 [...] -> [..., width]. */
export class Embedding extends Module {
  readonly weight: Tensor
  readonly options: Required<EmbeddingOptions>

  constructor(
    count: number,
    width: number,
    ...rest: Optional<[paddingIdx: number | null, maxNorm: number | null], EmbeddingOptions>
  ) {
    super()
    const options = optional(this.constructor.name, rest, defaults)
    const paddingIdx = paddingRow(count, options.paddingIdx)
    this.options = { ...options, paddingIdx }
    this.weight = table(count, width, paddingIdx)
  }

  /** A table of these rows, [count, width], which the module takes over; frozen (the default) it is not trained. */
  static fromPretrained(
    rows: Tensor,
    { freeze = true, ...options }: EmbeddingOptions & { freeze?: boolean } = {},
  ): Embedding {
    const [count = 0, width = 0] = rows.shape
    const module = new Embedding(count, width, options)
    module.loadStateDict({ weight: rows }, { assign: true })
    module.requiresGrad_(!freeze)
    return module
  }

  forward(x: Tensor): Tensor {
    return embedding(x, this.weight, this.options)
  }

  protected override toStringExtra(): string {
    const { paddingIdx } = this.options
    return `${this.weight.shape.join(', ')}${paddingIdx === null ? '' : `, paddingIdx=${paddingIdx}`}`
  }
}

export interface EmbeddingBagOptions extends EmbeddingOptions {
  /** How the rows of a bag become one; default 'mean'. */
  mode?: BagMode
  /** The offsets have one more entry: the end of the last bag; default false. */
  includeLastOffset?: boolean
}

/** The rows of each bag reduced to one, without making them all. */
export class EmbeddingBag extends Module {
  readonly weight: Tensor
  readonly options: Required<EmbeddingBagOptions>

  constructor(count: number, width: number, options: EmbeddingBagOptions = {}) {
    super()
    const found = optional<Required<EmbeddingBagOptions>>(this.constructor.name, [options], {
      ...defaults,
      mode: 'mean',
      includeLastOffset: false,
    })
    const paddingIdx = paddingRow(count, found.paddingIdx)
    this.options = { ...found, paddingIdx }
    this.weight = table(count, width, paddingIdx)
  }

  /**
   * x: [bags, length], or [n] with `offsets`: where each bag starts. `perSampleWeights`: x's shape, for mode 'sum'.
   * -> [bags, width]
   */
  forward(
    x: Tensor,
    offsets: Tensor | null = null,
    perSampleWeights: Tensor | null = null,
  ): Tensor {
    return embeddingBag(x, this.weight, offsets, { ...this.options, perSampleWeights })
  }

  protected override toStringExtra(): string {
    return `${this.weight.shape.join(', ')}, mode=${this.options.mode}`
  }
}
