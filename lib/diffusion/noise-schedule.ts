/**
 * How much noise each step holds (Ho et al. 2020, arXiv 2006.11239, equations 4, 6 and 7): tables in
 * double precision, and the step of the reverse chain from any time t to any earlier time s.
 */
import { LandmarkDiffusionError } from '../errors.js'

export interface NoiseScheduleOptions {
  /** Number of noise levels T; default 200. */
  timesteps?: number
  /** beta at t = 0; default 1e-4. */
  betaStart?: number
  /** beta at t = T - 1; default 0.02. */
  betaEnd?: number
  /** 'linear': beta evenly spaced from betaStart to betaEnd, whatever T is (as in the paper). */
  schedule?: 'linear'
}

/** x_s = x0 * (clean estimate) + xt * (state) + noise * N(0, I). */
export interface Transition {
  x0: number
  xt: number
  noise: number
}

/**
 * x_t = sqrt(alphaBar_t) x0 + sqrt(1 - alphaBar_t) noise, alphaBar_t = prod_{i <= t} (1 - beta_i),
 * t = 0 .. T - 1.
 */
export class NoiseSchedule {
  readonly timesteps: number
  readonly betas: Float64Array
  readonly alphaBar: Float64Array

  constructor(options: NoiseScheduleOptions = {}) {
    const { timesteps = 200, betaStart = 1e-4, betaEnd = 0.02 } = options
    if (!Number.isInteger(timesteps) || timesteps < 1) {
      throw new LandmarkDiffusionError(
        'ERR_CONFIG',
        `diffusion.timesteps is ${timesteps}; give a whole number of at least 1.`,
      )
    }
    this.timesteps = timesteps
    const spacing = timesteps > 1 ? (betaEnd - betaStart) / (timesteps - 1) : 0
    this.betas = Float64Array.from({ length: timesteps }, (_, t) => betaStart + t * spacing)
    let product = 1
    this.alphaBar = this.betas.map((beta) => {
      product *= 1 - beta
      return product
    })
  }

  /** Weights of clean heatmaps and of noise in x_t; t = -1 is x0 itself. */
  mix(t: number): { signal: number; noise: number } {
    const bar = this.#bar(t)
    return { signal: Math.sqrt(bar), noise: Math.sqrt(1 - bar) }
  }

  /** `posterior(t, t - 1)` for every t: weight of x0, weight of x_t, and the variance beta-tilde. */
  get posteriorTables(): { x0: Float64Array; xt: Float64Array; variance: Float64Array } {
    const rows = Array.from(this.betas, (_, t) => this.posterior(t, t - 1))
    return {
      x0: Float64Array.from(rows, (row) => row.x0),
      xt: Float64Array.from(rows, (row) => row.xt),
      variance: Float64Array.from(rows, (row) => row.noise ** 2),
    }
  }

  /**
   * q(x_s | x_t, x0) for s < t (s = -1 is x0 itself, exactly), the ancestral step. Skipping times is
   * the same formula with beta = 1 - alphaBar_t / alphaBar_s (guided-diffusion's respacing).
   *
   * variance 'beta-tilde' (default) is the posterior's own, beta (1 - alphaBar_s) / (1 - alphaBar_t);
   * 'beta' is the upper bound of Ho et al., section 3.2.
   */
  posterior(
    t: number,
    s: number,
    { variance = 'beta-tilde' }: { variance?: 'beta-tilde' | 'beta' } = {},
  ): Transition {
    if (s === -1) return { x0: 1, xt: 0, noise: 0 }
    const barT = this.#bar(t)
    const barS = this.#bar(s)
    // For neighbours the table's beta, which the quotient would only repeat less exactly.
    const beta = s === t - 1 ? (this.betas[t] as number) : 1 - barT / barS
    const tilde = (beta * (1 - barS)) / (1 - barT)
    return {
      x0: (Math.sqrt(barS) * beta) / (1 - barT),
      xt: (Math.sqrt(1 - beta) * (1 - barS)) / (1 - barT),
      noise: Math.sqrt(variance === 'beta' ? beta : tilde),
    }
  }

  /**
   * The DDIM step from t to s (Song et al. 2021, arXiv 2010.02502, equations 12 and 16), with the noise
   * estimate written in terms of x0 and x_t. eta 0 is deterministic, eta 1 is the ancestral step.
   */
  ddim(t: number, s: number, { eta = 0 }: { eta?: number } = {}): Transition {
    const barT = this.#bar(t)
    const barS = this.#bar(s)
    const noise = eta * Math.sqrt(((1 - barS) / (1 - barT)) * (1 - barT / barS))
    const xt = Math.sqrt(Math.max(0, 1 - barS - noise ** 2) / (1 - barT))
    return { x0: Math.sqrt(barS) - xt * Math.sqrt(barT), xt, noise }
  }

  /**
   * The times of a chain of `steps` network evaluations, downwards from `from` (default T - 1),
   * evenly spaced counting from the noisy end ('trailing', Lin et al. 2024): all times when steps
   * is from + 1, only `from` when it is 1.
   */
  timestepsOf(steps: number, { from = this.timesteps - 1 }: { from?: number } = {}): number[] {
    const available = from + 1
    if (!Number.isInteger(steps) || steps < 1 || steps > available) {
      throw new LandmarkDiffusionError(
        'ERR_CONFIG',
        `A chain from time ${from} cannot have ${steps} steps; give a whole number from 1 to ${available}.`,
      )
    }
    return Array.from(
      { length: steps },
      (_, i) => roundHalfEven((available * (steps - i)) / steps) - 1,
    )
  }

  #bar(t: number): number {
    if (t === -1) return 1
    const bar = this.alphaBar[t]
    if (bar === undefined) {
      throw new RangeError(`Time ${t} is outside this schedule's 0 .. ${this.timesteps - 1}.`)
    }
    return bar
  }
}

/** Python's and NumPy's rounding, so that chains visit the same times as the PyTorch reference. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  if (value - floor !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}
