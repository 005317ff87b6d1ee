/** A comparison as tables for a terminal. The contenders are called A, B, C: their names are often long paths. */

import { thresholds } from '../metrics.js'
import type { PairedDifference } from '../statistics/index.js'
import { align, fixed, rateHeads } from '../text.js'
import type { ComparisonResult, ImageDifference, PairedComparison, Wins } from './compare.js'

/** Lines of the table of images, the largest changes in each direction. */
const listedImages = 10

function letter(i: number): string {
  // 27 contenders do not fit a screen, but must not share a letter.
  return i < 26 ? String.fromCharCode(65 + i) : `#${i + 1}`
}

function signed(value: number): string {
  const text = fixed(value)
  return value > 0 && Number(text) !== 0 ? `+${text}` : text
}

function interval([low, high]: readonly [number, number]): string {
  return `[${fixed(low)}, ${fixed(high)}]`
}

/** A p value as publications print it. */
function significance(p: number): string {
  if (Number.isNaN(p)) return '-'
  return p < 0.001 ? '<0.001' : p.toFixed(3)
}

/** Points or images of A, of neither, and of the other. */
function winCell({ first, second, ties }: Wins): string {
  return `${first} / ${ties} / ${second}`
}

function summary({ contenders, convention }: ComparisonResult): string[] {
  return align([
    ['', 'MRE', 'SD', '95 % CI', 'median', ...rateHeads(convention), '> 10 mm', 'missing'],
    ...contenders.map(({ mre, median, sdr, over10mm, missing }, i) => [
      letter(i),
      fixed(mre.mean),
      fixed(mre.sd),
      mre.ci95.map((bound) => fixed(bound)).join('-'),
      fixed(median),
      ...thresholds.map((limit) => fixed(sdr[`${limit}`])),
      String(over10mm),
      String(missing),
    ]),
  ])
}

function differences(comparisons: readonly PairedComparison[]): string[] {
  return align([
    ['', 'difference', '95 % interval', 'bootstrap p'],
    ...comparisons.flatMap(({ mre, sdr }, i) => {
      const row = (name: string, { difference, ci95, p }: PairedDifference) => [
        `${letter(i + 1)} - A: ${name}`,
        signed(difference),
        interval(ci95),
        significance(p),
      ]
      return [
        row('MRE, mm', mre),
        ...thresholds.map((limit) => row(`within ${limit} mm, % points`, sdr[`${limit}`])),
      ]
    }),
  ])
}

/** What one comparison says as a whole, in words. */
function verdict({ wilcoxon, wins, points }: PairedComparison, name: string, several: boolean) {
  const { p, pHolm } = wilcoxon
  const corrected = several ? ` (Holm over the comparisons: ${significance(pHolm)})` : ''
  return [
    `${name} against A: ${points} points that both found. Image means, Wilcoxon: p ${significance(p)}${corrected}.`,
    `A nearer / tie / ${name} nearer: ${winCell(wins.images)} images, ${winCell(wins.points)} points.`,
  ].join('\n')
}

function landmarkTable({ perLandmark }: PairedComparison, name: string): string[] {
  return align([
    ['landmark', `${name} - A`, '95 % interval', 'Wilcoxon p', 'Holm', `A / tie / ${name} nearer`],
    ...perLandmark.map(({ name: landmark, difference, ci95, p, pHolm, wins }) => [
      landmark,
      signed(difference),
      interval(ci95),
      significance(p),
      significance(pHolm),
      winCell(wins),
    ]),
  ])
}

function imageTable(images: readonly ImageDifference[], name: string): string[] {
  return align([
    ['image', 'A', name, 'change', 'mostly by', 'A', name],
    ...images.map(({ id, first, second, difference, landmark }) => [
      id,
      fixed(first),
      fixed(second),
      signed(difference),
      landmark?.name ?? '-',
      fixed(landmark?.first ?? Number.NaN),
      fixed(landmark?.second ?? Number.NaN),
    ]),
  ])
}

function imageSections({ perImage }: PairedComparison, name: string): string[] {
  const better = perImage.filter(({ difference }) => difference < 0)
  const worse = perImage.filter(({ difference }) => difference > 0)
  const section = (title: string, images: readonly ImageDifference[]) => {
    const shown = images.slice(0, listedImages)
    const rest = images.length > shown.length ? `, the ${shown.length} that changed most` : ''
    return images.length === 0
      ? []
      : [[`${title}: ${images.length} images${rest}`, ...imageTable(shown, name)].join('\n')]
  }
  return [
    ...section(`Nearer to the truth by ${name}`, better),
    ...section('Nearer to the truth by A', worse),
  ]
}

function crossingLine({ crossed }: PairedComparison, name: string): string {
  const parts = [...thresholds, 10].map((limit) => {
    const { gained, lost } = crossed[`${limit}` as keyof typeof crossed]
    return `${limit} mm: ${gained} / ${lost}`
  })
  return `Points that only ${name} / only A has within ${parts.join(', ')}.`
}

/** The comparison as sections of text; `title` says what was compared with what. */
export function formatComparison(result: ComparisonResult, title: string): string[] {
  const { contenders, comparisons, images, points, leftOut } = result
  const names = contenders.map(({ name }, i) => `${letter(i)}: ${name}`)
  const left = [
    ...(leftOut.images.length > 0 ? [`${leftOut.images.length} images`] : []),
    ...(leftOut.landmarks.length > 0 ? [`the landmarks ${leftOut.landmarks.join(', ')}`] : []),
  ]
  const head = [
    `${title}: ${images} images, ${points} points. Errors in mm, rates in percent.`,
    ...(left.length > 0 ? [`Not compared, because not all have them: ${left.join(' and ')}.`] : []),
    ...names,
  ]
  return [
    head.join('\n'),
    summary(result).join('\n'),
    [
      'Paired differences, MRE over the points that both found, rates over all annotated points. MRE below 0 or a rate above 0: A is farther from the truth.',
      ...differences(comparisons),
    ].join('\n'),
    ...comparisons.flatMap((comparison, i) => {
      const name = letter(i + 1)
      return [
        [verdict(comparison, name, comparisons.length > 1), crossingLine(comparison, name)].join(
          '\n',
        ),
        landmarkTable(comparison, name).join('\n'),
        ...imageSections(comparison, name),
      ]
    }),
  ]
}
