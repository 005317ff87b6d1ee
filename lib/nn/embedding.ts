/** Embedding and EmbeddingBag: rows of a learned table by their numbers, as in `torch.nn`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import * as init from './init.js'
import { Module, parameter } from './module.js'

export interface EmbeddingOptions {
  /** This row starts at zero and gets no gradient; negative counts from the end. */
  paddingIdx?: number | null
}

/** Rows from the standard normal distribution, the padding row zero. */
function table(count: number, width: number, paddingIdx: number | null): Tensor {
  const weight = init.normal_(torch.empty([count, width]))
  if (paddingIdx !== null) {
    torch.noGrad(() => torch.scope(() => void weight.select(0, paddingIdx).fill_(0)))
  }
  return parameter(weight)
}

function paddingRow(count: number, paddingIdx: number | null = null): number | null {
  if (paddingIdx === null) return null
  const row = paddingIdx < 0 ? paddingIdx + count : paddingIdx
  if (!Number.isInteger(row) || row < 0 || row >= count) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `paddingIdx ${paddingIdx} is no row of a table of ${count}.`,
    )
  }
  return row
}

/** y[...] = weight[x[...]]. x: int64 or int32 [...] -> [..., width]. */
export class Embedding extends Module {
  readonly weight: Tensor
  readonly paddingIdx: number | null

  constructor(count: number, width: number, options: EmbeddingOptions = {}) {
    super()
    this.paddingIdx = paddingRow(count, options.paddingIdx)
    this.weight = table(count, width, this.paddingIdx)
  }

  forward(x: Tensor): Tensor {
    return torch.embedding(this.weight, x, this.paddingIdx ?? -1)
  }

  protected override toStringExtra(): string {
    const padding = this.paddingIdx === null ? '' : `, paddingIdx=${this.paddingIdx}`
    return `${this.weight.shape.join(', ')}${padding}`
  }
}

const bagModes = { sum: 0, mean: 1, max: 2 } as const

export interface EmbeddingBagOptions extends EmbeddingOptions {
  /** How the rows of a bag become one; default 'mean'. */
  mode?: keyof typeof bagModes
  /** The offsets have one more entry: the end of the last bag; default false. */
  includeLastOffset?: boolean
}

/** The rows of each bag reduced to one, without making them all. */
export class EmbeddingBag extends Module {
  readonly weight: Tensor
  readonly paddingIdx: number | null
  readonly mode: keyof typeof bagModes
  readonly includeLastOffset: boolean

  constructor(count: number, width: number, options: EmbeddingBagOptions = {}) {
    super()
    this.paddingIdx = paddingRow(count, options.paddingIdx)
    this.mode = options.mode ?? 'mean'
    this.includeLastOffset = options.includeLastOffset ?? false
    this.weight = table(count, width, this.paddingIdx)
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
    if ((x.ndim === 1) === (offsets === null)) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        'EmbeddingBag wants bags of equal length as [bags, length], or all rows as [n] with offsets.',
      )
    }
    return torch.scope(() => {
      const starts =
        offsets ?? torch.arange(0, x.numel, x.shape[1] || 1, { dtype: x.dtype, device: x.device })
      const [bags] = torch.call('aten::embedding_bag.padding_idx', [
        this.weight,
        x.reshape([-1]),
        starts,
        false,
        bagModes[this.mode],
        false,
        perSampleWeights?.reshape([-1]) ?? null,
        this.includeLastOffset,
        this.paddingIdx,
      ]) as [Tensor, Tensor, Tensor, Tensor]
      return bags
    })
  }

  protected override toStringExtra(): string {
    return `${this.weight.shape.join(', ')}, mode=${this.mode}`
  }
}
