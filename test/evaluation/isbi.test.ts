import {
  annotatorReference,
  evaluate,
  meanShapeReference,
  type Reference,
} from 'landmark-diffusion/evaluation'
import { beforeAll, describe, expect, it } from 'vitest'
import { readAnnotations } from '#lib/data/isbi2015.js'
import { predictionsOf } from './fixtures.js'

/** Folder of the ISBI 2015 data set; these tests compare with figures computed from its annotation tables elsewhere. */
const folder = process.env.LANDMARK_DIFFUSION_ISBI
if (folder === undefined) {
  console.info(
    'Skipped: set LANDMARK_DIFFUSION_ISBI to the folder of the ISBI 2015 data set to run the human baselines.',
  )
}

const names = "S N Or Po A B Pog Me Gn Go L1 U1 UL LL Sn Pog' PNS ANS Ar".split(' ')

/** `mre`, SDR at 2, 2.5, 3 and 4 mm; then MRE and SDR at 2 mm without landmark 16; then the landmarks' mean distances. */
const baselines = {
  train: {
    first: 1,
    figures: ['2.353', '60.46', '68.04', '73.61', '82.07'],
    withoutPog: ['1.973', '63.81'],
    toMean: '1.177',
    landmarks:
      '0.88 1.28 3.27 3.77 3.48 3.07 0.93 1.20 0.78 3.84 0.69 0.46 2.42 1.76 1.93 9.20 1.40 1.94 2.41',
  },
  test1: {
    first: 151,
    figures: ['2.363', '55.54', '63.93', '71.12', '81.51'],
    withoutPog: ['2.133', '58.63'],
    toMean: '1.182',
    landmarks:
      '1.02 1.94 3.24 3.38 3.37 3.21 1.58 1.38 1.24 2.38 0.70 0.52 3.77 3.06 1.44 6.51 1.68 1.97 2.51',
  },
} as const

function figures({ mre, sdr }: Reference['result'], digits = 2): string[] {
  return [
    mre.mean.toFixed(3),
    ...(['2', '2.5', '3', '4'] as const).map((z) => sdr[z].toFixed(digits)),
  ]
}

describe.skipIf(folder === undefined)('the doctors of ISBI 2015', () => {
  describe.each(['train', 'test1'] as const)('on %s', (split) => {
    const { first, figures: expected, withoutPog, landmarks, toMean } = baselines[split]
    const ids = Array.from({ length: 150 }, (_, i) => String(first + i).padStart(3, '0'))
    let options: Parameters<typeof evaluate>[0]
    let doctors: (exclude?: string[]) => Reference

    beforeAll(async () => {
      const read = (truth: 'mean' | 'junior' | 'senior') =>
        readAnnotations(folder as string, ids, truth)
      const [mean, junior, senior] = await Promise.all([
        read('mean'),
        read('junior'),
        read('senior'),
      ])
      const juniors = predictionsOf(Object.fromEntries(junior), names)
      options = { predictions: juniors, annotations: mean, split, bootstrap: { resamples: 10 } }
      doctors = (exclude = []) =>
        annotatorReference({ ...options, exclude }, junior, senior) as Reference
    })

    it('differ as the published tables say', () => {
      expect(figures(doctors().result)).toEqual(expected)
    })

    it('differ less without the soft-tissue pogonion', () => {
      expect(figures(doctors(["Pog'"]).result).slice(0, 2)).toEqual(withoutPog)
    })

    it('differ at each landmark as the published tables say', () => {
      const found = doctors().result.perLandmark.map(({ mre }) => mre.toFixed(2))
      expect(found.join(' ')).toBe(landmarks)
    })

    it('lie half their difference beside their mean', () => {
      expect(evaluate(options).mre.mean.toFixed(3)).toBe(toMean)
    })
  })

  it('have ten points of Test 1 exactly on 2 mm, which the strict convention leaves out', async () => {
    const ids = Array.from({ length: 150 }, (_, i) => String(151 + i))
    const junior = await readAnnotations(folder as string, ids, 'junior')
    const senior = await readAnnotations(folder as string, ids, 'senior')
    const options = {
      predictions: predictionsOf(Object.fromEntries(junior), names),
      annotations: senior,
      bootstrap: { resamples: 10 },
    }
    const lost =
      evaluate(options).sdr['2'] - evaluate({ ...options, convention: 'strict' }).sdr['2']
    expect(Math.round((lost * 2850) / 100)).toBe(10)
  })

  it('are missed by the mean shape of the training images by 9.6 mm on Test 1', async () => {
    const range = (first: number) =>
      Array.from({ length: 150 }, (_, i) => String(first + i).padStart(3, '0'))
    const annotations = await readAnnotations(folder as string, range(151), 'mean')
    const training = await readAnnotations(folder as string, range(1), 'mean')
    const options = {
      predictions: predictionsOf(Object.fromEntries(annotations), names),
      annotations,
      bootstrap: { resamples: 10 },
    }
    expect(meanShapeReference(options, training).result.mre.mean.toFixed(1)).toBe('9.6')
  })
})
