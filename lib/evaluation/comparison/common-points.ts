/** The images and landmarks that several detectors were all scored on. */

import { LandmarkDiffusionError } from '../../errors.js'
import { shortList } from '../errors.js'
import type { ErrorTable } from '../metrics.js'

interface Named {
  readonly name: string
  readonly errors: ErrorTable
}

/** What is in all lists, in the order of the first, and what is not. */
function intersect(lists: readonly (readonly string[])[]) {
  const sets = lists.map((list) => new Set(list))
  const everything = [...new Set(lists.flat())]
  const inAll = (name: string) => sets.every((set) => set.has(name))
  return {
    common: (lists[0] ?? []).filter(inAll),
    others: everything.filter((name) => !inAll(name)),
  }
}

function select(table: ErrorTable, ids: readonly string[], landmarks: readonly string[]) {
  const rows = new Map(table.ids.map((id, i) => [id, i]))
  const columns = new Map(table.landmarks.map((name, j) => [name, j]))
  const values = new Float64Array(ids.length * landmarks.length)
  let at = 0
  for (const id of ids)
    for (const name of landmarks) {
      const [i, j] = [rows.get(id) as number, columns.get(name) as number]
      values[at++] = table.values[i * table.landmarks.length + j] as number
    }
  return { ids, landmarks, values }
}

/**
 * The tables restricted to the common images and landmarks, all in the order of the first.
 * @throws ERR_DATA when there is no common annotated point
 */
export function commonPoints(contenders: readonly Named[]): {
  tables: ErrorTable[]
  leftOut: { images: string[]; landmarks: string[] }
} {
  const images = intersect(contenders.map(({ errors }) => errors.ids))
  const landmarks = intersect(contenders.map(({ errors }) => errors.landmarks))
  const tables = contenders.map(({ errors }) => select(errors, images.common, landmarks.common))
  if (!tables[0]?.values.some((error) => !Number.isNaN(error))) {
    const names = contenders.map(({ name }) => name)
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `There is no annotated point that ${names.join(' and ')} all predicted: they share ${images.common.length} annotated images and ${landmarks.common.length} landmarks (images of the first: ${shortList(contenders[0]?.errors.ids ?? [])}). Compare predictions of the same images.`,
    )
  }
  return { tables, leftOut: { images: images.others, landmarks: landmarks.others } }
}
