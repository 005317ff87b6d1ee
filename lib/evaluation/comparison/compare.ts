/**
 * Detectors against each other on the same images and points: paired differences with bootstrap intervals over images,
 * Wilcoxon's signed-rank test over image means, and over images for each landmark with Holm's correction over the
 * landmarks (evaluation.md 2.6). Each later detector is compared with the first.
 */

import { type DetectionRates, summarize } from '../evaluate.js'
import {
  type Convention,
  drawableRates,
  type ErrorTable,
  isWithin,
  thresholds,
} from '../metrics.js'
import {
  type BootstrapOptions,
  bootstrapIntervals,
  drawnMeans,
  holm,
  mean,
  type PairedDifference,
  pairedBootstrap,
  type WilcoxonResult,
  wilcoxonSignedRank,
} from '../statistics/index.js'
import { commonPoints } from './common-points.js'

/** One side of a comparison: its errors on some images. */
export interface Contender {
  readonly name: string
  readonly errors: ErrorTable
}

/** A contender's own figures on the common images and landmarks; lengths in mm. */
export interface ContenderSummary {
  name: string
  /** Annotated points that it did not find: misses in the SDR, absent from the other figures. */
  missing: number
  over10mm: number
  mre: { mean: number; sd: number; ci95: [number, number] }
  median: number
  sdr: DetectionRates
}

/** How often each side is nearer to the truth; a found point beats one that was not found. */
export interface Wins {
  first: number
  second: number
  ties: number
}

export interface LandmarkDifference {
  name: string
  /** Images on which both found it. */
  points: number
  /** Mean of second less first in mm, over these; below 0 the second is better. */
  difference: number
  ci95: [number, number]
  /** Wilcoxon's p over these images, and the same corrected by Holm over the landmarks; NaN where no image differs. */
  p: number
  pHolm: number
  wins: Wins
}

export interface ImageDifference {
  id: string
  /** Points that both found. */
  points: number
  /** Mean errors over these in mm, and second less first. */
  first: number
  second: number
  difference: number
  /** The landmark whose error changed most; null where both sides are equal everywhere. */
  landmark: { name: string; first: number; second: number } | null
}

/** Points within a limit for one side only. */
export interface Crossings {
  gained: number
  lost: number
}

/** The second contender compared with the first: differences are second less first. */
export interface PairedComparison {
  first: string
  second: string
  /** Points that both found: those that the MRE is compared over, so that nobody gains by leaving out what is hard. */
  points: number
  /** In mm; below 0 the second is better. */
  mre: PairedDifference
  /** In percentage points over all annotated points, one that was not found being a miss; above 0 the second is better. */
  sdr: Record<'2' | '2.5' | '3' | '4', PairedDifference>
  /** Of the image means over the points that both found; `pHolm` corrected over the comparisons with the first contender. */
  wilcoxon: WilcoxonResult & { pHolm: number }
  wins: { points: Wins; images: Wins }
  /** By limit in mm: points that only the second has within it (gained), and that only the first has (lost). */
  crossed: Record<'2' | '2.5' | '3' | '4' | '10', Crossings>
  perLandmark: LandmarkDifference[]
  /** The largest change first. */
  perImage: ImageDifference[]
}

export interface ComparisonResult {
  convention: Convention
  /** Images that all contenders predicted, annotated points of these, and the landmarks that all have. */
  images: number
  points: number
  landmarks: string[]
  /** What not all contenders have, and is therefore not compared. */
  leftOut: { images: string[]; landmarks: string[] }
  contenders: ContenderSummary[]
  comparisons: PairedComparison[]
}

export interface ComparisonOptions {
  convention?: Convention
  bootstrap?: BootstrapOptions
}

/** Errors that differ by less, in mm, are the same up to rounding. */
const equal = 1e-9

/** Second less first; 0 for what only rounding tells apart, NaN where either has no error. */
function change(first: number, second: number): number {
  const difference = second - first
  return Math.abs(difference) < equal ? 0 : difference
}

function winsOf(pairs: readonly (readonly [number, number])[]): Wins {
  const wins: Wins = { first: 0, second: 0, ties: 0 }
  for (const [first, second] of pairs) {
    // Infinity, a point that was not found, loses against any error and ties with itself.
    if (first === second || Math.abs(first - second) < equal) wins.ties++
    else if (first < second) wins.first++
    else wins.second++
  }
  return wins
}

/** Pairs of errors at the given places of both tables, without those that are not annotated. */
function pairsAt(a: ErrorTable, b: ErrorTable, places: Iterable<number>): [number, number][] {
  const pairs: [number, number][] = []
  for (const at of places) {
    const pair: [number, number] = [a.values[at] as number, b.values[at] as number]
    if (!pair.some(Number.isNaN)) pairs.push(pair)
  }
  return pairs
}

function isFound([first, second]: readonly [number, number]): boolean {
  return Number.isFinite(first) && Number.isFinite(second)
}

/** Places of a landmark's column. */
function column({ ids, landmarks }: ErrorTable, landmark: number): number[] {
  return ids.map((_, i) => i * landmarks.length + landmark)
}

function landmarkDifferences(
  a: ErrorTable,
  b: ErrorTable,
  bootstrap: BootstrapOptions | undefined,
): LandmarkDifference[] {
  const differences = a.values.map((first, at) => change(first, b.values[at] as number))
  const means = drawnMeans(differences, a.landmarks.length)
  const centre = means(new Int32Array(a.ids.length).fill(1))
  const intervals = bootstrapIntervals(a.ids.length, means, bootstrap)
  const pairs = a.landmarks.map((_, j) => pairsAt(a, b, column(a, j)))
  const p = pairs.map(
    (list) => wilcoxonSignedRank(list.filter(isFound).map(([x, y]) => change(x, y))).p,
  )
  const corrected = holm(p)
  return a.landmarks.map((name, j) => ({
    name,
    points: (pairs[j] ?? []).filter(isFound).length,
    difference: centre[j] as number,
    ci95: intervals[j] ?? [Number.NaN, Number.NaN],
    p: p[j] as number,
    pHolm: corrected[j] as number,
    wins: winsOf(pairs[j] ?? []),
  }))
}

