/**
 * The denoising U-Net of "Salt & Pepper Heatmaps" (arXiv 2407.09192, section 3): latent-diffusion's
 * blocks with separate channel lists for encoder and decoder, and a Tanh before the last convolution.
 */
import { LandmarkDiffusionError } from '../errors.js'
import {
  Conv2d,
  GroupNorm,
  Linear,
  Module,
  ModuleList,
  Sequential,
  SiLU,
  Tanh,
} from '../nn/index.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { AttentionBlock, Downsample, ResBlock, Stage, Upsample, zeroed } from './blocks.js'
import { type Apart, convolve, groupNorm, groupNormSilu, joined } from './layers.js'
import { encodeTime, frequencies, type TimeEmbeddingOptions } from './time-embedding.js'

/** Everything that the paper states or leaves open; the defaults are the paper's, or its code's. */
export interface UNetOptions {
  /** Heatmap channels N that come out, and, with time, go in. */
  landmarks: number
  /** Channels of the clean image; default 1. */
  imageChannels?: number
  /** False for the baseline: no noised heatmaps go in, and there is no time embedding; default true. */
  timeConditioned?: boolean
  /** Channels per level, from full resolution down; default [32, 64, 128, 256, 256, 512]. */
  encoderChannels?: readonly number[]
  /** Channels per level, from the bottom up; default [256, 128, 64, 64, 32, 32]. */
  decoderChannels?: readonly number[]
  /** ResBlocks per encoder level (a decoder level has one more); default 2. */
  resBlocks?: number
  /** Downsample factors of the levels with attention; default [4, 8]. */
  attention?: readonly number[]
  /** Attention between the two middle ResBlocks; default true. */
  middleAttention?: boolean
  heads?: number
  headOrder?: 'new' | 'legacy'
  groups?: number
  normEps?: number
  dropout?: number
  /** Where the Tanh stands: 'before' the last convolution (default), 'after' it, or nowhere; SiLU takes its place. */
  tanh?: 'before' | 'after' | 'none'
  /** Channel order of the input; default 'heatmaps-first'. */
  inputOrder?: 'heatmaps-first' | 'image-first'
  timeEmbedding?: TimeEmbeddingOptions
}

/** The paper's values, and those of the authors' code where the paper is silent. */
export const unetDefaults = {
  imageChannels: 1,
  timeConditioned: true,
  encoderChannels: [32, 64, 128, 256, 256, 512],
  decoderChannels: [256, 128, 64, 64, 32, 32],
  resBlocks: 2,
  attention: [4, 8],
  middleAttention: true,
  heads: 2,
  headOrder: 'new',
  groups: 32,
  normEps: 1e-6,
  dropout: 0.1,
  tanh: 'before',
  inputOrder: 'heatmaps-first',
  timeEmbedding: { order: 'sin-cos', divisor: 'half-1' },
} as const satisfies Omit<UNetOptions, 'landmarks'>

/** Numbers of a skip connection below which joining it costs no more than the additional operators that read it apart. */
const leastApart = 2 ** 16

/**
 * x: [B, N + imageChannels, H, W] (noised heatmaps and image; the image alone in the baseline),
 * t: int64 [B] (null in the baseline) -> [B, N, H, W] unbounded logits. H and W must be divisible
 * by 2^(levels - 1). Parameter names are latent-diffusion's.
 */
export class UNet extends Module {
  readonly time_embed: Sequential | null
  readonly input_blocks: ModuleList<Stage>
  readonly middle_block: Stage
  readonly output_blocks: ModuleList<Stage>
  readonly out: Sequential
  readonly options: Required<UNetOptions>
  readonly frequencies: Tensor | null
  /**
   * Whether the decoder copies h and the skip connection into one tensor (true), or its layers read both where they are
   * (false), which takes less memory in training. null (default): a copy where it is small, and on GPUs, which have no
   * kernels that read two. Read apart, both are given to the stage as an array, which its forward hooks see.
   */
  joins: boolean | null = null

