/** Where each landmark is predicted on average relative to the truth: a bias that is shared by all images points to a convention, not to noise. */

import { type OffsetTable, offsets } from '../errors.js'
import { type BootstrapOptions, bootstrapIntervals, drawnMeans, mean } from '../statistics/index.js'
import { align, fixed } from '../text.js'
import type { Part } from './part.js'

export interface Bias {
  name: string
  /** Found points. */
  points: number
  /** Mean offset in mm, prediction minus truth; x right, y down. */
  dx: { mean: number; ci95: [number, number] }
  dy: { mean: number; ci95: [number, number] }
  /** Length of the mean offset in mm. */
  length: number
  /** Whether an interval leaves out 0. */
  significant: boolean
}

/** The bias of each landmark, with 95 % intervals from a bootstrap over images. */
export function landmarkBias(table: OffsetTable, bootstrap?: BootstrapOptions): Bias[] {
  const { ids, landmarks, dx, dy } = table
  const columns = landmarks.length
  const meansX = drawnMeans(dx, columns)
  const meansY = drawnMeans(dy, columns)
  const means = (drawn: Int32Array) => [...meansX(drawn), ...meansY(drawn)]
  const centre = means(new Int32Array(ids.length).fill(1))
  const intervals = bootstrapIntervals(ids.length, means, bootstrap)
  return landmarks.map((name, j) => {
    const axis = (k: number) => ({
      mean: centre[k] as number,
      ci95: intervals[k] ?? ([Number.NaN, Number.NaN] as [number, number]),
    })
    const [x, y] = [axis(j), axis(columns + j)]
    return {
      name,
      points: ids.filter((_, i) => Number.isFinite(dx[i * columns + j])).length,
      dx: x,
      dy: y,
      length: Math.hypot(x.mean, y.mean),
      significant: [x, y].some(({ ci95: [low, high] }) => low > 0 || high < 0),
    }
  })
}

export const biasPart: Part = {
  key: 'bias',
  run: (evidence) => {
    // A truth that is chosen by nearness to the prediction has no bias to speak of.
    if (evidence.truth === 'nearest' || evidence.truth === 'either') return null
    const value = landmarkBias(offsets(evidence), evidence.bootstrap)
    const cell = ({ mean: centre, ci95 }: Bias['dx']) =>
      `${fixed(centre)} [${ci95.map((bound) => fixed(bound)).join(', ')}]`
    const rows = value.map((row) => [
      row.name,
      cell(row.dx),
      cell(row.dy),
      fixed(row.length),
      row.significant ? '*' : '',
    ])
    const overall = mean(value.map(({ length }) => length).filter((length) => length >= 0))
    return {
      value,
      text: [
        `Bias of each landmark in mm, prediction minus truth, x right, y down; 95 % intervals; * leaves out 0. Mean length ${fixed(overall)} mm.`,
        ...align([['landmark', 'dx', 'dy', 'length', ''], ...rows]),
      ].join('\n'),
    }
  },
}
