/** The worst cases: single points with the largest errors, those that were not found first. */

import type { ErrorTable } from '../metrics.js'
import { align, fixed } from '../text.js'
import type { Part } from './part.js'

export interface WorstPoint {
  id: string
  landmark: string
  /** mm; null for a point that was not found. */
  error: number | null
}

const listed = 20

/** The points with the largest errors, worst first; equal ones in the order of the table. */
export function worstPoints(table: ErrorTable, count = listed): WorstPoint[] {
  const columns = table.landmarks.length
  return [...table.values.keys()]
    .filter((at) => !Number.isNaN(table.values[at]))
    .sort((a, b) => {
      const [first, second] = [table.values[a] as number, table.values[b] as number]
      return first === second ? a - b : second - first
    })
    .slice(0, count)
    .map((at) => {
      const error = table.values[at] as number
      return {
        id: table.ids[Math.floor(at / columns)] as string,
        landmark: table.landmarks[at % columns] as string,
        error: Number.isFinite(error) ? error : null,
      }
    })
}

export const worstPart: Part = {
  key: 'worst',
  run: ({ errors }) => {
    const value = worstPoints(errors)
    const rows = value.map(({ id, landmark, error }) => [
      id,
      landmark,
      error === null ? 'not found' : fixed(error),
    ])
    return {
      value,
      text: ['Largest errors in mm', ...align([['image', 'landmark', 'error'], ...rows])].join(
        '\n',
      ),
    }
  },
}
