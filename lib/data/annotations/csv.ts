/**
 * CSV tables of points, one row a point (long) or one row an image (wide). Columns are found by
 * name, in any order and case; see docs/formats.md. Wide tables of CL-Detection 2024 (`image file`,
 * `spacing(mm)`, `p1x`, `p1y`, ...) are read as they are.
 */

import { CsvError, parse } from 'csv-parse/sync'
import type { LandmarkSet } from '../../landmarks/landmark-set.js'
import { dataError, idOfFile, nameOfNumber, type PointTable, TableBuilder } from './table.js'

const columnNames = {
  id: ['id', 'image', 'image_id', 'file', 'image_file', 'image_path', 'filename', 'file_name'],
  landmark: ['landmark', 'name', 'symbol', 'label', 'point'],
  annotator: ['annotator', 'observer', 'rater'],
  pixelSize: ['pixel_size', 'spacing', 'spacing_mm', 'scale', 'pixel_spacing'],
  pixelSizeX: ['pixel_size_x', 'spacing_x'],
  pixelSizeY: ['pixel_size_y', 'spacing_y'],
  width: ['width'],
  height: ['height'],
} as const

/** What a landmark's column of a wide table may be called: `S_x`, `S.x`, `S x`; `p1x` counts landmarks from 1. */
const wideColumn = /^(?:p(\d{1,4})|(.{1,200}?)[ _.-])([xy])$/i

export interface Row {
  readonly cells: readonly string[]
  readonly line: number
}

/** Cells that say that there is nothing: empty, or how other software writes a missing number. */
function isMissing(cell: string): boolean {
  return /^(|nan|na|n\/a|null|none)$/i.test(cell)
}

/** More columns than any table of points has. */
const columnLimit = 5000

/** Calls `handle` with one row after the other; none is kept, so that a long file costs only what its points do. */
export function forEachRow(text: string, path: string, handle: (row: Row) => void): void {
  const firstLine = text.slice(0, 100_000).split(/\r\n|\n|\r/, 1)[0] ?? ''
  const counts = [',', ';', '\t'].map((sign) => [sign, firstLine.split(sign).length] as const)
  const [delimiter] = counts.reduce((best, next) => (next[1] > best[1] ? next : best))
  try {
    parse(text, {
      delimiter,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
      max_record_size: 2 ** 20,
      on_record: (cells: string[], { lines }) => {
        handle({ cells, line: lines })
        return null
      },
    })
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    throw dataError(
      `${path}:${Number(error.lines ?? 1)}`,
      `is not CSV (${error.message})`,
      'correct it',
      error,
    )
  }
}

/** `Spacing(mm)` and `spacing mm` are both `spacing_mm`. */
function plainColumn(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_|_$/g, '')
}

/** Position of the first column with one of these names; -1 for none. */
function find(header: readonly string[], names: readonly string[]): number {
  return header.findIndex((name) => names.includes(plainColumn(name)))
}

function findColumns(header: readonly string[]) {
  return Object.fromEntries(
    Object.entries(columnNames).map(([key, names]) => [key, find(header, names)]),
  ) as Record<keyof typeof columnNames, number>
}

type Columns = ReturnType<typeof findColumns>

/** A number; with a decimal comma too, which only a table with another separator can have. */
function number(cell: string, where: string, column: string): number {
  const value = cell === '' ? Number.NaN : Number(cell.replace(/^([+-]?\d+),(\d+)$/, '$1.$2'))
  if (Number.isFinite(value)) return value
  throw dataError(where, `found "${cell.slice(0, 40)}" in column ${column}`, 'expected a number')
}

/** A point of two cells; null where both are empty. */
function pointOf(x: string, y: string, where: string, name: string): [number, number] | null {
  if (isMissing(x) && isMissing(y)) return null
  return [number(x, where, `x of ${name}`), number(y, where, `y of ${name}`)]
}

