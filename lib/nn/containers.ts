/** Sequential, ModuleList, ModuleDict, ParameterList and ParameterDict: what is named by index or key, as in `torch.nn`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import { type Layer, Module, parameter } from './module.js'

/** `items`, each a module. */
function modulesOf<T extends Module>(owner: Module, items: Iterable<T>): T[] {
  const given: unknown = items
  const iterable = typeof given === 'object' && given !== null && Symbol.iterator in given
  const all = iterable ? [...items] : []
  if (iterable && all.every((item) => item instanceof Module)) return all
  throw new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `${owner.constructor.name} takes modules only: objects of classes that extend Module.`,
  )
}

/** Children in a row, named '0', '1', ...; iterable; forward is the owner's business. */
export class ModuleList<T extends Module = Module> extends Module {
  protected readonly items: T[]

  constructor(items: Iterable<T> = []) {
    super()
    this.items = modulesOf(this, items)
  }

  get length(): number {
    return this.items.length
  }

  /** The child at `index`; negative counts from the end. */
  at(index: number): T {
    const item = this.items.at(index)
    if (!item)
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `ModuleList has ${this.length} items, no index ${index}.`,
      )
    return item
  }

  append(item: T): this {
    this.items.push(...modulesOf(this, [item]))
    return this
  }

  /** `append`, by JavaScript's name. */
  push(item: T): this {
    return this.append(item)
  }

  extend(items: Iterable<T>): this {
    this.items.push(...modulesOf(this, items))
    return this
  }

  /** Puts a child in front of the one at `index`. */
  insert(index: number, item: T): this {
    this.items.splice(index, 0, ...modulesOf(this, [item]))
    return this
  }

  /** Takes a child out, by default the last; its parameters stay alive. */
  pop(index = -1): T {
    const item = this.at(index)
    this.items.splice(index, 1)
    return item
  }

  override *namedChildren(): Generator<[string, T]> {
    for (const [index, item] of this.items.entries()) yield [String(index), item]
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.items[Symbol.iterator]()
  }
}

/** y = layer_n(...layer_1(layer_0(x))), children named '0', '1', ... */
export class Sequential extends ModuleList<Layer> {
  constructor(...layers: Layer[]) {
    super(layers)
  }

  forward(x: Tensor): Tensor {
    let y = x
    for (const layer of this.items) y = layer.forward(y)
    return y
  }
}

/** Children by key. */
export class ModuleDict<T extends Module = Module> extends Module {
  readonly #items: Map<string, T>

  constructor(items: Readonly<Record<string, T>> = {}) {
    super()
    modulesOf(this, Object.values(items))
    this.#items = new Map(Object.entries(items))
  }

  get(key: string): T | undefined {
    return this.#items.get(key)
  }

  set(key: string, item: T): this {
    modulesOf(this, [item])
    this.#items.set(key, item)
    return this
  }

  has(key: string): boolean {
    return this.#items.has(key)
  }

  /** Takes a child out; its parameters stay alive. */
  pop(key: string): T | undefined {
    const item = this.#items.get(key)
    this.#items.delete(key)
    return item
  }

  update(items: Readonly<Record<string, T>>): this {
    for (const [key, item] of Object.entries(items)) this.set(key, item)
    return this
  }

  clear(): void {
    this.#items.clear()
  }

  get length(): number {
    return this.#items.size
  }

  keys(): IterableIterator<string> {
    return this.#items.keys()
  }

  values(): IterableIterator<T> {
    return this.#items.values()
  }

  items(): IterableIterator<[string, T]> {
    return this.#items.entries()
  }

  override *namedChildren(): Generator<[string, T]> {
    yield* this.#items
  }
}

/** Parameters in a row, named '0', '1', ...; what is given becomes a parameter. */
export class ParameterList extends Module {
  readonly #items: Tensor[]

  constructor(items: Iterable<Tensor> = []) {
    super()
    this.#items = [...items].map(parameter)
  }

  get length(): number {
    return this.#items.length
  }

  /** The parameter at `index`; negative counts from the end. */
  at(index: number): Tensor {
    const item = this.#items.at(index)
    if (item) return item
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `ParameterList has ${this.length} items, no index ${index}.`,
    )
  }

  append(item: Tensor): this {
    this.#items.push(parameter(item))
    return this
  }

  extend(items: Iterable<Tensor>): this {
    for (const item of items) this.append(item)
    return this
  }

  protected override holder(): object {
    return this.#items
  }

  [Symbol.iterator](): IterableIterator<Tensor> {
    return this.#items[Symbol.iterator]()
  }
}

/** Parameters by key; what is given becomes a parameter. */
export class ParameterDict extends Module {
  readonly #items: Record<string, Tensor> = Object.create(null)

  constructor(items: Readonly<Record<string, Tensor>> = {}) {
    super()
    for (const [key, item] of Object.entries(items)) this.set(key, item)
  }

  get(key: string): Tensor | undefined {
    return this.#items[key]
  }

  set(key: string, item: Tensor): this {
    this.#items[key] = parameter(item)
    return this
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#items, key)
  }

  keys(): IterableIterator<string> {
    return Object.keys(this.#items)[Symbol.iterator]()
  }

  values(): IterableIterator<Tensor> {
    return Object.values(this.#items)[Symbol.iterator]()
  }

  protected override holder(): object {
    return this.#items
  }
}
