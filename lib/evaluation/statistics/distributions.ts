/** The normal, Student's t, chi-squared and F distributions (tests and intervals of evaluation.md 2.5 and 2.6). */

import { regularizedBeta, regularizedGamma } from './special-functions.js'

export interface Distribution {
  /** Probability of a value up to x. */
  cdf: (x: number) => number
  /** Probability of a value above x, exact to the last digits where the cdf is near 1. */
  survival: (x: number) => number
  /** The value that is not exceeded with probability p in (0, 1); NaN outside [0, 1]. */
  quantile: (p: number) => number
}

type Tails = (x: number) => readonly [below: number, above: number]

/**
 * The x >= 0 with tails(x) = [below, above], found by bisection to the last bit. Slow but sure: a quantile is taken a few
 * times an evaluation.
 */
function invert(tails: Tails, below: number, above: number): number {
  if (below <= 0) return 0
  if (above <= 0) return Number.POSITIVE_INFINITY
  // The smaller tail is compared: it has the digits.
  const isBefore = (x: number) => (below <= above ? tails(x)[0] < below : tails(x)[1] > above)
  let low = 0
  let high = 1
  while (isBefore(high) && high < Number.MAX_VALUE / 2) high *= 2
  for (;;) {
    const middle = low + (high - low) / 2
    if (middle <= low || middle >= high) return middle
    if (isBefore(middle)) low = middle
    else high = middle
  }
}

/** A distribution of values >= 0 from its two tails. */
function positive(tails: Tails): Distribution {
  return {
    cdf: (x) => tails(x)[0],
    survival: (x) => tails(x)[1],
    quantile: (p) => (p >= 0 && p <= 1 ? invert(tails, p, 1 - p) : Number.NaN),
  }
}

/** A distribution that is symmetric around 0, from the two tails of its absolute value. */
function symmetric(tails: Tails): Distribution {
  const survival = (x: number) => (x >= 0 ? tails(x)[1] / 2 : 0.5 + tails(-x)[0] / 2)
  const upperQuantile = (above: number) => invert(tails, 1 - 2 * above, 2 * above)
  return {
    cdf: (x) => survival(-x),
    survival,
    quantile: (p) => {
      if (!(p >= 0 && p <= 1)) return Number.NaN
      return p < 0.5 ? -upperQuantile(p) : upperQuantile(1 - p)
    },
  }
}

/** The standard normal distribution: z^2 / 2 is gamma distributed (DLMF 7.11.2). */
export const normal: Distribution = symmetric((z) => regularizedGamma(0.5, (z * z) / 2))

export function chiSquared(degrees: number): Distribution {
  return positive((x) => regularizedGamma(degrees / 2, x / 2))
}

/** Tails of the F distribution (Abramowitz and Stegun 26.6.2). */
function fisherTails(numerator: number, denominator: number): Tails {
  return (x) => {
    if (x <= 0) return [0, 1]
    const ratio = (numerator * x) / denominator
    return regularizedBeta(1 / (1 + 1 / ratio), 1 / (1 + ratio), numerator / 2, denominator / 2)
  }
}

/** The F distribution; its degrees of freedom need not be whole. */
export function fisherF(numerator: number, denominator: number): Distribution {
  return positive(fisherTails(numerator, denominator))
}

/** Student's t distribution: t^2 has the F distribution with 1 and `degrees` degrees of freedom. */
export function studentT(degrees: number): Distribution {
  const tails = fisherTails(1, degrees)
  return symmetric((t) => tails(t * t))
}
