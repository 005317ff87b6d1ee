/**
 * The U-Net's building blocks with latent-diffusion's parameter names (`ldm/modules/diffusionmodules/
 * openaimodel.py`), after guided-diffusion (Dhariwal and Nichol 2021). Each forward is one scope:
 * what autograd does not need is freed at the block's end. The layers hold parameters under their names; what computes
 * with them are the operators of layers.ts, so a forward hook on a layer inside a block is not called.
 */
import {
  Conv1d,
  Conv2d,
  Dropout,
  functional,
  GroupNorm,
  Identity,
  init,
  Linear,
  Module,
  Sequential,
  SiLU,
} from '../nn/index.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import {
  type Apart,
  convolve,
  drop,
  groupNorm,
  groupNormSilu,
  joined,
  upsampleConvolve,
} from './layers.js'

export interface NormOptions {
  /** Groups of every GroupNorm; must divide every channel count. */
  groups: number
  eps: number
}

/** Sets all parameters of `layer` to zero after their random draw, so that a block starts as the identity. */
export function zeroed<T extends Module>(layer: T): T {
  for (const tensor of layer.parameters()) init.zeros_(tensor)
  return layer
}

export interface ResBlockOptions extends NormOptions {
  /** Width of the time embedding; null for a network without time. */
  timeChannels: number | null
  dropout: number
}

/**
 * h = conv(silu(norm(x))) + linear(silu(e)); y = skip(x) + conv(dropout(silu(norm(h)))).
 * x: [B, in, H, W], whole or apart, e: [B, timeChannels] -> [B, out, H, W]. The second convolution starts at zero.
 */
export class ResBlock extends Module {
  readonly in_layers: Sequential
  readonly emb_layers: Sequential | null
  readonly out_layers: Sequential
  readonly skip_connection: Conv2d | Identity
  readonly #first: { norm: GroupNorm; conv: Conv2d }
  readonly #second: { norm: GroupNorm; dropout: Dropout; conv: Conv2d }

  constructor(inputs: number, outputs: number, options: ResBlockOptions) {
    super()
    const { groups, eps, timeChannels, dropout } = options
    const first = {
      norm: new GroupNorm(groups, inputs, { eps }),
      conv: new Conv2d(inputs, outputs, 3, { padding: 1 }),
    }
    this.in_layers = new Sequential(first.norm, new SiLU(), first.conv)
    this.emb_layers =
      timeChannels === null ? null : new Sequential(new SiLU(), new Linear(timeChannels, outputs))
    const second = {
      norm: new GroupNorm(groups, outputs, { eps }),
      dropout: new Dropout(dropout),
      conv: zeroed(new Conv2d(outputs, outputs, 3, { padding: 1 })),
    }
    this.out_layers = new Sequential(second.norm, new SiLU(), second.dropout, second.conv)
    this.skip_connection = inputs === outputs ? new Identity() : new Conv2d(inputs, outputs, 1)
    this.#first = first
    this.#second = second
  }

  forward(x: Tensor | Apart, embedding: Tensor | null = null): Tensor {
    return torch.scope(() => {
      const shift = this.emb_layers && embedding ? this.emb_layers.forward(embedding) : null
      const h = convolve(this.#first.conv, groupNormSilu(this.#first.norm, x), { shift })
      const skip = this.skip_connection
      const residual = skip instanceof Conv2d ? convolve(skip, x) : joined(x)
      const { norm, dropout, conv } = this.#second
      return convolve(conv, drop(dropout, groupNormSilu(norm, h)), { residual })
    })
  }
}

export interface AttentionOptions extends NormOptions {
  heads: number
  /** How the rows of `qkv.weight` are read: see `functional.selfAttention`. */
  headOrder: functional.HeadOrder
}

/**
 * y = x + proj_out(attention(qkv(norm(x)))) over all H * W positions (Wang et al. 2018, non-local
 * networks). x: [B, C, H, W] -> the same shape. `proj_out` starts at zero.
 *
 * The 1x1 convolutions are computed as matrix products on tokens [B, H*W, C]: same numbers, and the
 * layout that the fused attention kernels ask for.
 */
export class AttentionBlock extends Module {
  readonly norm: GroupNorm
  readonly qkv: Conv1d
  readonly proj_out: Conv1d
  readonly #options: AttentionOptions

