/**
 * A machine for Python's pickle format (protocols 2 to 5; PEP 3154, PEP 574) that builds plain data and nothing else.
 * In Python, loading a pickle may call any function that it names; here a name only ever means something when the
 * caller's table knows it. What the opcodes do is written in CPython's Lib/pickletools.py.
 */

import { LandmarkDiffusionError } from '../../errors.js'
import { PickleReader } from './pickle-reader.js'

/** What a pickle can hold here. Dictionaries become objects (keys as text), tuples become arrays. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Set<PickleValue>
  | { [key: string]: PickleValue }
  | object

/** A class or function that the pickle names. */
export class Global {
  readonly name: string
  readonly construct: ((args: PickleValue[]) => PickleValue) | null

  constructor(name: string, construct: ((args: PickleValue[]) => PickleValue) | null) {
    this.name = name
    this.construct = construct
  }
}

/** An object of a class that is not known here, kept as inert data; nothing of it was executed. */
export class OpaqueObject {
  readonly className: string
  readonly args: PickleValue[]
  readonly state: PickleValue[] = []

  constructor(className: string, args: PickleValue[]) {
    this.className = className
    this.args = args
  }
}

export interface UnpickleOptions {
  /** What the name 'module attribute' stands for: a Global, a ready value, or undefined when it is not allowed. */
  readonly find: (name: string) => Global | PickleValue | undefined
  /** Resolves a persistent id, by which PyTorch refers to storages. */
  readonly load: (id: PickleValue) => PickleValue
  /** 'refuse' (default) throws at an unknown name; 'opaque' keeps such objects as OpaqueObject. */
  readonly unknown?: 'refuse' | 'opaque'
  /** Names the file in errors. */
  readonly source: string
}

const mark = Symbol('mark')
type Slot = PickleValue | Global | typeof mark

/** Runs a pickle to its STOP and returns the value. Throws ERR_CHECKPOINT on anything malformed or not allowed. */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): PickleValue {
  return new Unpickler(bytes, options).run()
}

class Unpickler {
  readonly #reader: PickleReader
  readonly #options: UnpickleOptions
  readonly #stack: Slot[] = []
  readonly #memo = new Map<number, Slot>()

  constructor(bytes: Uint8Array, options: UnpickleOptions) {
    this.#reader = new PickleReader(bytes, (reason) => this.#fail(reason))
    this.#options = options
  }

  run(): PickleValue {
    for (;;) {
      const opcode = this.#reader.byte()
      if (opcode === 0x2e) return this.#value()
      this.#step(opcode)
    }
  }

