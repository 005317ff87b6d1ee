/**
 * A small canvas of X-ray densities: shapes add to what is there, as tissues do along a ray.
 * Polygons are filled with exact pixel coverage (signed areas, as in Raph Levien's font-rs), lines
 * have a Gaussian profile. Coordinates are pixels, the centre of the first pixel at (0, 0).
 */
import type { Point } from '../../landmarks/geometry.js'

export class DensityCanvas {
  readonly data: Float32Array
  readonly #coverage: Float32Array

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.data = new Float32Array(width * height)
    this.#coverage = new Float32Array((width + 2) * height)
  }

  /** Adds `density` inside a closed polygon; the last point joins the first. */
  fill(polygon: readonly Point[], density: number): void {
    let top = this.height
    let bottom = 0
    for (const [, y] of polygon) {
      top = Math.min(top, y + 0.5)
      bottom = Math.max(bottom, y + 0.5)
    }
    const first = Math.max(0, Math.floor(top))
    const last = Math.min(this.height, Math.ceil(bottom))
    if (first >= last) return
    const stride = this.width + 2
    this.#coverage.fill(0, first * stride, last * stride)
    for (let i = 0; i < polygon.length; i++)
      this.#edge(polygon[i] as Point, polygon[(i + 1) % polygon.length] as Point)
    for (let y = first; y < last; y++) {
      let area = 0
      for (let x = 0; x < this.width; x++) {
        area += this.#coverage[y * stride + x] as number
        const covered = Math.min(1, Math.abs(area))
        if (covered > 1e-6) this.data[y * this.width + x]! += density * covered
      }
    }
  }

  /** Adds one edge's signed area to the coverage differences of the rows that it crosses. */
  #edge(from: Point, to: Point): void {
    if (from[1] === to[1]) return
    const down = from[1] < to[1]
    const [x0, y0] = down ? from : to
    const [x1, y1] = down ? to : from
    const top = y0 + 0.5
    const bottom = Math.min(this.height, y1 + 0.5)
    const slope = (x1 - x0) / (y1 - y0)
    const stride = this.width + 2
    for (let y = Math.max(0, Math.floor(top)); y < bottom; y++) {
      const start = Math.max(y, top)
      const end = Math.min(y + 1, bottom)
      const a = this.#clampX(x0 + 0.5 + slope * (start - top))
      const b = this.#clampX(x0 + 0.5 + slope * (end - top))
      this.#rowPiece(y * stride, Math.min(a, b), Math.max(a, b), (end - start) * (down ? 1 : -1))
    }
  }

  #clampX(x: number): number {
    return Math.min(this.width, Math.max(0, x))
  }

  /** Within a row: an edge from x = a to b whose height is `d`, right of which all is covered. */
  #rowPiece(row: number, a: number, b: number, d: number): void {
    const coverage = this.#coverage
    const first = Math.floor(a)
    const last = Math.max(first, Math.ceil(b) - 1)
    if (first === last) {
      const right = (a + b) / 2 - first
      coverage[row + first]! += d * (1 - right)
      coverage[row + first + 1]! += d * right
      return
    }
    // Coverage grows as the edge crosses each pixel; write its differences.
    const perPixel = d / (b - a)
    let before = 0
    for (let x = first; x <= last; x++) {
      const left = Math.max(a, x)
      const right = Math.min(b, x + 1)
      const passed = perPixel * (left - a) // height of the edge left of this pixel
      const inside = perPixel * (right - left)
      const covered = passed + inside * (x + 1 - (left + right) / 2)
      coverage[row + x]! += covered - before
      before = covered
    }
    coverage[row + last + 1]! += d - before
  }

  /** Adds a line of Gaussian profile (standard deviation `sigma` pixels); crossings do not add up. */
  stroke(line: readonly Point[], sigma: number, density: number): void {
    const reach = 3 * sigma
    const xs = line.map(([x]) => x)
    const ys = line.map(([, y]) => y)
    const left = Math.max(0, Math.floor(Math.min(...xs) - reach))
    const right = Math.min(this.width - 1, Math.ceil(Math.max(...xs) + reach))
    const top = Math.max(0, Math.floor(Math.min(...ys) - reach))
    const bottom = Math.min(this.height - 1, Math.ceil(Math.max(...ys) + reach))
    if (left > right || top > bottom) return
    const width = right - left + 1
    const nearest = new Float32Array(width * (bottom - top + 1)).fill(reach * reach)
    for (let i = 0; i + 1 < line.length; i++) {
      const [ax, ay] = line[i] as Point
      const [bx, by] = line[i + 1] as Point
      const dx = bx - ax
      const dy = by - ay
      const length2 = dx * dx + dy * dy || 1e-12
      const x0 = Math.max(left, Math.floor(Math.min(ax, bx) - reach))
      const x1 = Math.min(right, Math.ceil(Math.max(ax, bx) + reach))
      const y0 = Math.max(top, Math.floor(Math.min(ay, by) - reach))
      const y1 = Math.min(bottom, Math.ceil(Math.max(ay, by) + reach))
      for (let y = y0; y <= y1; y++)
        for (let x = x0; x <= x1; x++) {
          const along = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length2))
          const ex = x - ax - along * dx
          const ey = y - ay - along * dy
          const distance2 = ex * ex + ey * ey
          const at = (y - top) * width + x - left
          if (distance2 < (nearest[at] as number)) nearest[at] = distance2
        }
    }
    const limit = reach * reach
    for (let y = top; y <= bottom; y++)
      for (let x = left; x <= right; x++) {
        const distance2 = nearest[(y - top) * width + x - left] as number
        if (distance2 < limit)
          this.data[y * this.width + x]! += density * Math.exp(-distance2 / (2 * sigma * sigma))
      }
  }

  /** Gaussian blur of everything drawn so far, as three box filters; borders repeat. */
  blur(sigma: number): void {
    blur(this.data, this.width, this.height, sigma)
  }

  add(other: DensityCanvas): void {
    for (let i = 0; i < this.data.length; i++) this.data[i]! += other.data[i] as number
  }
}

