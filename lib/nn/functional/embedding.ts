/** Rows of a table (`torch.nn.functional`): as the operators, with the indices first. */
import { LandmarkDiffusionError } from '../../errors.js'
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'
import { wantTensor } from '../../torch/wants.js'
import { type Optional, optional } from '../optional.js'

export interface EmbeddingSettings {
  /** Rows of this number get no gradient; negative counts from the end; default none. */
  paddingIdx?: number | null
  /** Longer rows are shortened to this norm in the table itself, before they are read; default null. */
  maxNorm?: number | null
  /** Which norm `maxNorm` means; default 2. */
  normType?: number
  /** Divides gradients by how often a row was read; default false. */
  scaleGradByFreq?: boolean
}

const defaults: Required<EmbeddingSettings> = {
  paddingIdx: null,
  maxNorm: null,
  normType: 2,
  scaleGradByFreq: false,
}

function renormalize(weight: Tensor, rows: Tensor, maxNorm: number | null, normType: number): void {
  if (maxNorm === null) return
  torch.noGrad(() => {
    torch.scope(() => void torch.embeddingRenorm_(weight, rows.contiguous(), maxNorm, normType))
  })
}

/** The row of a number that may count from the end. */
export function paddingRow(count: number, paddingIdx: number | null): number | null {
  if (paddingIdx === null) return null
  const row = paddingIdx < 0 ? paddingIdx + count : paddingIdx
  if (Number.isInteger(row) && row >= 0 && row < count) return row
  throw new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `paddingIdx ${paddingIdx} is no row of a table of ${count}.`,
  )
}

/** weight[x]. x: int64 or int32 [...], weight: [count, width] -> [..., width]. */
export function embedding(
  x: Tensor,
  weight: Tensor,
  ...rest: Optional<[paddingIdx: number | null, maxNorm: number | null], EmbeddingSettings>
): Tensor {
  const { paddingIdx, maxNorm, normType, scaleGradByFreq } = optional('embedding', rest, defaults)
  wantTensor(weight, 'the weight')
  wantTensor(x, 'the indices')
  renormalize(weight, x, maxNorm, normType)
  const row = paddingRow(weight.shape[0] as number, paddingIdx)
  return torch.embedding(weight, x, row ?? -1, scaleGradByFreq)
}

const bagModes = { sum: 0, mean: 1, max: 2 } as const
export type BagMode = keyof typeof bagModes

export interface EmbeddingBagSettings extends EmbeddingSettings {
  /** How the rows of a bag become one; default 'mean'. */
  mode?: BagMode
  /** Of x's shape, for mode 'sum': multiplies each row; default none. */
  perSampleWeights?: Tensor | null
  /** The offsets have one more entry: the end of the last bag; default false. */
  includeLastOffset?: boolean
}

/** The rows of each bag reduced to one. x: [bags, length], or [n] with `offsets`: where each bag starts -> [bags, width]. */
export function embeddingBag(
  x: Tensor,
  weight: Tensor,
  offsets: Tensor | null = null,
  options: EmbeddingBagSettings = {},
): Tensor {
  const found = optional<Required<EmbeddingBagSettings>>('embeddingBag', [options], {
    ...defaults,
    mode: 'mean',
    perSampleWeights: null,
    includeLastOffset: false,
  })
  wantTensor(x, 'the indices')
  wantTensor(weight, 'the weight')
  if ((x.ndim === 1) === (offsets === null)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      'An embedding bag wants bags of equal length as [bags, length], or all rows as [n] with offsets.',
    )
  }
  const { mode, paddingIdx, perSampleWeights } = found
  renormalize(weight, x, found.maxNorm, found.normType)
  return torch.scope(() => {
    const starts =
      offsets ?? torch.arange(0, x.numel, x.shape[1] || 1, { dtype: x.dtype, device: x.device })
    const [bags] = torch.call('aten::embedding_bag.padding_idx', [
      weight,
      x.reshape([-1]),
      starts,
      found.scaleGradByFreq,
      bagModes[mode],
      false,
      perSampleWeights?.reshape([-1]) ?? null,
      found.includeLastOffset,
      paddingRow(weight.shape[0] as number, paddingIdx),
    ]) as [Tensor, Tensor, Tensor, Tensor]
    return bags
  })
}
