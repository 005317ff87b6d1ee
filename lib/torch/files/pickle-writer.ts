/**
 * Plain data as a pickle of protocol 2 (CPython's Lib/pickletools.py), the one that torch.save writes. Only what
 * PyTorch's own restricted reader (weights_only) takes is written.
 */
import { LandmarkDiffusionError } from '../../errors.js'

const opcodes = {
  proto: 0x80,
  stop: 0x2e,
  none: 0x4e,
  newTrue: 0x88,
  newFalse: 0x89,
  binInt: 0x4a,
  long1: 0x8a,
  binFloat: 0x47,
  binUnicode: 0x58,
  emptyList: 0x5d,
  appends: 0x65,
  emptyDict: 0x7d,
  setItems: 0x75,
  emptyTuple: 0x29,
  tuple: 0x74,
  mark: 0x28,
  global: 0x63,
  reduce: 0x52,
  binPersId: 0x51,
} as const

/** Deeper data is a mistake; the reader's limits are near. */
const maxDepth = 500

/** Writes opcodes one after the other; composed by whoever knows what they mean. */
export class PickleWriter {
  readonly #parts: Uint8Array[] = [Uint8Array.of(opcodes.proto, 2)]

  finish(): Uint8Array {
    return Buffer.concat([...this.#parts, Uint8Array.of(opcodes.stop)])
  }

  none(): void {
    this.#op('none')
  }

  boolean(value: boolean): void {
    this.#op(value ? 'newTrue' : 'newFalse')
  }

  float(value: number): void {
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(value)
    this.#op('binFloat', bytes)
  }

  int(value: bigint): void {
    if (BigInt.asIntN(32, value) === value) {
      const bytes = Buffer.alloc(4)
      bytes.writeInt32LE(Number(value))
      this.#op('binInt', bytes)
      return
    }
    const bytes: number[] = []
    // Two's complement, little endian, with room for the sign.
    let rest = value
    while (bytes.length === 0 || BigInt.asIntN(8 * bytes.length, value) !== value) {
      bytes.push(Number(BigInt.asUintN(8, rest)))
      rest >>= 8n
    }
    if (bytes.length > 255) {
      throw new LandmarkDiffusionError(
        'ERR_CHECKPOINT',
        'A whole number of over 2000 bits cannot be saved.',
      )
    }
    this.#op('long1', Uint8Array.of(bytes.length, ...bytes))
  }

  text(value: string): void {
    const bytes = Buffer.from(value, 'utf8')
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.byteLength)
    this.#op('binUnicode', length, bytes)
  }

  /** A name that the reader knows, such as `torch FloatStorage`. */
  global(module: string, name: string): void {
    this.#op('global', Buffer.from(`${module}\n${name}\n`))
  }

  list(items: readonly (() => void)[]): void {
    this.#op('emptyList')
    this.#marked('appends', items)
  }

  dict(pairs: readonly (() => void)[]): void {
    this.#op('emptyDict')
    this.#marked('setItems', pairs)
  }

  tuple(items: readonly (() => void)[]): void {
    if (items.length === 0) this.#op('emptyTuple')
    else this.#marked('tuple', items)
  }

  /** Calls what was written last but one, with the tuple written last. */
  reduce(): void {
    this.#op('reduce')
  }

  /** Makes what was written last a reference that the reader resolves: a storage. */
  persistent(): void {
    this.#op('binPersId')
  }

  #marked(end: keyof typeof opcodes, items: readonly (() => void)[]): void {
    if (items.length === 0) return
    this.#op('mark')
    for (const write of items) write()
    this.#op(end)
  }

  #op(name: keyof typeof opcodes, ...bytes: Uint8Array[]): void {
    this.#parts.push(Uint8Array.of(opcodes[name]), ...bytes)
  }
}

/** Writes plain data; `leaf` writes what it knows and returns true. Throws ERR_CHECKPOINT that names the place of anything else. */
export function writeValue(
  writer: PickleWriter,
  root: unknown,
  leaf: (value: object) => boolean,
): void {
  const open = new Set<object>()
  const write = (value: unknown, place: string): void => {
    if (writeScalar(writer, value)) return
    const refuse = (reason: string) =>
      new LandmarkDiffusionError('ERR_CHECKPOINT', `${place} cannot be saved: ${reason}.`)
    if (typeof value !== 'object' || value === null) throw refuse(`it is a ${typeof value}`)
    if (leaf(value)) return
    if (open.has(value)) throw refuse('it contains itself')
    if (open.size >= maxDepth) throw refuse(`it lies deeper than ${maxDepth} levels`)
    open.add(value)
    if (Array.isArray(value)) {
      // A hole is undefined.
      writer.list(Array.from(value, (item, i) => () => write(item, `${place}[${i}]`)))
    } else if (value instanceof Map || isPlain(value)) {
      const pairs = value instanceof Map ? [...value] : Object.entries(value)
      const halves = pairs.flatMap(([key, item]) => [
        () => write(key, `a key of ${place}`),
        () => write(item, `${place}.${String(key)}`),
      ])
      writer.dict(halves)
    } else {
      const kind = value.constructor?.name ?? 'object'
      throw refuse(`it is a ${kind}; save tensors, numbers, texts, lists and plain objects`)
    }
    open.delete(value)
  }
  write(root, 'The value')
}

/** Whole numbers become ints, as in Python's own literals. */
function writeScalar(writer: PickleWriter, value: unknown): boolean {
  if (value === null || value === undefined) writer.none()
  else if (typeof value === 'boolean') writer.boolean(value)
  else if (typeof value === 'bigint') writer.int(value)
  else if (typeof value === 'string') writer.text(value)
  else if (typeof value !== 'number') return false
  else if (Number.isSafeInteger(value) && !Object.is(value, -0)) writer.int(BigInt(value))
  else writer.float(value)
  return true
}

function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