  constructor(options: UNetOptions) {
    super()
    const config = { ...unetDefaults, ...options }
    this.options = config
    checkLevels(config)
    const { encoderChannels, decoderChannels, resBlocks, timeConditioned, landmarks } = config
    const base = encoderChannels[0] as number
    const timeChannels = timeConditioned ? 4 * base : null
    const norm = { groups: config.groups, eps: config.normEps }
    const res = (inputs: number, outputs: number) =>
      new ResBlock(inputs, outputs, { ...norm, timeChannels, dropout: config.dropout })
    const attend = (channels: number) =>
      new AttentionBlock(channels, { ...norm, heads: config.heads, headOrder: config.headOrder })

    this.frequencies = timeConditioned
      ? this.registerBuffer('frequencies', frequencies(base, config.timeEmbedding), {
          persistent: false,
        })
      : null
    this.time_embed =
      timeChannels === null
        ? null
        : new Sequential(
            new Linear(base, timeChannels),
            new SiLU(),
            new Linear(timeChannels, timeChannels),
          )

    let channels = base
    let factor = 1
    const skips = [channels]
    const inputs = config.imageChannels + (timeConditioned ? landmarks : 0)
    this.input_blocks = new ModuleList([new Stage(new Conv2d(inputs, base, 3, { padding: 1 }))])
    for (const [level, width] of encoderChannels.entries()) {
      for (let i = 0; i < resBlocks; i++) {
        const stage = new Stage(res(channels, width))
        channels = width
        if (config.attention.includes(factor)) stage.push(attend(channels))
        this.input_blocks.push(stage)
        skips.push(channels)
      }
      if (level < encoderChannels.length - 1) {
        this.input_blocks.push(new Stage(new Downsample(channels)))
        skips.push(channels)
        factor *= 2
      }
    }

    this.middle_block = new Stage(res(channels, channels))
    if (config.middleAttention) this.middle_block.push(attend(channels))
    this.middle_block.push(res(channels, channels))

    this.output_blocks = new ModuleList()
    for (const [level, width] of decoderChannels.entries()) {
      for (let i = 0; i <= resBlocks; i++) {
        const stage = new Stage(res(channels + (skips.pop() as number), width))
        channels = width
        if (config.attention.includes(factor)) stage.push(attend(channels))
        if (level < decoderChannels.length - 1 && i === resBlocks) {
          stage.push(new Upsample(channels))
          factor /= 2
        }
        this.output_blocks.push(stage)
      }
    }

    this.out = new Sequential(
      new GroupNorm(config.groups, channels, { eps: config.normEps }),
      config.tanh === 'before' ? new Tanh() : new SiLU(),
      zeroed(new Conv2d(channels, landmarks, 3, { padding: 1 })),
    )
    if (config.tanh === 'after') this.out.push(new Tanh())
  }

  /** Where the weights are, and so where everything is computed. */
  get device(): string {
    const [first] = this.parameters()
    return (first as Tensor).device
  }

  get landmarks(): number {
    return this.options.landmarks
  }

  forward(x: Tensor, t: Tensor | null = null): Tensor {
    this.#checkSize(x)
    return torch.scope(() => {
      const embedding = this.#embed(t)
      const skips: Tensor[] = []
      let h = x
      for (const stage of this.input_blocks) {
        h = stage.forward(h, embedding)
        skips.push(h)
      }
      h = this.middle_block.forward(h, embedding)
      for (const stage of this.output_blocks) {
        const skip = skips.pop() as Tensor
        const y = this.#up(stage, [h, skip], embedding)
        h.dispose()
        skip.dispose()
        h = y
      }
      // As it came in: what follows the network need not know its inner layout.
      return this.#head(h).contiguous()
    })
  }

  #up(stage: Stage, [h, skip]: Apart, embedding: Tensor | null): Tensor {
    const joins = this.joins ?? (skip.device !== 'cpu' || skip.numel < leastApart)
    if (!joins) return stage.forward([h, skip], embedding)
    using whole = joined([h, skip])
    return stage.forward(whole, embedding)
  }

  #head(h: Tensor): Tensor {
    const [norm, activation, conv, last] = this.out as Iterable<unknown> as [
      GroupNorm,
      Tanh | SiLU,
      Conv2d,
      Tanh | undefined,
    ]
    const active =
      activation instanceof SiLU ? groupNormSilu(norm, h) : activation.forward(groupNorm(norm, h))
    const logits = convolve(conv, active)
    return last ? last.forward(logits) : logits
  }

  /** Joins noised heatmaps [B, N, H, W] and image [B, C, H, W] in `inputOrder`, and runs the network. */
  denoise(noised: Tensor, image: Tensor, t: Tensor): Tensor {
    return torch.scope(() => {
      const parts = [noised, image]
      return this.forward(
        torch.cat(this.options.inputOrder === 'heatmaps-first' ? parts : parts.reverse(), 1),
        t,
      )
    })
  }

  #embed(t: Tensor | null): Tensor | null {
    if (!this.time_embed || !this.frequencies) return null
    if (!t) {
      throw new LandmarkDiffusionError(
        'ERR_OP',
        'This U-Net is time-conditioned: give forward the steps t as an int64 tensor [B].',
      )
    }
    return this.time_embed.forward(encodeTime(t, this.frequencies, this.options.timeEmbedding))
  }

  #checkSize(x: Tensor): void {
    const divisor = 2 ** (this.options.encoderChannels.length - 1)
    const [, , height = 0, width = 0] = x.shape
    if (x.ndim === 4 && height % divisor === 0 && width % divisor === 0) return
    throw new LandmarkDiffusionError(
      'ERR_OP',
      `The U-Net got an input of shape [${x.shape.join(', ')}]; it needs [batch, channels, height, width] ` +
        `with height and width divisible by ${divisor} (${this.options.encoderChannels.length} levels). ` +
        'Choose data.width and data.height accordingly.',
    )
  }
}

function checkLevels({ encoderChannels, decoderChannels }: Required<UNetOptions>): void {
  if (encoderChannels.length === 0 || encoderChannels.length !== decoderChannels.length) {
    throw new LandmarkDiffusionError(
      'ERR_CONFIG',
      `model.encoderChannels has ${encoderChannels.length} levels and model.decoderChannels ${decoderChannels.length}; ` +
        'give both the same number, at least one.',
    )
  }
}