/** What a row says of its image. */
function readImage(table: TableBuilder, row: Row, columns: Columns, path: string) {
  const where = `${path}:${row.line}`
  const cell = (column: keyof Columns) => row.cells[columns[column]] ?? ''
  const file = cell('id')
  const id = idOfFile(file)
  const annotator = cell('annotator') === '' ? undefined : cell('annotator')
  const size = (column: 'width' | 'height') =>
    isMissing(cell(column)) ? {} : { [column]: number(cell(column), where, column) }
  table.image(id, where, { file, ...size('width'), ...size('height') }, annotator)
  const x = cell(columns.pixelSizeX < 0 ? 'pixelSize' : 'pixelSizeX')
  const y = cell(columns.pixelSizeY < 0 ? 'pixelSize' : 'pixelSizeY')
  if (!isMissing(x) || !isMissing(y))
    table.pixelSize(id, [number(x, where, 'pixel_size'), number(y, where, 'pixel_size')], where)
  return { id, annotator, where }
}

/** Reads the points of one row into the table. */
type RowReader = (row: Row) => void

/** How the rows below a header are read. @throws ERR_DATA for a header without the columns of either layout */
function rowReader(
  header: readonly string[],
  table: TableBuilder,
  set: LandmarkSet | null,
  path: string,
): RowReader {
  const expected =
    'expected a header line with the columns id, landmark, x, y (one row a point), or id, S_x, S_y, N_x, N_y, ... (one row an image)'
  if (header.length > columnLimit)
    throw dataError(`${path}:1`, `${header.length} columns`, `expected at most ${columnLimit}`)
  const columns = findColumns(header)
  if (columns.id < 0) throw dataError(`${path}:1`, 'no column names the image', expected)
  const [x, y] = [find(header, ['x']), find(header, ['y'])]
  const wide = x >= 0 && y >= 0 ? [] : wideColumns(header, set, path)
  if (wide.length === 0 && (columns.landmark < 0 || x < 0 || y < 0))
    throw dataError(`${path}:1`, 'no column holds points', expected)
  return (row) => {
    const { id, annotator, where } = readImage(table, row, columns, path)
    const named = row.cells[columns.landmark] ?? ''
    for (const at of wide.length > 0 ? wide : [{ name: named, x, y }]) {
      const point = pointOf(row.cells[at.x] ?? '', row.cells[at.y] ?? '', where, at.name)
      table.mark(id, at.name, point, where, annotator)
    }
  }
}

/** Points of a CSV text. @param path for messages. @throws ERR_DATA with file and line */
export function readCsv(text: string, path: string, set: LandmarkSet | null): PointTable {
  const table = new TableBuilder('CSV', set)
  let read: RowReader | null = null
  forEachRow(text, path, (row) => {
    if (read === null) read = rowReader(row.cells, table, set, path)
    else read(row)
  })
  return table.finish(path)
}

/** The landmarks of a wide table with the positions of their two columns. @throws ERR_DATA for an x without a y */
function wideColumns(header: readonly string[], set: LandmarkSet | null, path: string) {
  const reserved = new Set<string>(Object.values(columnNames).flat())
  const found = new Map<string, { number?: number; x?: number; y?: number }>()
  for (const [position, title] of header.entries()) {
    const match = reserved.has(plainColumn(title)) ? null : wideColumn.exec(title.trim())
    if (!match) continue
    const [, count, name = '', axis = ''] = match
    const key = count === undefined ? name : `p${count}`
    const entry = found.get(key) ?? (count === undefined ? {} : { number: Number(count) })
    const side = axis.toLowerCase() as 'x' | 'y'
    if (entry[side] !== undefined)
      throw dataError(`${path}:1`, `column ${title} is there twice`, 'keep one')
    entry[side] = position
    found.set(key, entry)
  }
  const numbered = [...found.values()].filter((entry) => entry.number !== undefined).length
  return [...found].map(([key, entry]) => {
    const { x, y, number: index } = entry
    if (x === undefined || y === undefined)
      throw dataError(`${path}:1`, `landmark ${key} has only one of its columns x and y`, 'add it')
    const name = index === undefined ? key : nameOfNumber(index, numbered, set, `${path}:1`)
    return { name, x, y }
  })
}
