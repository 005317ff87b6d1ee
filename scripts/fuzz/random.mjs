// Random choices that a seed and an index fix, so that any single call can be made again alone.

/** splitmix32: one multiply-xorshift round a number; enough for choosing arguments. */
export class Random {
  #state

  constructor(seed, index) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0
    for (let i = 0; i < 4; i++) this.uint32()
  }

  uint32() {
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    let z = this.#state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }

  /** In [0, 1). */
  unit() {
    return this.uint32() / 2 ** 32
  }

  /** A whole number in [low, high]. */
  int(low, high) {
    return low + Math.floor(this.unit() * (high - low + 1))
  }

  chance(probability) {
    return this.unit() < probability
  }

  pick(list) {
    return list[this.int(0, list.length - 1)]
  }

  list(low, high, element) {
    return Array.from({ length: this.int(low, high) }, element)
  }
}
