/** Repeatable random numbers for resampling. */

/** A generator of numbers in [0, 1) from a 32-bit seed: mulberry32 (Tommy Ettinger's 32-bit mix with a Weyl sequence). Small on purpose: the bootstrap needs repeatability, not quality beyond that. */
export function seededUniform(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let bits = state
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}
