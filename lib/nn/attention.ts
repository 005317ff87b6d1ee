/** Multi-head attention (Vaswani et al. 2017), with the parameters of `torch.nn.MultiheadAttention`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import * as init from './init.js'
import { Linear } from './linear.js'
import { Module, parameter } from './module.js'

export interface MultiheadAttentionOptions {
  /** Share of attention weights dropped while training; default 0. */
  dropout?: number
  /** Default true. */
  bias?: boolean
  /** Batch before tokens, [B, T, width], as most code has it; default false, as PyTorch's. */
  batchFirst?: boolean
  /** Channels of key and of value; default `width`. Other ones give each of the three a projection weight of its own. */
  kdim?: number
  vdim?: number
}

export interface AttentionOptions {
  /** bool [B, S]: true where a key counts for nothing. */
  keyPaddingMask?: Tensor | null
  /** [T, S] or [B heads, T, S]: bool, true where attention is not allowed, or floats that are added to the scores. */
  attnMask?: Tensor | null
  /** Only earlier and equal positions are seen; default false. Without attnMask. */
  isCausal?: boolean
  /** Gives the attention weights too, averaged over the heads [B, T, S]: slower; default false (PyTorch: true). */
  needWeights?: boolean
}

/** softmax(q k^T / sqrt(width / heads)) v of `heads` projections of width / heads channels each. */
export class MultiheadAttention extends Module {
  /** [3 width, width], of query, key and value; null where these differ in channels. */
  readonly in_proj_weight: Tensor | null
  readonly q_proj_weight: Tensor | null
  readonly k_proj_weight: Tensor | null
  readonly v_proj_weight: Tensor | null
  readonly in_proj_bias: Tensor | null
  readonly out_proj: Linear
  readonly dropout: number
  readonly batchFirst: boolean

  constructor(
    readonly width: number,
    readonly heads: number,
    {
      dropout = 0,
      bias = true,
      batchFirst = false,
      kdim = width,
      vdim = width,
    }: MultiheadAttentionOptions = {},
  ) {
    super()
    if (width % heads !== 0) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `MultiheadAttention cannot split ${width} channels among ${heads} heads.`,
      )
    }
    this.dropout = dropout
    this.batchFirst = batchFirst
    const apart = kdim !== width || vdim !== width
    const weight = (channels: number) => parameter(torch.empty([width, channels]))
    this.in_proj_weight = apart ? null : parameter(torch.empty([3 * width, width]))
    this.q_proj_weight = apart ? weight(width) : null
    this.k_proj_weight = apart ? weight(kdim) : null
    this.v_proj_weight = apart ? weight(vdim) : null
    this.in_proj_bias = bias ? parameter(torch.zeros([3 * width])) : null
    this.out_proj = new Linear(width, width, { bias })
    for (const drawn of [this.in_proj_weight, ...this.#projections]) {
      if (drawn) init.xavierUniform_(drawn)
    }
    if (this.out_proj.bias) init.zeros_(this.out_proj.bias)
  }

  get #projections(): (Tensor | null)[] {
    return [this.q_proj_weight, this.k_proj_weight, this.v_proj_weight]
  }

  /**
   * query: [T, B, width], key: [S, B, kdim], value: [S, B, vdim] (batchFirst: [B, T, width] and [B, S, ...]).
   * -> the mixed values, of query's shape, and the weights or null.
   */
  forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: AttentionOptions = {},
  ): [Tensor, Tensor | null] {
    return torch.scope(() => {
      const lead = (x: Tensor) => (this.batchFirst ? x : torch.transpose(x, 0, 1))
      const [q, k, v] = this.#project(lead(query), lead(key), lead(value))
      const mask = this.#mask(q, k, options)
      const dropout = this.training ? this.dropout : 0
      const isCausal = options.isCausal ?? false
      let weights: Tensor | null = null
      let mixed: Tensor
      if (options.needWeights) {
        const scores = torch.matmul(q.mul((this.width / this.heads) ** -0.5), k.transpose(-2, -1))
        const allowed = mask ?? (isCausal ? causal(q, k) : null)
        const attention = torch.softmax(allowed ? scores.add(allowed) : scores, -1)
        const kept = dropout > 0 ? torch.dropout(attention, dropout, true) : attention
        mixed = torch.matmul(kept, v)
        weights = kept.mean([1])
      } else {
        mixed = torch.scaledDotProductAttention(q, k, v, mask, dropout, mask ? false : isCausal)
      }
      const joined = mixed.transpose(1, 2).flatten(2)
      return [lead(this.out_proj.forward(joined)), weights]
    })
  }

  /** [B, T, width] -> [B, heads, T, width / heads], for query, key and value. */
  #project(query: Tensor, key: Tensor, value: Tensor): [Tensor, Tensor, Tensor] {
    const weights = this.in_proj_weight ? torch.chunk(this.in_proj_weight, 3) : this.#projections
    const biases = this.in_proj_bias ? torch.chunk(this.in_proj_bias, 3) : []
    const project = (x: Tensor, i: number) => {
      const projected = torch.linear(x, weights[i] as Tensor, biases[i] ?? null)
      return torch.unflatten(projected, -1, [this.heads, -1]).transpose(1, 2)
    }
    return [project(query, 0), project(key, 1), project(value, 2)]
  }

  /** What is added to the scores [B, heads, T, S], or null. */
  #mask(q: Tensor, k: Tensor, options: AttentionOptions): Tensor | null {
    const [batch = 0, , tokens = 0] = q.shape
    const keys = k.shape[2] as number
    let { attnMask = null } = options
    if (attnMask) {
      attnMask = additive(attnMask, q)
      if (attnMask.ndim === 3) attnMask = attnMask.reshape([batch, -1, tokens, keys])
    }
    if (!options.keyPaddingMask) return attnMask
    const padding = additive(options.keyPaddingMask, q).reshape([batch, 1, 1, keys])
    const order = attnMask ?? (options.isCausal ? causal(q, k) : null)
    return order ? order.add(padding) : padding
  }

  protected override toStringExtra(): string {
    return `${this.width}, heads=${this.heads}, dropout=${this.dropout}, batchFirst=${this.batchFirst}`
  }
}

/** A bool mask (true: not allowed) as -infinity and 0; a float mask as it is. */
function additive(mask: Tensor, like: Tensor): Tensor {
  if (mask.dtype !== 'bool') return mask
  const zeros = torch.zeros([...mask.shape], { dtype: like.dtype, device: like.device })
  return zeros.maskedFill(mask, Number.NEGATIVE_INFINITY)
}

/** [T, S]: -infinity where a key comes after the query, else 0. */
function causal(q: Tensor, k: Tensor): Tensor {
  const shape = [q.shape[2] as number, k.shape[2] as number]
  const { dtype, device } = q
  return torch.triu(torch.full(shape, Number.NEGATIVE_INFINITY, { dtype, device }), 1)
}