  constructor(channels: number, options: AttentionOptions) {
    super()
    if (channels % options.heads !== 0) {
      throw new RangeError(
        `Attention cannot split ${channels} channels into ${options.heads} heads.`,
      )
    }
    this.#options = options
    this.norm = new GroupNorm(options.groups, channels, { eps: options.eps })
    this.qkv = new Conv1d(channels, 3 * channels, 1)
    this.proj_out = zeroed(new Conv1d(channels, channels, 1))
  }

  forward(x: Tensor): Tensor {
    return torch.scope(() => {
      const tokens = groupNorm(this.norm, x).flatten(2).transpose(1, 2)
      const qkv = pointwise(tokens, this.qkv)
      const mixed = pointwise(functional.selfAttention(qkv, this.#options), this.proj_out)
      return x.add(mixed.transpose(1, 2).reshape(x.shape))
    })
  }

  protected override toStringExtra(): string {
    return `heads=${this.#options.heads}, headOrder=${this.#options.headOrder}`
  }
}

/** A convolution of width 1 applied to tokens. [B, T, in] -> [B, T, out]. */
function pointwise(tokens: Tensor, conv: Conv1d): Tensor {
  return torch.linear(tokens, conv.weight.flatten(1), conv.bias)
}

/** Halves height and width by a 3x3 convolution of stride 2. [B, C, H, W] -> [B, C, H/2, W/2]. */
export class Downsample extends Module {
  readonly op: Conv2d

  constructor(channels: number) {
    super()
    this.op = new Conv2d(channels, channels, 3, { stride: 2, padding: 1 })
  }

  forward(x: Tensor): Tensor {
    return convolve(this.op, x)
  }
}

/** Pixels of an image below which doubling it costs no more than filters for each of its phases. */
const leastUndoubled = 400

/** Doubles height and width by repetition, then a 3x3 convolution. [B, C, H, W] -> [B, C, 2H, 2W]. */
export class Upsample extends Module {
  readonly conv: Conv2d
  /**
   * Whether the doubled image is made (true), or the convolution reads the small one (false), which takes less time and
   * memory. null (default): made where it is small, and on GPUs, which have no kernel of their own for this.
   */
  doubles: boolean | null = null

  constructor(channels: number) {
    super()
    this.conv = new Conv2d(channels, channels, 3, { padding: 1 })
  }

  forward(x: Tensor): Tensor {
    const [images = 0, , height = 0, width = 0] = x.shape
    const small = images * height * width < leastUndoubled
    if (!(this.doubles ?? (x.device !== 'cpu' || small))) return upsampleConvolve(this.conv, x)
    // Repetition is exact; CUDA's autocast would make float32 of bfloat16 for it.
    const type = x.device.startsWith('cuda') ? 'cuda' : 'cpu'
    return torch.scope(() => {
      const wide = torch.autocast(type, { enabled: false }, () => functional.upsampleNearest(x))
      return convolve(this.conv, wide)
    })
  }
}

/** The layers of one step down or up; hands the time embedding to those that want it (latent-diffusion's TimestepEmbedSequential). */
export class Stage extends Sequential {
  override forward(x: Tensor | Apart, embedding: Tensor | null = null): Tensor {
    return torch.scope(() => {
      let y = x
      for (const layer of this.items) {
        if (layer instanceof ResBlock) y = layer.forward(y, embedding)
        else y = layer instanceof Conv2d ? convolve(layer, y) : layer.forward(joined(y))
      }
      return joined(y)
    })
  }
}
