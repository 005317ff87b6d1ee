/** Sequential, ModuleList and ModuleDict: children named by index or key, as in `torch.nn`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import { type Layer, Module } from './module.js'

/** Children in a row, named '0', '1', ...; iterable; forward is the owner's business. */
export class ModuleList<T extends Module = Module> extends Module {
  protected readonly items: T[]

  constructor(items: Iterable<T> = []) {
    super()
    this.items = [...items]
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

  push(item: T): this {
    this.items.push(item)
    return this
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
    this.#items = new Map(Object.entries(items))
  }

  get(key: string): T | undefined {
    return this.#items.get(key)
  }

  set(key: string, item: T): this {
    this.#items.set(key, item)
    return this
  }

  keys(): IterableIterator<string> {
    return this.#items.keys()
  }

  override *namedChildren(): Generator<[string, T]> {
    yield* this.#items
  }
}
