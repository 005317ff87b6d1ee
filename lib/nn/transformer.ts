/** Transformer encoder and decoder (Vaswani et al. 2017), with the parameters of `torch.nn.TransformerEncoderLayer` and its kin. */
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { type AttentionOptions, MultiheadAttention } from './attention.js'
import { ModuleList } from './containers.js'
import { Dropout } from './dropout.js'
import { Linear } from './linear.js'
import { Module } from './module.js'
import { LayerNorm } from './normalization.js'

const activations = { relu: torch.relu, gelu: torch.gelu } as const

export interface TransformerLayerOptions {
  /** Channels between the two linear layers; default 2048. */
  dimFeedforward?: number
  /** Default 0.1. */
  dropout?: number
  /** Default 'relu'. */
  activation?: keyof typeof activations
  /** Of the layer norms; default 1e-5. */
  layerNormEps?: number
  /** [B, T, width] instead of [T, B, width]; default false. */
  batchFirst?: boolean
  /** Norms before attention and feed-forward (Xiong et al. 2020) instead of after; default false. */
  normFirst?: boolean
  /** Default true. */
  bias?: boolean
}

export interface EncoderMasks {
  /** [T, T], see `AttentionOptions.attnMask`. */
  srcMask?: Tensor | null
  /** bool [B, T]: true where a token counts for nothing. */
  srcKeyPaddingMask?: Tensor | null
  /** Tokens see only earlier ones; default false. */
  isCausal?: boolean
}

export const layerDefaults: Required<TransformerLayerOptions> = {
  dimFeedforward: 2048,
  dropout: 0.1,
  activation: 'relu',
  layerNormEps: 1e-5,
  batchFirst: false,
  normFirst: false,
  bias: true,
}

function complete(options: TransformerLayerOptions): Required<TransformerLayerOptions> {
  return { ...layerDefaults, ...options }
}

/** x + attention(x), then x + feedForward(x), each with its norm. */
export class TransformerEncoderLayer extends Module {
  readonly self_attn: MultiheadAttention
  readonly linear1: Linear
  readonly dropout: Dropout
  readonly linear2: Linear
  readonly norm1: LayerNorm
  readonly norm2: LayerNorm
  readonly dropout1: Dropout
  readonly dropout2: Dropout
  readonly options: Required<TransformerLayerOptions>

  constructor(width: number, heads: number, options: TransformerLayerOptions = {}) {
    super()
    this.options = complete(options)
    const { dimFeedforward, dropout, layerNormEps: eps, batchFirst, bias } = this.options
    this.self_attn = new MultiheadAttention(width, heads, { dropout, batchFirst, bias })
    this.linear1 = new Linear(width, dimFeedforward, { bias })
    this.dropout = new Dropout(dropout)
    this.linear2 = new Linear(dimFeedforward, width, { bias })
    this.norm1 = new LayerNorm(width, { eps, bias })
    this.norm2 = new LayerNorm(width, { eps, bias })
    this.dropout1 = new Dropout(dropout)
    this.dropout2 = new Dropout(dropout)
  }

