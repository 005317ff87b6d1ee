import {
  type ClinicalMode,
  type ClinicalResult,
  evaluateClinical,
  isbiHumanRates,
} from 'landmark-diffusion/evaluation'
import { beforeAll, describe, expect, it } from 'vitest'
import { readAnnotations } from '#lib/data/isbi2015.js'
import { predictionsOf } from '../fixtures.js'

/** Folder of the ISBI 2015 data set; these tests compare with figures computed from its annotation tables elsewhere. */
const folder = process.env.LANDMARK_DIFFUSION_ISBI

const names = "S N Or Po A B Pog Me Gn Go L1 U1 UL LL Sn Pog' PNS ANS Ar".split(' ')

/**
 * Published rates of the junior against the senior (evaluation.md 2.5). Their FHI and FHA are recalls, as in corrected
 * mode; their MW has the organisers' four classes, as in official mode.
 */
const published = {
  test1: {
    first: 151,
    count: 150,
    rates: isbiHumanRates['ISBI 2015 doctors, Test 1'],
    mean: '75.3',
  },
  test2: {
    first: 301,
    count: 100,
    rates: isbiHumanRates['ISBI 2015 doctors, Test 2'],
    mean: '79.5',
  },
} as const

/** Bias and limits of agreement on Test 2, junior less senior, where the document gives them. */
const limitsOnTest2: Record<string, [bias: string | null, low: string, high: string]> = {
  ANB: ['0.04', '-2.02', '2.09'],
  SNB: [null, '-3.27', '3.28'],
  SNA: [null, '-4.30', '4.39'],
  ODI: ['-4.30', '-10.54', '1.94'],
  APDI: [null, '-4.71', '3.49'],
  FHI: [null, '-0.04', '0.03'],
  FHA: ['1.41', '-2.77', '5.60'],
  MW: ['-0.16', '-1.53', '1.21'],
}

/** Both doctors on a split; null where their annotations are not there (those of Test 2 may be kept back). */
async function doctors({ first, count }: { first: number; count: number }) {
  const ids = Array.from({ length: count }, (_, i) => String(first + i).padStart(3, '0'))
  try {
    const [junior, senior] = await Promise.all(
      (['junior', 'senior'] as const).map((doctor) =>
        readAnnotations(folder as string, ids, doctor),
      ),
    )
    return junior && senior ? { junior, senior } : null
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_DATA') return null
    throw error
  }
}

describe.skipIf(folder === undefined)('the doctors of ISBI 2015', () => {
  describe.each(['test1', 'test2'] as const)('on %s', (split) => {
    let results: Record<ClinicalMode, ClinicalResult> | null = null

    beforeAll(async () => {
      const points = await doctors(published[split])
      if (points === null) return
      const score = (mode: ClinicalMode) =>
        evaluateClinical({
          predictions: predictionsOf(Object.fromEntries(points.junior), names),
          annotations: points.senior,
          mode,
          bootstrap: { resamples: 0 },
        })
      results = { corrected: score('corrected'), official: score('official') }
    })

    it('reach the published success rates against each other', (context) => {
      if (results === null) return context.skip(`the annotations of ${split} are not there`)
      const { corrected, official } = results
      const rates = corrected.measures.map(({ name, scr }, i) =>
        name === 'MW' ? (official.measures[i]?.scr ?? Number.NaN) : scr,
      )
      expect(rates.map((rate) => Number(rate.toFixed(1)))).toEqual(published[split].rates)
      expect((rates.reduce((sum, rate) => sum + rate, 0) / 8).toFixed(1)).toBe(
        published[split].mean,
      )
    })

    it.runIf(split === 'test2')('agree within the published limits', (context) => {
      if (results === null) return context.skip(`the annotations of ${split} are not there`)
      for (const { name, agreement } of results.official.measures) {
        const [bias, ...limits] = limitsOnTest2[name] ?? [null]
        expect(agreement.limits.map((limit) => limit.toFixed(2))).toEqual(limits)
        if (bias !== null) expect(agreement.bias.toFixed(2)).toBe(bias)
      }
    })
  })

  it('have 144 cases of type 3 by the senior, of which 58 have a positive MW', async (context) => {
    const splits = await Promise.all(
      [
        { first: 1, count: 300 },
        { first: 301, count: 100 },
      ].map(doctors),
    )
    if (splits.some((points) => points === null))
      return context.skip('the annotations of test2 are not there')
    const senior = new Map(splits.flatMap((points) => [...(points?.senior ?? [])]))
    const { measures } = evaluateClinical({
      predictions: predictionsOf(Object.fromEntries(senior), names),
      annotations: senior,
      mode: 'official',
      bootstrap: { resamples: 0 },
    })
    const cases = measures
      .at(-1)
      ?.perImage.filter(({ truthClass }) => truthClass === 'anterior cross-bite')
    expect(cases?.length).toBe(144)
    expect(cases?.filter(({ truth }) => (truth ?? 0) > 0).length).toBe(58)
  })
})
