/** The one schema of a run's configuration, section by section, with the defaults of the paper (arXiv 2407.09192) and, where the paper is silent, of the choices documented here. */

import { z } from 'zod'

const precisions = ['auto', 'float32', 'bfloat16'] as const
const positive = z.number().positive()
const count = z.int().positive()
const fraction = z.number().min(0).max(1)
const range = z.tuple([z.number(), z.number()])

const modelSchema = z.strictObject({
  encoderChannels: z
    .array(count)
    .min(1)
    .default([32, 64, 128, 256, 256, 512])
    .describe('Channels of each level on the way down; their number is the number of levels.'),
  decoderChannels: z
    .array(count)
    .min(1)
    .default([256, 128, 64, 64, 32, 32])
    .describe('Channels of each level on the way up, bottom level first.'),
  resBlocks: count.default(2).describe('Residual blocks a level (the decoder has one more).'),
  attention: z
    .array(count)
    .default([4, 8])
    .describe('Downsample factors at which every residual block is followed by attention.'),
  middleAttention: z.boolean().default(true).describe('Attention between the two middle blocks.'),
  heads: count.default(2).describe('Attention heads.'),
  headOrder: z
    .enum(['new', 'legacy'])
    .default('new')
    .describe('How qkv is cut: q, k, v first and then heads (new), or heads first (legacy).'),
  groups: count.default(32).describe('Groups of every group normalisation.'),
  normEps: positive.default(1e-6).describe('Epsilon of every group normalisation.'),
  dropout: fraction.default(0.1).describe('Dropout inside the residual blocks.'),
  tanh: z
    .enum(['before', 'after', 'none'])
    .default('before')
    .describe('Tanh before the last convolution, after it, or SiLU before it and none after.'),
  inputOrder: z
    .enum(['heatmaps-first', 'image-first'])
    .default('heatmaps-first')
    .describe('Order of the channels at the input: the noisy heatmaps, or the image, first.'),
  timeEmbedding: z
    .strictObject({
      order: z.enum(['sin-cos', 'cos-sin']).default('sin-cos').describe('Halves of the encoding.'),
      divisor: z
        .enum(['half-1', 'half'])
        .default('half-1')
        .describe('Divisor of the frequency exponent.'),
    })
    .prefault({})
    .describe('Sinusoidal encoding of the timestep.'),
})

const diffusionSchema = z.strictObject({
  objective: z
    .enum(['x0', 'epsilon', 'none'])
    .default('x0')
    .describe('What the network predicts; none is the baseline without diffusion.'),
  timesteps: count.default(200).describe('T, the length of the forward process.'),
  schedule: z.enum(['linear']).default('linear').describe('How beta grows from start to end.'),
  betaStart: positive.max(1).default(1e-4).describe('Variance of the first forward step.'),
  betaEnd: positive.max(1).default(0.02).describe('Variance of the last forward step.'),
  posteriorVariance: z
    .enum(['beta-tilde', 'beta'])
    .default('beta-tilde')
    .describe('Variance of a reverse step.'),
  nllWeight: z.number().min(0).default(1).describe('Weight of the spatial softmax likelihood.'),
  mseWeight: z.number().min(0).default(0.01).describe('Weight of the mean squared error.'),
  channelDropout: fraction
    .default(0.0005)
    .describe('Probability that a landmark is missing from the noised input (never the target).'),
  prior: z
    .enum(['normal', 'background-mean'])
    .default('normal')
    .describe('Start of the reverse chain: N(0, I), or with the true mean of the background.'),
})

const samplingSchema = z.strictObject({
  steps: count.default(200).describe('Network evaluations a chain; 1 is the single-step result.'),
  chains: count.default(1).describe('Independent chains whose heatmaps are averaged.'),
  average: z
    .enum(['none', 'chain'])
    .default('none')
    .describe('The answer of a chain: its last heatmaps, or the mean over all of its steps.'),
  method: z
    .strictObject({
      kind: z
        .enum(['ancestral', 'ddim'])
        .default('ancestral')
        .describe('The reverse step: DDPM as in the paper, or DDIM.'),
      eta: fraction.default(0).describe('For ddim: share of fresh noise, 0 (none) to 1.'),
    })
    .prefault({})
    .describe('How a chain goes from one time to the next.'),
  blur: z
    .strictObject({
      kernelSize: count.default(13).describe('Taps of the blur kernel on either axis; odd.'),
      sigmaMin: positive.default(0.1).describe('Blur at t = 0, in network pixels; 0.1 is none.'),
      sigmaMax: positive.default(14).describe('Blur at t = T - 1, in network pixels.'),
      order: z
        .enum(['blur-clamp', 'clamp-blur', 'none'])
        .default('blur-clamp')
        .describe('Blur before or after the prediction is clamped to [-1, 1], or no blur.'),
    })
    .prefault({})
    .describe('Blur of the predicted heatmaps during the reverse process.'),
  precision: z
    .enum(precisions)
    .default('float32')
    .describe('Arithmetic of the network in predictions; auto as in train.precision.'),
  decode: z
    .strictObject({
      method: z
        .enum(['argmax', 'topk', 'soft-argmax'])
        .default('soft-argmax')
        .describe('From a heatmap to a point.'),
      k: count.default(20).describe('Pixels that topk averages.'),
      radius: count.default(3).describe('Half width of the window of soft-argmax, in pixels.'),
    })
    .prefault({})
    .describe('How the final heatmap becomes a point.'),
})

