/** Highest-density regions of a heatmap: the hottest pixels that together have a given probability (Hyndman, Am. Stat. 1996, 50:120-126; evaluation.md 2.4). No shape is assumed. */

import { coverageLevels, type Regions } from './coverage.js'
import { type Density, pixelsOf } from './density.js'

export class HighestDensity {
  /** Logarithms of a pixel's probability, hottest first. */
  readonly #logs: Float64Array
  /** Probability and number of pixels up to each of them, itself included. */
  readonly #mass: Float64Array
  readonly #pixels: Float64Array

  constructor({ logs, mass, layout }: Density) {
    const { order } = layout
    this.#logs = new Float64Array(order.length)
    this.#mass = new Float64Array(order.length)
    this.#pixels = new Float64Array(order.length)
    let [total, pixels] = [0, 0]
    for (let place = 0; place < order.length; place++) {
      const cell = order[place] as number
      total += mass[cell] as number
      pixels += pixelsOf(layout, cell)
      this.#logs[place] = logs[cell] as number
      this.#mass[place] = total
      this.#pixels[place] = pixels
    }
  }

  /** Probability of what is hotter than a pixel of this log, and of that together with all that is as hot. */
  massAt(log: number): { above: number; upTo: number } {
    const [first, end] = this.#equals(log)
    return { above: this.#mass[first - 1] ?? 0, upTo: this.#mass[end - 1] ?? 0 }
  }

  /** Pixels of the region of probability `level`; of its last group of equal pixels only the part that is needed. */
  pixels(level: number): number {
    const place = firstPlace(this.#mass, (mass) => mass >= level)
    if (place === this.#logs.length) return this.#pixels.at(-1) ?? 0
    const [first, end] = this.#equals(this.#logs[place] as number)
    const before = this.#pixels[first - 1] ?? 0
    const share = part(level, this.#mass[first - 1] ?? 0, this.#mass[end - 1] as number)
    return before + share * ((this.#pixels[end - 1] as number) - before)
  }

  /** Pixels of the groups of equal pixels that lie wholly in the region. */
  wholePixels(level: number): number {
    const place = firstPlace(this.#mass, (mass) => mass > level)
    if (place === this.#logs.length) return this.#pixels.at(-1) ?? 0
    const [first] = this.#equals(this.#logs[place] as number)
    return this.#pixels[first - 1] ?? 0
  }

  /** First place with this log, and the first one behind. */
  #equals(log: number): [number, number] {
    return [
      firstPlace(this.#logs, (value) => value <= log),
      firstPlace(this.#logs, (value) => value < log),
    ]
  }

  /**
   * The regions of a point whose truth lies on a pixel of this log, null outside of the canvas. A region ends somewhere
   * inside its last group of equal pixels: a truth there counts by the part of the group that the region takes, so that
   * large pixels do not make the coverage look better than it is.
   */
  regions(truth: number | null, pixelArea: number): Regions {
    const { above, upTo } = truth === null ? { above: 1, upTo: 1 } : this.massAt(truth)
    return {
      inside: coverageLevels.map((level) => part(level, above, upTo)),
      areas: coverageLevels.map((level) => pixelArea * this.pixels(level)),
    }
  }
}

/** Share of [from, to] that lies below `level`. */
function part(level: number, from: number, to: number): number {
  if (level <= from) return 0
  return level >= to ? 1 : (level - from) / (to - from)
}

/** First place whose value `isPast`, which stays true from there on; the length where none is. */
function firstPlace(values: Float64Array, isPast: (value: number) => boolean): number {
  let [low, high] = [0, values.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (isPast(values[middle] as number)) high = middle
    else low = middle + 1
  }
  return low
}