/** Blurs [height * width] values in place; widths of the boxes after Kovesi's "Fast almost-Gaussian filtering". */
export function blur(data: Float32Array, width: number, height: number, sigma: number): void {
  if (sigma < 0.3) return
  const ideal = Math.sqrt((12 * sigma * sigma) / 3 + 1)
  const low = 2 * Math.floor((ideal - 1) / 2) + 1
  const lows = Math.round((12 * sigma * sigma - 3 * low * low - 12 * low - 9) / (-4 * low - 4))
  const line = new Float32Array(Math.max(width, height))
  for (let pass = 0; pass < 3; pass++) {
    const radius = ((pass < lows ? low : low + 2) - 1) / 2
    if (radius < 1) continue
    for (let y = 0; y < height; y++) boxLine(data, y * width, 1, width, radius, line)
    boxColumns(data, width, height, radius)
  }
}

function boxLine(
  data: Float32Array,
  start: number,
  step: number,
  length: number,
  radius: number,
  line: Float32Array,
): void {
  for (let i = 0; i < length; i++) line[i] = data[start + i * step] as number
  const first = line[0] as number
  const last = line[length - 1] as number
  const scale = 1 / (2 * radius + 1)
  let sum = first * radius
  for (let i = 0; i < radius; i++) sum += i < length ? (line[i] as number) : last
  for (let i = 0; i < length; i++) {
    sum += i + radius < length ? (line[i + radius] as number) : last
    data[start + i * step] = sum * scale
    sum -= i >= radius ? (line[i - radius] as number) : first
  }
}

/** The same down all columns at once, so that memory is read in order. */
function boxColumns(data: Float32Array, width: number, height: number, radius: number): void {
  const source = data.slice()
  const sums = new Float64Array(width)
  const row = (y: number) => Math.min(height - 1, Math.max(0, y)) * width
  for (let k = -radius - 1; k < radius; k++)
    for (let x = 0, at = row(k); x < width; x++) sums[x]! += source[at + x] as number
  const scale = 1 / (2 * radius + 1)
  for (let y = 0; y < height; y++) {
    const entering = row(y + radius)
    const leaving = row(y - radius - 1)
    for (let x = 0; x < width; x++) {
      const sum =
        (sums[x] as number) + (source[entering + x] as number) - (source[leaving + x] as number)
      sums[x] = sum
      data[y * width + x] = sum * scale
    }
  }
}