const dataSchema = z.strictObject({
  landmarks: z.enum(['cephalometric19']).default('cephalometric19').describe('Landmark set.'),
  width: count.default(640).describe('Width of the network canvas in pixels.'),
  height: count.default(800).describe('Height of the network canvas in pixels.'),
  imageRange: range.default([-1, 1]).describe('Values of black and white at the network input.'),
  truth: z
    .enum(['mean', 'senior', 'junior', 'challenge'])
    .default('mean')
    .describe('Which annotation is learnt.'),
  rounding: z
    .enum(['round', 'floor'])
    .default('round')
    .describe('How a point becomes the pixel of the target heatmap.'),
})

const augmentationSchema = z
  .strictObject({
    rotate: z.number().min(0).default(3).describe('Rotation up to +- this many degrees.'),
    translate: z
      .number()
      .min(0)
      .default(10)
      .describe('Shift up to +- this many pixels of a 640x800 canvas, on either axis.'),
    scale: range.default([0.95, 1.05]).describe('Zoom factor, uniform in this range.'),
    shear: z.number().min(0).default(10).describe('Shear up to +- this many degrees.'),
    multiply: range.nullable().default([0.5, 1.5]).describe('Brightness factor, or null.'),
    gamma: range.nullable().default([0.5, 2]).describe('Gamma exponent, or null.'),
    elastic: z
      .strictObject({
        alpha: z.number().min(0).default(500).describe('Greatest strength.'),
        sigma: positive.default(30).describe('Smoothness, in pixels of a 640x800 canvas.'),
      })
      .nullable()
      .prefault({})
      .describe('Elastic deformation, or null.'),
    cutout: fraction
      .nullable()
      .default(0.3)
      .describe('Greatest side of the grey rectangle as a share of the image, or null.'),
  })
  .nullable()
  .prefault({})
  .describe('Random changes of the training images; null switches all of them off.')

const trainSchema = z.strictObject({
  seed: z.int().min(0).default(42).describe('Seed of everything random in the run.'),
  epochs: count.default(120).describe('Passes over the training images, unless steps is given.'),
  steps: count.nullable().default(null).describe('Batches to train on; replaces epochs.'),
  minutes: positive
    .nullable()
    .default(null)
    .describe('Time limit: the run saves and ends after so many minutes of training.'),
  batchSize: count.default(1).describe('Images a batch.'),
  lr: positive.default(1e-4).describe('Learning rate of AdamW.'),
  weightDecay: z.number().min(0).default(1e-4).describe('Decoupled weight decay.'),
  betas: z.tuple([fraction, fraction]).default([0.9, 0.999]).describe('Betas of AdamW.'),
  eps: positive.default(1e-8).describe('Epsilon of AdamW.'),
  warmupSteps: z.int().min(0).default(0).describe('Steps over which the learning rate rises.'),
  schedule: z
    .enum(['constant', 'cosine'])
    .default('constant')
    .describe('Learning rate after the warm-up; cosine falls to zero at the end.'),
  accumulate: z
    .union([count, z.record(z.string().regex(/^\d+$/), count)])
    .default(1)
    .describe('Batches whose gradients make one update: a number, or {from epoch: number}.'),
  clipNorm: positive.nullable().default(null).describe('Greatest norm of the gradient, or null.'),
  ema: z
    .strictObject({ decay: fraction.default(0.9999).describe('Decay, after the warm-up.') })
    .nullable()
    .prefault({})
    .describe('Moving average of the weights, which is what predicts; or null.'),
  timestepSampling: z
    .strictObject({
      kind: z
        .enum(['uniform', 'high', 'last'])
        .default('uniform')
        .describe('uniform; high: density grows with t; last: t = T - 1 more often.'),
      power: positive.default(2).describe('For high: density proportional to t^(power - 1).'),
      probability: fraction.default(0.5).describe('For last: probability of t = T - 1.'),
    })
    .prefault({})
    .describe('How the timestep of a training image is drawn.'),
  precision: z
    .enum(precisions)
    .default('float32')
    .describe(
      'Arithmetic of the network in training. With bfloat16 weights, statistics of norms and loss stay float32; auto is bfloat16 on a GPU and float32 on the CPU.',
    ),
  validation: z
    .strictObject({
      images: z.int().min(0).default(0).describe('Training images held out; 0: no validation.'),
      every: count.default(1000).describe('Steps from one validation to the next.'),
      steps: count.default(1).describe('Network evaluations a chain in validation.'),
      seed: z.int().min(0).default(1).describe('Chooses the images and fixes the noise.'),
    })
    .prefault({})
    .describe('Held-out images choose the best checkpoint by their mean radial error (MRE).'),
  logEvery: count.default(10).describe('Steps averaged in a line of metrics.jsonl.'),
  checkpointEvery: count.default(500).describe('Steps from one checkpoint to the next.'),
})

