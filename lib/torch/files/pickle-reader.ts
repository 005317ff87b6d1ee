/** The arguments of pickle opcodes: numbers, texts and bytes, each checked against the end of the pickle. */

import type { LandmarkDiffusionError } from '../../errors.js'

export class PickleReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #fail: (reason: string) => LandmarkDiffusionError
  #at = 0

  constructor(bytes: Uint8Array, fail: (reason: string) => LandmarkDiffusionError) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#fail = fail
  }

  /** Bytes consumed so far. */
  get position(): number {
    return this.#at
  }

  /** Claims `count` bytes and returns where they start. */
  take(count: number): number {
    const start = this.#at
    if (count > this.#bytes.byteLength - start) throw this.#fail('its pickle was cut off')
    this.#at = start + count
    return start
  }

  byte(): number {
    return this.#view.getUint8(this.take(1))
  }

  uint16(): number {
    return this.#view.getUint16(this.take(2), true)
  }

  int32(): number {
    return this.#view.getInt32(this.take(4), true)
  }

  /** The one big-endian number of the format. */
  float64(): number {
    return this.#view.getFloat64(this.take(8), false)
  }

  /** A length field of 4 or 8 bytes; one that is longer than what is left fails before anything is allocated. */
  length(size: 4 | 8): number {
    const at = this.take(size)
    return size === 4 ? this.#view.getUint32(at, true) : Number(this.#view.getBigUint64(at, true))
  }

  raw(length: number): Uint8Array {
    const start = this.take(length)
    return this.#bytes.slice(start, start + length)
  }

  text(length: number): string {
    const start = this.take(length)
    return new TextDecoder().decode(this.#bytes.subarray(start, start + length))
  }

  latin(length: number): string {
    const start = this.take(length)
    return Buffer.from(this.#bytes.subarray(start, start + length)).toString('latin1')
  }

  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at)
    if (end < 0) throw this.#fail('its pickle was cut off')
    const text = this.text(end - this.#at)
    this.#at = end + 1
    return text
  }

  /** A little-endian two's complement integer of any length. */
  long(length: number): number | bigint {
    if (length > 1024) throw this.#fail(`its pickle has an integer of ${length} bytes`)
    const start = this.take(length)
    let value = 0n
    for (let i = length - 1; i >= 0; i--)
      value = (value << 8n) | BigInt(this.#view.getUint8(start + i))
    const signed = BigInt.asIntN(8 * length, value)
    const small = Number(signed)
    return Number.isSafeInteger(small) ? small : signed
  }
}
