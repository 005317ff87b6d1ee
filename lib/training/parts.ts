/** The parts of a run as its configuration describes them: landmark set, network, objective, sampler, and the scaling of the image. */

import {
  BaselineObjective,
  EpsilonObjective,
  NoiseSchedule,
  Sampler,
  X0Objective,
} from '../diffusion/index.js'
import { cephalometric19 } from '../landmarks/cephalometry.js'
import type { LandmarkSet } from '../landmarks/landmark-set.js'
import { UNet } from '../model/index.js'
import * as torch from '../torch/index.js'
import type { Config } from './config-schema.js'

const landmarkSets: Record<Config['data']['landmarks'], LandmarkSet> = { cephalometric19 }

export function landmarkSet(config: Config): LandmarkSet {
  return landmarkSets[config.data.landmarks]
}

/** The network with fresh weights, drawn from torch's default generator. */
export function createModel(config: Config): UNet {
  return new UNet({
    ...config.model,
    landmarks: landmarkSet(config).landmarks.length,
    timeConditioned: config.diffusion.objective !== 'none',
  })
}

export function createObjective(
  { diffusion }: Config,
  device = 'cpu',
): X0Objective | EpsilonObjective | BaselineObjective {
  switch (diffusion.objective) {
    case 'x0':
      return new X0Objective(new NoiseSchedule(diffusion), { ...diffusion, device })
    case 'epsilon':
      return new EpsilonObjective(new NoiseSchedule(diffusion), { ...diffusion, device })
    case 'none':
      return new BaselineObjective(diffusion)
  }
}

/** The configured sampler, with another number of steps or chains where these are given. Not for the baseline. */
export function createSampler(
  { diffusion, sampling }: Config,
  { steps = sampling.steps, chains = sampling.chains }: { steps?: number; chains?: number } = {},
): Sampler {
  const { kind, eta } = sampling.method
  return new Sampler(new NoiseSchedule(diffusion), {
    steps,
    chains,
    prediction: diffusion.objective === 'epsilon' ? 'epsilon' : 'x0',
    method: kind === 'ddim' ? { kind, eta } : { kind },
    posteriorVariance: diffusion.posteriorVariance,
    blur: sampling.blur,
    prior: diffusion.prior,
    average: sampling.average,
  })
}

/** What `auto` stands for on this device. */
export function precisionOn(
  device: string,
  precision: Config['train']['precision'],
): 'float32' | 'bfloat16' {
  if (precision !== 'auto') return precision
  return device.startsWith('cuda') ? 'bfloat16' : 'float32'
}

/**
 * Runs `fn` with the network's arithmetic. bfloat16 is autocast: products and the activations between them are
 * bfloat16, weights, the statistics of norms and the loss float32.
 */
export function withPrecision<T>(
  precision: Config['train']['precision'],
  device: string,
  fn: () => T,
): T {
  const type = device.startsWith('cuda') ? 'cuda' : 'cpu'
  const found = precisionOn(device, precision)
  return found === 'float32' ? fn() : torch.autocast(type, found, fn)
}

/** Greys 0 ... 255 to the network's range. */
export function imageToNetwork(
  greys: torch.Tensor,
  [black, white]: Config['data']['imageRange'],
): torch.Tensor {
  return greys.mul((white - black) / 255).add(black)
}
