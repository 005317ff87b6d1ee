/**
 * Intraclass correlation of single ratings in the two-way models (Shrout and Fleiss, Psychol. Bull. 1979, 86:420-428),
 * with the F-based intervals of McGraw and Wong (Psychol. Methods 1996, 1:30-46).
 */

import { isConstant, mean } from './descriptive.js'
import { fisherF } from './distributions.js'

export interface Icc {
  value: number
  ci95: [number, number]
}

/** Ratings [targets][raters] of k >= 2 raters. NaN for fewer than two targets or where nothing varies. */
export function intraclassCorrelation(ratings: readonly (readonly number[])[]): {
  /** ICC(2,1): absolute agreement, raters drawn from many. */
  icc21: Icc
  /** ICC(3,1): consistency, these raters only; blind to a constant bias. */
  icc31: Icc
} {
  const n = ratings.length
  const k = ratings[0]?.length ?? 0
  const grand = mean(ratings.flat())
  const targetMeans = ratings.map(mean)
  const raterMeans = Array.from({ length: k }, (_, j) =>
    mean(ratings.map((row) => row[j] as number)),
  )
  const squares = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + (value - grand) ** 2, 0)
  const residuals = ratings.flatMap((row, i) =>
    row.map((value, j) => value - (targetMeans[i] as number) - (raterMeans[j] as number) + grand),
  )
  const df1 = n - 1
  const df2 = df1 * (k - 1)
  /** Mean squares between targets, between raters, and of the rest. */
  const targets = (k * squares(targetMeans)) / df1
  const raters = (n * squares(raterMeans)) / (k - 1)
  const rest = residuals.reduce((sum, value) => sum + value * value, 0) / df2

  const consistency = (targets - rest) / (targets + (k - 1) * rest)
  const agreement = (targets - rest) / (targets + (k - 1) * rest + (k * (raters - rest)) / n)
  if (n < 2 || isConstant(ratings.flat())) {
    const none: Icc = { value: Number.NaN, ci95: [Number.NaN, Number.NaN] }
    return { icc21: none, icc31: none }
  }
  const upper = (p: number, q: number) => fisherF(p, q).quantile(0.975)

  const ratioLow = targets / upper(df1, df2)
  const ratioHigh = targets * upper(df2, df1)
  const consistencyCi95: [number, number] = [
    (ratioLow - rest) / (ratioLow + (k - 1) * rest),
    (ratioHigh - rest) / (ratioHigh + (k - 1) * rest),
  ]

  // Satterthwaite's degrees of freedom; multiplied out by the residual mean square, which may be 0.
  const part = n * (1 + (k - 1) * agreement) - k * agreement
  const raterPart = k * agreement * raters
  const degrees =
    (df2 * (raterPart + part * rest) ** 2) / (df1 * raterPart ** 2 + (part * rest) ** 2)
  const mixed = k * raters + (k * n - k - n) * rest
  const low = upper(df1, degrees)
  const high = upper(degrees, df1)
  const agreementCi95: [number, number] =
    mixed === 0
      ? [1, 1]
      : [
          (n * (targets - low * rest)) / (low * mixed + n * targets),
          (n * (high * targets - rest)) / (mixed + n * high * targets),
        ]
  return {
    icc21: { value: agreement, ci95: agreementCi95 },
    icc31: { value: consistency, ci95: consistencyCi95 },
  }
}
