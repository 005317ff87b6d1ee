/** Ellipses of a normal distribution with a point's mean and covariance (evaluation.md 2.4): D^2 = (y - mu)' Sigma^-1 (y - mu) is chi-squared with 2 degrees of freedom where they are right. */

import type { Point } from '../predictions.js'
import { type Covariance, determinant, squaredMahalanobis } from './covariance.js'
import { coverageLevels, type Regions } from './coverage.js'

/** The ellipse at level c is D^2 <= -2 ln(1 - c). `deviation`: truth minus mean, in mm. */
export function ellipseRegions(deviation: Point, covariance: Covariance): Regions {
  const squared = squaredMahalanobis(deviation, covariance)
  const limits = coverageLevels.map((level) => -2 * Math.log1p(-level))
  return {
    inside: limits.map((limit) => (squared <= limit ? 1 : 0)),
    areas: limits.map((limit) => ellipseArea(covariance, limit)),
  }
}

/** Area of D^2 <= `limit`. */
export function ellipseArea(covariance: Covariance, limit: number): number {
  return Math.PI * limit * Math.sqrt(determinant(covariance))
}
