import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  blandAltman,
  bootstrapIntervals,
  chiSquared,
  cohenKappa,
  fisherF,
  holm,
  intraclassCorrelation,
  linearRegression,
  normal,
  pairedBootstrap,
  pearson,
  rocAuc,
  spearman,
  studentT,
  wilcoxonSignedRank,
} from '#lib/evaluation/statistics/index.js'

/** Answers of SciPy, scikit-learn, statsmodels and pingouin, written by scripts/reference/evaluation_statistics.py. */
const reference = JSON.parse(
  readFileSync(new URL('../../fixtures/statistics.json', import.meta.url), 'utf8'),
)

/** Relative for large numbers, absolute for small ones. */
function expectClose(found: unknown, expected: unknown): void {
  const [a, b] = [[found], [expected]].map((value) => value.flat(3) as number[]) as [
    number[],
    number[],
  ]
  expect(a.length).toBe(b.length)
  for (const [i, value] of b.entries()) {
    expect(Math.abs((a[i] as number) - value)).toBeLessThanOrEqual(
      1e-9 * Math.max(1, Math.abs(value)),
    )
  }
}

/** A distribution of SciPy's at some points. */
interface Sampled {
  family: 'normal' | 'studentT' | 'chiSquared' | 'fisherF'
  parameters: [number, number]
  x: number[]
  cdf: number[]
  survival: number[]
  p: number[]
  quantile: number[]
}

describe('the statistics agree with independent libraries to 1e-9', () => {
  const families = { normal: () => normal, studentT, chiSquared, fisherF } as const
  for (const { family, parameters, ...expected } of reference.distributions as Sampled[]) {
    it(`SciPy: ${family}(${parameters.join(', ')})`, () => {
      const { x, p, cdf, survival, quantile } = expected
      const distribution = families[family](...parameters)
      for (const [values, expected] of [
        [x.map(distribution.cdf), cdf],
        [x.map(distribution.survival), survival],
        [p.map(distribution.quantile), quantile],
      ] as const) {
        // Relative everywhere: the tails matter.
        for (const [i, value] of expected.entries())
          expect(Math.abs((values[i] as number) - value)).toBeLessThanOrEqual(
            1e-9 * Math.abs(value) + 1e-300,
          )
      }
    })
  }

  it('SciPy: correlation and the line through points, with ties too', () => {
    for (const { x, y, slope, intercept, p, slopeCi95, ...r } of reference.correlations) {
      expectClose([pearson(x, y), spearman(x, y)], [r.pearson, r.spearman])
      const line = linearRegression(x, y)
      expectClose([line.slope, line.intercept, line.p], [slope, intercept, p])
      expectClose(line.slopeCi95, slopeCi95)
    }
  })

  it('SciPy: the signed-rank test, exact and approximate, with ties and zeros', () => {
    const methods = reference.wilcoxons.map(
      ({ differences, statistic, p }: { differences: number[]; statistic: number; p: number }) => {
        const found = wilcoxonSignedRank(differences)
        expectClose([found.statistic, found.p], [statistic, p])
        return found.method
      },
    )
    expect(new Set(methods)).toEqual(new Set(['exact', 'normal approximation']))
  })

  it('scikit-learn: area under the ROC curve, with ties too', () => {
    for (const { scores, positive, auc } of reference.aucs)
      expectClose(rocAuc(scores, positive), auc)
  })

  it('scikit-learn: kappa without, with linear and with quadratic weights', () => {
    for (const { confusion, ...kappas } of reference.kappas)
      for (const weights of ['none', 'linear', 'quadratic'] as const)
        expectClose(cohenKappa(confusion, weights), kappas[weights])
  })

  it('pingouin: intraclass correlations and their intervals', () => {
    for (const { measured, truth, ...expected } of reference.agreements) {
      const { icc21, icc31 } = intraclassCorrelation(
        measured.map((value: number, i: number) => [value, truth[i]]),
      )
      expectClose([icc21.value, icc31.value], [expected.icc21, expected.icc31])
      expectClose(icc21.ci95, expected.icc21Ci95)
      expectClose(icc31.ci95, expected.icc31Ci95)
    }
  })

  it('SciPy: bias, limits of agreement and their intervals, proportional bias', () => {
    for (const { measured, truth, ...expected } of reference.agreements) {
      const found = blandAltman(measured, truth)
      for (const key of ['bias', 'biasCi95', 'sd', 'limits', 'limitsCi95'] as const)
        expectClose(found[key], expected[key])
      expectClose([found.proportional.slope, found.proportional.p], [expected.slope, expected.p])
    }
  })

  it('SciPy: percentile and BCa intervals of the same resamples, single and paired', () => {
    for (const { a, b, resamples, seed, p, ...expected } of reference.bootstraps) {
      const meanOf = (values: number[]) => (drawn: Int32Array) => {
        const total = drawn.reduce((sum, times) => sum + times, 0)
        return [values.reduce((sum, value, i) => sum + value * (drawn[i] as number), 0) / total]
      }
      for (const method of ['percentile', 'bca'] as const) {
        const options = { resamples, seed, method }
        const [single] = bootstrapIntervals(a.length, meanOf(a), options)
        expectClose(single, expected[`mean-${method}`])
        const [paired] = pairedBootstrap(a.length, meanOf(a), meanOf(b), options)
        expectClose(paired?.ci95, expected[`difference-${method}`])
        expectClose(paired?.p, p)
      }
    }
  })

  it('statsmodels: p values corrected by Holm', () => {
    for (const { p, holm: expected } of reference.corrections) expectClose(holm(p), expected)
  })
})

describe('statistics of what says nothing', () => {
  it('are NaN', () => {
    expect(wilcoxonSignedRank([0, 0, 0]).p).toBeNaN()
    expect(rocAuc([1, 2], [true, true])).toBeNaN()
    // The mean of three times 0.1 is not 0.1.
    expect(pearson([0.1, 0.1, 0.1], [1, 2, 3])).toBeNaN()
    expect(linearRegression([0.1, 0.1, 0.1], [1, 2, 3]).slope).toBeNaN()
    expect(
      cohenKappa([
        [5, 0],
        [0, 0],
      ]),
    ).toBeNaN()
    expect(blandAltman([1], [1]).limits).toEqual([Number.NaN, Number.NaN])
    expect(linearRegression([1, 2], [1, 2]).slope).toBeNaN()
    const same = () => [1]
    expect(bootstrapIntervals(5, same, { method: 'bca' })).toEqual([[Number.NaN, Number.NaN]])
  })

  it('intraclass correlation is 1 where all raters agree, and NaN where nothing varies', () => {
    const { icc21, icc31 } = intraclassCorrelation([
      [1, 1],
      [2, 2],
      [4, 4],
    ])
    expect([icc21, icc31]).toEqual([
      { value: 1, ci95: [1, 1] },
      { value: 1, ci95: [1, 1] },
    ])
    expect(
      intraclassCorrelation([
        [1, 1],
        [1, 1],
      ]).icc21.value,
    ).toBeNaN()
  })
})