  /** src: [T, B, width] -> the same shape. */
  forward(src: Tensor, masks: EncoderMasks = {}): Tensor {
    return torch.scope(() => {
      if (this.options.normFirst) {
        const attended = src.add(this.#attend(this.norm1.forward(src), masks))
        return attended.add(this.#feed(this.norm2.forward(attended)))
      }
      const attended = this.norm1.forward(src.add(this.#attend(src, masks)))
      return this.norm2.forward(attended.add(this.#feed(attended)))
    })
  }

  #attend(x: Tensor, { srcMask, srcKeyPaddingMask, isCausal }: EncoderMasks): Tensor {
    const options: AttentionOptions = {
      attnMask: srcMask ?? null,
      keyPaddingMask: srcKeyPaddingMask ?? null,
      isCausal: isCausal ?? false,
    }
    return this.dropout1.forward(this.self_attn.forward(x, x, x, options)[0])
  }

  #feed(x: Tensor): Tensor {
    const hidden = activations[this.options.activation](this.linear1.forward(x))
    return this.dropout2.forward(this.linear2.forward(this.dropout.forward(hidden)))
  }
}

/** Encoder layers in a row. */
export class TransformerEncoder extends Module {
  readonly layers: ModuleList<TransformerEncoderLayer>
  readonly norm: LayerNorm | null

  /** The layers are used as they are given; `norm` comes after the last. */
  constructor(
    layers: Iterable<TransformerEncoderLayer>,
    { norm = null }: { norm?: LayerNorm | null } = {},
  ) {
    super()
    this.layers = new ModuleList(layers)
    this.norm = norm
  }

  forward(src: Tensor, masks: EncoderMasks = {}): Tensor {
    return torch.scope(() => {
      let x = src
      for (const layer of this.layers) x = layer.forward(x, masks)
      return this.norm ? this.norm.forward(x) : x
    })
  }
}

export interface DecoderMasks {
  /** [T, T], for the target's attention to itself. */
  tgtMask?: Tensor | null
  /** [T, S], for its attention to the memory. */
  memoryMask?: Tensor | null
  /** bool [B, T] and [B, S]: true where a token counts for nothing. */
  tgtKeyPaddingMask?: Tensor | null
  memoryKeyPaddingMask?: Tensor | null
  /** Target tokens see only earlier ones; default false. */
  tgtIsCausal?: boolean
}

/** x + selfAttention(x), x + attention(x, memory), x + feedForward(x), each with its norm. */
export class TransformerDecoderLayer extends Module {
  readonly self_attn: MultiheadAttention
  readonly multihead_attn: MultiheadAttention
  readonly linear1: Linear
  readonly dropout: Dropout
  readonly linear2: Linear
  readonly norm1: LayerNorm
  readonly norm2: LayerNorm
  readonly norm3: LayerNorm
  readonly dropout1: Dropout
  readonly dropout2: Dropout
  readonly dropout3: Dropout
  readonly options: Required<TransformerLayerOptions>

  constructor(width: number, heads: number, options: TransformerLayerOptions = {}) {
    super()
    this.options = complete(options)
    const { dimFeedforward, dropout, layerNormEps: eps, batchFirst, bias } = this.options
    this.self_attn = new MultiheadAttention(width, heads, { dropout, batchFirst, bias })
    this.multihead_attn = new MultiheadAttention(width, heads, { dropout, batchFirst, bias })
    this.linear1 = new Linear(width, dimFeedforward, { bias })
    this.dropout = new Dropout(dropout)
    this.linear2 = new Linear(dimFeedforward, width, { bias })
    this.norm1 = new LayerNorm(width, { eps, bias })
    this.norm2 = new LayerNorm(width, { eps, bias })
    this.norm3 = new LayerNorm(width, { eps, bias })
    this.dropout1 = new Dropout(dropout)
    this.dropout2 = new Dropout(dropout)
    this.dropout3 = new Dropout(dropout)
  }

  /** tgt: [T, B, width], memory: [S, B, width] -> tgt's shape. */
  forward(tgt: Tensor, memory: Tensor, masks: DecoderMasks = {}): Tensor {
    return torch.scope(() => {
      const { norm1, norm2, norm3 } = this
      if (this.options.normFirst) {
        const own = tgt.add(this.#attendSelf(norm1.forward(tgt), masks))
        const mixed = own.add(this.#attendMemory(norm2.forward(own), memory, masks))
        return mixed.add(this.#feed(norm3.forward(mixed)))
      }
      const own = norm1.forward(tgt.add(this.#attendSelf(tgt, masks)))
      const mixed = norm2.forward(own.add(this.#attendMemory(own, memory, masks)))
      return norm3.forward(mixed.add(this.#feed(mixed)))
    })
  }

  #attendSelf(x: Tensor, { tgtMask, tgtKeyPaddingMask, tgtIsCausal }: DecoderMasks): Tensor {
    const options: AttentionOptions = {
      attnMask: tgtMask ?? null,
      keyPaddingMask: tgtKeyPaddingMask ?? null,
      isCausal: tgtIsCausal ?? false,
    }
    return this.dropout1.forward(this.self_attn.forward(x, x, x, options)[0])
  }

  #attendMemory(
    x: Tensor,
    memory: Tensor,
    { memoryMask, memoryKeyPaddingMask }: DecoderMasks,
  ): Tensor {
    const options: AttentionOptions = {
      attnMask: memoryMask ?? null,
      keyPaddingMask: memoryKeyPaddingMask ?? null,
    }
    const [mixed] = this.multihead_attn.forward(x, memory, memory, options)
    return this.dropout2.forward(mixed)
  }

  #feed(x: Tensor): Tensor {
    const hidden = activations[this.options.activation](this.linear1.forward(x))
    return this.dropout3.forward(this.linear2.forward(this.dropout.forward(hidden)))
  }
}

/** Decoder layers in a row. */
export class TransformerDecoder extends Module {
  readonly layers: ModuleList<TransformerDecoderLayer>
  readonly norm: LayerNorm | null

  /** The layers are used as they are given; `norm` comes after the last. */
  constructor(
    layers: Iterable<TransformerDecoderLayer>,
    { norm = null }: { norm?: LayerNorm | null } = {},
  ) {
    super()
    this.layers = new ModuleList(layers)
    this.norm = norm
  }

  forward(tgt: Tensor, memory: Tensor, masks: DecoderMasks = {}): Tensor {
    return torch.scope(() => {
      let x = tgt
      for (const layer of this.layers) x = layer.forward(x, memory, masks)
      return this.norm ? this.norm.forward(x) : x
    })
  }
}