  #fail(reason: string): LandmarkDiffusionError {
    return new LandmarkDiffusionError(
      'ERR_CHECKPOINT',
      `'${this.#options.source}' cannot be read: ${reason}.`,
    )
  }

  #step(opcode: number): void {
    const stack = this.#stack
    switch (opcode) {
      case 0x80: // PROTO
        this.#protocol(this.#reader.byte())
        return
      case 0x95: // FRAME
        this.#reader.take(8)
        return
      case 0x28: // MARK
        stack.push(mark)
        return
      case 0x30: // POP
        this.#pop()
        return
      case 0x31: // POP_MARK
        this.#popToMark()
        return
      case 0x32: // DUP
        stack.push(this.#top())
        return
      case 0x4e: // NONE
        stack.push(null)
        return
      case 0x88: // NEWTRUE
        stack.push(true)
        return
      case 0x89: // NEWFALSE
        stack.push(false)
        return
      case 0x4b: // BININT1
        stack.push(this.#reader.byte())
        return
      case 0x4d: // BININT2
        stack.push(this.#reader.uint16())
        return
      case 0x4a: // BININT
        stack.push(this.#reader.int32())
        return
      case 0x8a: // LONG1
        stack.push(this.#reader.long(this.#reader.byte()))
        return
      case 0x8b: // LONG4
        stack.push(this.#reader.long(this.#reader.length(4)))
        return
      case 0x47: // BINFLOAT
        stack.push(this.#reader.float64())
        return
      case 0x8c: // SHORT_BINUNICODE
        stack.push(this.#reader.text(this.#reader.byte()))
        return
      case 0x58: // BINUNICODE
        stack.push(this.#reader.text(this.#reader.length(4)))
        return
      case 0x8d: // BINUNICODE8
        stack.push(this.#reader.text(this.#reader.length(8)))
        return
      case 0x55: // SHORT_BINSTRING, which only Python 2 writes
        stack.push(this.#reader.latin(this.#reader.byte()))
        return
      case 0x54: // BINSTRING
        stack.push(this.#reader.latin(this.#reader.length(4)))
        return
      case 0x43: // SHORT_BINBYTES
        stack.push(this.#reader.raw(this.#reader.byte()))
        return
      case 0x42: // BINBYTES
        stack.push(this.#reader.raw(this.#reader.length(4)))
        return
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        stack.push(this.#reader.raw(this.#reader.length(8)))
        return
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
        stack.push([])
        return
      case 0x6c: // LIST
      case 0x74: // TUPLE
        stack.push(this.#popToMark())
        return
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        stack.push(this.#popMany(opcode - 0x84))
        return
      case 0x7d: // EMPTY_DICT
        stack.push({})
        return
      case 0x64: // DICT
        this.#dictionary()
        return
      case 0x8f: // EMPTY_SET
        stack.push(new Set())
        return
      case 0x91: // FROZENSET
        stack.push(new Set(this.#popToMark()))
        return
      case 0x90: // ADDITEMS
        this.#addItems(this.#popToMark())
        return
      case 0x61: // APPEND
        this.#append([this.#value()])
        return
      case 0x65: // APPENDS
        this.#append(this.#popToMark())
        return
      case 0x73: // SETITEM
        this.#setItems(this.#popMany(2))
        return
      case 0x75: // SETITEMS
        this.#setItems(this.#popToMark())
        return
      case 0x71: // BINPUT
        this.#memo.set(this.#reader.byte(), this.#top())
        return
      case 0x72: // LONG_BINPUT
        this.#memo.set(this.#reader.length(4), this.#top())
        return
      case 0x94: // MEMOIZE
        this.#memo.set(this.#memo.size, this.#top())
        return
      case 0x68: // BINGET
        this.#recall(this.#reader.byte())
        return
      case 0x6a: // LONG_BINGET
        this.#recall(this.#reader.length(4))
        return
      case 0x63: // GLOBAL
        this.#global(this.#reader.line(), this.#reader.line())
        return
      case 0x93: // STACK_GLOBAL
        this.#stackGlobal()
        return
      case 0x52: // REDUCE
      case 0x81: // NEWOBJ
        this.#construct(this.#value())
        return
      case 0x92: // NEWOBJ_EX
        this.#constructWithKeywords()
        return
      case 0x62: // BUILD
        this.#build(this.#value())
        return
      case 0x51: // BINPERSID
        stack.push(this.#options.load(this.#value()))
        return
      default:
        throw this.#fail(
          `its pickle has the opcode 0x${opcode.toString(16)} at byte ${this.#reader.position - 1}, which is damaged or not allowed`,
        )
    }
  }

  #protocol(version: number): void {
    if (version < 2 || version > 5)
      throw this.#fail(`its pickle protocol ${version} is not one of 2 to 5`)
  }

  #pop(): Slot {
    if (this.#stack.length === 0) throw this.#fail('its pickle is damaged (empty stack)')
    return this.#stack.pop() as Slot
  }

  #top(): Slot {
    if (this.#stack.length === 0) throw this.#fail('its pickle is damaged (empty stack)')
    return this.#stack[this.#stack.length - 1] as Slot
  }

  #value(): PickleValue {
    return this.#asValue(this.#pop())
  }

  #asValue(slot: Slot): PickleValue {
    if (slot === mark) throw this.#fail('its pickle is damaged (a mark where a value belongs)')
    return slot as PickleValue
  }

  #popMany(count: number): PickleValue[] {
    if (this.#stack.length < count) throw this.#fail('its pickle is damaged (empty stack)')
    return this.#stack.splice(this.#stack.length - count).map((slot) => this.#asValue(slot))
  }

  #popToMark(): PickleValue[] {
    const at = this.#stack.lastIndexOf(mark)
    if (at < 0) throw this.#fail('its pickle is damaged (no mark)')
    const items = this.#stack.splice(at + 1) as PickleValue[]
    this.#stack.pop()
    return items
  }

  #recall(index: number): void {
    const value = this.#memo.get(index)
    if (value === undefined)
      throw this.#fail(`its pickle is damaged (nothing is stored under ${index})`)
    this.#stack.push(value)
  }

  #dictionary(): void {
    const items = this.#popToMark()
    this.#stack.push({})
    this.#setItems(items)
  }

  #addItems(items: PickleValue[]): void {
    const target = this.#top()
    if (!(target instanceof Set))
      throw this.#fail('its pickle is damaged (items for what is no set)')
    for (const item of items) target.add(item)
  }

  #append(items: PickleValue[]): void {
    const target = this.#top()
    if (target instanceof OpaqueObject) target.state.push(items)
    else if (Array.isArray(target)) for (const item of items) target.push(item)
    else throw this.#fail('its pickle is damaged (items for what is no list)')
  }

  #setItems(items: PickleValue[]): void {
    const target = this.#top()
    if (items.length % 2 !== 0) throw this.#fail('its pickle is damaged (a key without a value)')
    const isOpaque = target instanceof OpaqueObject
    const record: { [key: string]: PickleValue } = isOpaque ? {} : this.#requireRecord(target)
    for (let i = 0; i < items.length; i += 2) {
      const key = this.#key(items[i] as PickleValue)
      // Assignment to '__proto__' would change the prototype instead of adding a key.
      Object.defineProperty(record, key, {
        value: items[i + 1],
        enumerable: true,
        writable: true,
        configurable: true,
      })
    }
    if (isOpaque) target.state.push(record)
  }

  #requireRecord(target: Slot): { [key: string]: PickleValue } {
    if (isPlainRecord(target)) return target
    throw this.#fail('its pickle is damaged (keys for what is no dictionary)')
  }

  #key(key: PickleValue): string {
    if (typeof key === 'string') return key
    if (typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean')
      return String(key)
    if (key instanceof Global) return key.name
    if (key === null) return 'None'
    throw this.#fail('it has a dictionary whose keys are neither text nor numbers')
  }

  #stackGlobal(): void {
    const [module, name] = this.#popMany(2)
    if (typeof module !== 'string' || typeof name !== 'string')
      throw this.#fail('its pickle is damaged (a name that is no text)')
    this.#global(module, name)
  }

  #global(module: string, attribute: string): void {
    const name = `${module}.${attribute}`
    const found = this.#options.find(name)
    if (found !== undefined) {
      this.#stack.push(found)
      return
    }
    if (this.#options.unknown !== 'opaque')
      throw this.#fail(
        `it refers to '${name}', which is neither a tensor nor plain data, and nothing of it was executed. ` +
          "If you only need the tensors, load with { unknown: 'opaque' }, or save a plain state_dict in Python",
      )
    this.#stack.push(new Global(name, null))
  }

  #construct(args: PickleValue): void {
    const what = this.#pop()
    if (!(what instanceof Global) || !Array.isArray(args))
      throw this.#fail('its pickle is damaged (a call of what is no class)')
    this.#stack.push(what.construct ? what.construct(args) : new OpaqueObject(what.name, args))
  }

  #constructWithKeywords(): void {
    const [args, keywords] = this.#popMany(2)
    const what = this.#pop()
    if (!(what instanceof Global) || !Array.isArray(args))
      throw this.#fail('its pickle is damaged (a call of what is no class)')
    if (what.construct)
      throw this.#fail(`it calls '${what.name}' with keywords, which no tensor needs`)
    this.#stack.push(new OpaqueObject(what.name, [...args, keywords as PickleValue]))
  }

  #build(state: PickleValue): void {
    const target = this.#top()
    if (target instanceof OpaqueObject) target.state.push(state)
    // Attributes of a dictionary, such as a state_dict's _metadata, are not part of its contents.
    else if (!isPlainRecord(target))
      throw this.#fail('it sets attributes of an object that cannot have any')
  }
}

function isPlainRecord(value: unknown): value is { [key: string]: PickleValue } {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  )
}