export const configSchema = z
  .strictObject({
    model: modelSchema.prefault({}).describe('The U-Net.'),
    diffusion: diffusionSchema.prefault({}).describe('The forward process and the losses.'),
    sampling: samplingSchema.prefault({}).describe('The reverse process and the decoding.'),
    data: dataSchema.prefault({}).describe('Images, canvas and targets.'),
    augmentation: augmentationSchema,
    train: trainSchema.prefault({}).describe('Optimisation, validation and checkpoints.'),
  })
  .superRefine((config, context) => {
    for (const { path, message } of inconsistencies(config)) {
      context.addIssue({ code: 'custom', path, message })
    }
  })
  .describe('Configuration of a landmark-diffusion run.')

/** An effective configuration: every key present. */
export type Config = z.output<typeof configSchema>
/** What a user may write: every key optional. */
export type ConfigInput = z.input<typeof configSchema>

interface Inconsistency {
  path: string[]
  message: string
}

/** What no single key can know: agreements between keys. */
function inconsistencies(config: {
  model: z.output<typeof modelSchema>
  diffusion: z.output<typeof diffusionSchema>
  sampling: z.output<typeof samplingSchema>
  data: z.output<typeof dataSchema>
  train: z.output<typeof trainSchema>
}): Inconsistency[] {
  const { model, diffusion, sampling, data, train } = config
  const found: Inconsistency[] = []
  const say = (path: string, message: string) => found.push({ path: path.split('.'), message })
  const levels = model.encoderChannels.length
  if (model.decoderChannels.length !== levels) {
    say(
      'model.decoderChannels',
      `has ${model.decoderChannels.length} levels, model.encoderChannels has ${levels}; give both the same number`,
    )
  }
  for (const key of ['encoderChannels', 'decoderChannels'] as const) {
    const odd = model[key].find((channels) => channels % model.groups !== 0)
    if (odd !== undefined) {
      say(`model.${key}`, `${odd} channels cannot be split into model.groups = ${model.groups}`)
    }
  }
  const factor = 2 ** (levels - 1)
  for (const key of ['width', 'height'] as const) {
    if (data[key] % factor !== 0) {
      const nearest = Math.max(1, Math.round(data[key] / factor)) * factor
      say(
        `data.${key}`,
        `${data[key]} is not a multiple of ${factor} (${levels} levels); ${nearest} is`,
      )
    }
  }
  for (const ds of model.attention) {
    if (Math.log2(ds) % 1 !== 0 || ds > factor) {
      say('model.attention', `there is no level at downsample ${ds}; the levels are 1 to ${factor}`)
    }
  }
  if (diffusion.objective !== 'none') {
    const { timesteps } = diffusion
    if (sampling.steps > timesteps) {
      say('sampling.steps', `${sampling.steps} is more than diffusion.timesteps = ${timesteps}`)
    }
    if (train.validation.steps > timesteps) {
      say('train.validation.steps', `is more than diffusion.timesteps = ${timesteps}`)
    }
  }
  if (diffusion.betaStart > diffusion.betaEnd) {
    say('diffusion.betaStart', 'is greater than diffusion.betaEnd')
  }
  if (sampling.blur.kernelSize % 2 === 0) say('sampling.blur.kernelSize', 'must be odd')
  if (data.imageRange[0] >= data.imageRange[1]) {
    say('data.imageRange', 'black must be less than white')
  }
  return found
}
