/** Aariz's `cephalogram_machine_mappings.csv`: which machine took an image, and the size of its pixels. */

import { forEachRow } from './csv.js'
import { dataError } from './table.js'

/** [id, mm per pixel, place in the file] of each image. @throws ERR_DATA with file and line */
export function readMachines(text: string, path: string): [string, number, string][] {
  const sizes: [string, number, string][] = []
  let columns: { id: number; size: number } | null = null
  forEachRow(text, path, ({ cells, line }) => {
    const where = `${path}:${line}`
    if (columns === null) {
      columns = { id: cells.indexOf('cephalogram_id'), size: cells.indexOf('pixel_size') }
      if (columns.id < 0 || columns.size < 0)
        throw dataError(where, 'no column cephalogram_id or pixel_size', 'add it')
      return
    }
    const size = Number(cells[columns.size] || Number.NaN)
    if (!(size > 0))
      throw dataError(where, `found "${cells[columns.size]}"`, 'expected a pixel size in mm')
    sizes.push([cells[columns.id] ?? '', size, where])
  })
  return sizes
}
