/** The whole encoder-decoder transformer (Vaswani et al. 2017), with the parameters of `torch.nn.Transformer`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import * as init from './init.js'
import { Module } from './module.js'
import { LayerNorm } from './normalization.js'
import { type Optional, optional } from './optional.js'
import {
  layerDefaults,
  TransformerDecoder,
  TransformerDecoderLayer,
  TransformerEncoder,
  TransformerEncoderLayer,
  type TransformerLayerOptions,
} from './transformer.js'

export interface TransformerOptions extends TransformerLayerOptions {
  /** Channels of a token; default 512. */
  dModel?: number
  /** Attention heads; default 8. */
  nhead?: number
  /** Default 6. */
  numEncoderLayers?: number
  /** Default 6. */
  numDecoderLayers?: number
}

export interface TransformerMasks {
  /** [S, S], [T, T] and [T, S]: bool, true where attention is not allowed, or floats that are added to the scores. */
  srcMask?: Tensor | null
  tgtMask?: Tensor | null
  memoryMask?: Tensor | null
  /** bool [B, S], [B, T] and [B, S]: true where a token counts for nothing. */
  srcKeyPaddingMask?: Tensor | null
  tgtKeyPaddingMask?: Tensor | null
  memoryKeyPaddingMask?: Tensor | null
  /** Tokens see only earlier ones; default false. */
  srcIsCausal?: boolean
  tgtIsCausal?: boolean
}

const defaults: Required<TransformerOptions> = {
  dModel: 512,
  nhead: 8,
  numEncoderLayers: 6,
  numDecoderLayers: 6,
  ...layerDefaults,
}

/** Layers that start alike, as copies of one do: the first draws, the others take its values. */
function copies<L extends Module>(count: number, make: () => L): L[] {
  const first = make()
  const others = init.skipInit(() => Array.from({ length: count - 1 }, make))
  for (const layer of others) layer.loadStateDict(first.stateDict())
  return [first, ...others]
}

/** decoder(tgt, encoder(src)), each with a last norm. Weights Glorot-uniform; biases alike in all layers, as in PyTorch. */
export class Transformer extends Module {
  readonly encoder: TransformerEncoder
  readonly decoder: TransformerDecoder

  constructor(
    ...rest: Optional<
      [
        dModel: number,
        nhead: number,
        numEncoderLayers: number,
        numDecoderLayers: number,
        dimFeedforward: number,
        dropout: number,
      ],
      TransformerOptions
    >
  ) {
    super()
    const options = optional(this.constructor.name, rest, defaults)
    const { dModel, nhead, numEncoderLayers, numDecoderLayers, ...layer } = options
    for (const [name, count] of Object.entries({ numEncoderLayers, numDecoderLayers })) {
      if (Number.isSafeInteger(count) && count >= 1) continue
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `Transformer: ${name} is ${count}, not 1 or more.`,
      )
    }
    const norm = () => new LayerNorm(dModel, { eps: layer.layerNormEps, bias: layer.bias })
    this.encoder = new TransformerEncoder(
      copies(numEncoderLayers, () => new TransformerEncoderLayer(dModel, nhead, layer)),
      { norm: norm() },
    )
    this.decoder = new TransformerDecoder(
      copies(numDecoderLayers, () => new TransformerDecoderLayer(dModel, nhead, layer)),
      { norm: norm() },
    )
    for (const weight of this.parameters()) if (weight.ndim > 1) init.xavierUniform_(weight)
  }

  /** A matrix [size, size]: 0 up to the diagonal, -infinity above it, so that tokens see only earlier ones. */
  static generateSquareSubsequentMask(size: number): Tensor {
    return torch.scope(() => torch.triu(torch.full([size, size], Number.NEGATIVE_INFINITY), 1))
  }

  /** src: [S, B, dModel], tgt: [T, B, dModel] (batchFirst: [B, S, dModel] and [B, T, dModel]) -> tgt's shape. */
  forward(src: Tensor, tgt: Tensor, masks: TransformerMasks = {}): Tensor {
    return torch.scope(() => {
      const { srcMask = null, srcKeyPaddingMask = null, srcIsCausal: isCausal = false } = masks
      const memory = this.encoder.forward(src, { srcMask, srcKeyPaddingMask, isCausal })
      return this.decoder.forward(tgt, memory, masks)
    })
  }
}