function imageDifferences(a: ErrorTable, b: ErrorTable): ImageDifference[] {
  const columns = a.landmarks.length
  return a.ids
    .flatMap((id, i): ImageDifference[] => {
      const found = a.landmarks.flatMap((name, j) => {
        const [first, second] = [a.values[i * columns + j], b.values[i * columns + j]] as number[]
        const pair = [first as number, second as number] as const
        return isFound(pair) ? [{ name, first: pair[0], second: pair[1] }] : []
      })
      if (found.length === 0) return []
      const [first, second] = [mean(found.map((p) => p.first)), mean(found.map((p) => p.second))]
      const size = (point: { first: number; second: number }) =>
        Math.abs(change(point.first, point.second))
      const most = found.reduce((best, point) => (size(point) > size(best) ? point : best))
      return [
        {
          id,
          points: found.length,
          first,
          second,
          difference: change(first, second),
          landmark: size(most) > 0 ? most : null,
        },
      ]
    })
    .sort((x, y) => Math.abs(y.difference) - Math.abs(x.difference))
}

function crossings(
  pairs: readonly (readonly [number, number])[],
  limit: number,
  convention: Convention,
): Crossings {
  const within = pairs.map((pair) => pair.map((error) => isWithin(error, limit, convention)))
  return {
    gained: within.filter(([first, second]) => second && !first).length,
    lost: within.filter(([first, second]) => first && !second).length,
  }
}

/** The same table with the points that either table does not have found left out, like points that are not annotated. */
function foundByBoth(table: ErrorTable, other: ErrorTable): ErrorTable {
  const values = table.values.map((value, at) =>
    Number.isFinite(value) && Number.isFinite(other.values[at]) ? value : Number.NaN,
  )
  return { ...table, values }
}

/** [MRE over the points that both found, SDR at each threshold over all]. */
function statistics(own: ErrorTable, other: ErrorTable, convention: Convention) {
  const [found, all] = [foundByBoth(own, other), own].map((table) =>
    drawableRates(table, convention),
  ) as [ReturnType<typeof drawableRates>, ReturnType<typeof drawableRates>]
  return (drawn: ArrayLike<number>) => [found(drawn)[0] as number, ...all(drawn).slice(1)]
}

function comparePair(
  first: Contender,
  second: Contender,
  convention: Convention,
  bootstrap: BootstrapOptions | undefined,
): PairedComparison {
  const [a, b] = [first.errors, second.errors]
  const pairs = pairsAt(a, b, a.values.keys())
  const perImage = imageDifferences(a, b)
  const [mre, ...sdr] = pairedBootstrap(
    a.ids.length,
    statistics(b, a, convention),
    statistics(a, b, convention),
    bootstrap,
  ) as [PairedDifference, ...PairedDifference[]]
  const wilcoxon = wilcoxonSignedRank(perImage.map(({ difference }) => difference))
  return {
    first: first.name,
    second: second.name,
    points: pairs.filter(isFound).length,
    mre,
    sdr: Object.fromEntries(
      thresholds.map((limit, t) => [String(limit), sdr[t]]),
    ) as PairedComparison['sdr'],
    wilcoxon: { ...wilcoxon, pHolm: wilcoxon.p },
    wins: {
      points: winsOf(pairs),
      images: winsOf(perImage.map((image) => [image.first, image.second])),
    },
    crossed: Object.fromEntries(
      [...thresholds, 10].map((limit) => [String(limit), crossings(pairs, limit, convention)]),
    ) as PairedComparison['crossed'],
    perLandmark: landmarkDifferences(a, b, bootstrap),
    perImage,
  }
}

function summaryOf(
  { name, errors }: Contender,
  convention: Convention,
  bootstrap: BootstrapOptions | undefined,
): ContenderSummary {
  const { missing, over10mm, mre, median, sdr } = summarize(errors, convention, bootstrap)
  return { name, missing, over10mm, mre, median, sdr }
}

/**
 * Compares each later contender with the first, on the images and landmarks that all of them have.
 * @throws ERR_DATA when they have no annotated point in common
 */
export function compareErrors(
  contenders: readonly [Contender, Contender, ...Contender[]],
  { convention = 'pooled', bootstrap }: ComparisonOptions = {},
): ComparisonResult {
  const { tables, leftOut } = commonPoints(contenders)
  const common = contenders.map(({ name }, i) => ({ name, errors: tables[i] as ErrorTable }))
  const [first, ...others] = common as [Contender, ...Contender[]]
  const comparisons = others.map((other) => comparePair(first, other, convention, bootstrap))
  const corrected = holm(comparisons.map(({ wilcoxon }) => wilcoxon.p))
  return {
    convention,
    images: first.errors.ids.length,
    points: first.errors.values.filter((error) => !Number.isNaN(error)).length,
    landmarks: [...first.errors.landmarks],
    leftOut,
    contenders: common.map((contender) => summaryOf(contender, convention, bootstrap)),
    comparisons: comparisons.map((comparison, i) => ({
      ...comparison,
      wilcoxon: { ...comparison.wilcoxon, pHolm: corrected[i] as number },
    })),
  }
}
