/**
 * A small seeded random generator: a data order or an augmentation is that of its seed. The algorithm is sfc32 (Chris Doty-Humphrey,
 * PractRand), seeded through splitmix32. Its numbers have nothing to do with torch's.
 */

export class Random {
  #a = 0
  #b = 0
  #c = 0
  #d = 1

  /** Generators of the same parts are equal; `new Random(seed, epoch)` gives each epoch its own stream. */
  constructor(...seed: number[]) {
    let mix = 0x2545f491
    const next = (value: number) => {
      mix = (Math.imul(mix ^ value, 0x85ebca6b) + 0x9e3779b9) | 0
      let z = mix
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      return (z ^ (z >>> 15)) | 0
    }
    for (const part of seed) {
      next(part | 0)
      next(Math.floor(part / 2 ** 32) | 0)
    }
    this.#a = next(1)
    this.#b = next(2)
    this.#c = next(3)
    this.#d = 1
    for (let i = 0; i < 12; i++) this.#next()
  }

  #next(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t
    this.#c |= 0
    return t >>> 0
  }

  /** Uniform in [low, high), in steps of (high - low) / 2^32. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.#next() / 2 ** 32)
  }

  /** A uniform unsigned integer of 32 bits. */
  bits(): number {
    return this.#next()
  }

  /** Uniform in {0, ..., n - 1}. */
  int(n: number): number {
    return Math.floor(this.uniform() * n)
  }

  /** Normal; always two draws. */
  normal(mean = 0, sd = 1): number {
    const radius = Math.sqrt(-2 * Math.log((this.#next() + 0.5) / 2 ** 32))
    return mean + sd * radius * Math.cos((2 * Math.PI * this.#next()) / 2 ** 32)
  }

  /** 0 ... n - 1 in random order (Fisher and Yates). */
  permutation(n: number): Int32Array {
    const order = Int32Array.from({ length: n }, (_, i) => i)
    for (let i = n - 1; i > 0; i--) {
      const j = this.int(i + 1)
      const kept = order[i] as number
      order[i] = order[j] as number
      order[j] = kept
    }
    return order
  }
}
