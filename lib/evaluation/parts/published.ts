/** Published results on the same images, where the evaluation is of a whole test set of ISBI 2015 against the mean of the doctors. */

import { thresholds } from '../metrics.js'
import { publishedResults } from '../published.js'
import { align, fixed } from '../text.js'
import type { Evidence, Part } from './part.js'

/** The official test sets: name, images, and mm a pixel. */
const testSets = [
  { split: 'test1', images: 150 },
  { split: 'test2', images: 100 },
] as const
const officialPixel = 0.1

/** The test set that was evaluated; null for a part of one, for other truths and for data that only have its layout, such as synthetic ones. */
function testSetOf({ split, truth = 'mean', errors, predictions, exclude = [] }: Evidence) {
  const set = testSets.find((known) => known.split === split)
  if (!set || truth !== 'mean' || exclude.length > 0 || errors.ids.length !== set.images)
    return null
  const sized = predictions.images.every(
    ({ pixelSize }) => pixelSize === null || pixelSize.every((mm) => mm === officialPixel),
  )
  return sized ? set.split : null
}

export const publishedPart: Part = {
  key: 'published',
  run: (evidence) => {
    const split = testSetOf(evidence)
    if (split === null) return null
    const value = publishedResults.flatMap(({ method, source, ...sets }) => {
      const figures = sets[split]
      return figures ? [{ method, source, ...figures }] : []
    })
    const rows = value.map(({ method, mre, sd, sdr = {} }) => [
      method,
      fixed(mre ?? Number.NaN),
      fixed(sd ?? Number.NaN),
      ...thresholds.map((limit) => fixed(sdr[`${limit}`] ?? Number.NaN)),
    ])
    const heads = ['published', 'MRE', 'SD', ...thresholds.map((limit) => `${limit} mm`)]
    return {
      value,
      text: ['Published results on these images', ...align([heads, ...rows])].join('\n'),
    }
  },
}
