/**
 * The trees in which calls are remembered, with one measure of their size: values that never come again (texts,
 * lists, ever other shapes) must not fill the memory, so all trees are given up when they have grown too large
 * together, and grow anew with what is still in use.
 */

/** Nodes of all trees before they start anew: with what hangs on them, some 30 MB. A U-Net needs a few thousand. */
const mostNodes = 1 << 16

let nodes = 0

export class Node<T> {
  value: T | null = null
  // Most nodes have one branch, which needs no map.
  #key: unknown = undefined
  #branch: Node<T> | null = null
  #others: Map<unknown, Node<T>> | null = null

  find(key: unknown): Node<T> | undefined {
    if (this.#key === key && this.#branch !== null) return this.#branch
    return this.#others === null ? undefined : this.#others.get(key)
  }

  grow(key: unknown): Node<T> {
    // A long text weighs as much as what it takes.
    nodes += typeof key === 'string' ? 1 + (key.length >> 6) : 1
    const branch = new Node<T>()
    // NaN is not equal to itself, but finds its place in a map.
    if (this.#branch === null && !Number.isNaN(key)) {
      this.#key = key
      this.#branch = branch
    } else {
      this.#others ??= new Map()
      this.#others.set(key, branch)
    }
    return branch
  }
}

const forgetters: (() => void)[] = []

/** Registers what gives up its trees when they have grown too large together. */
export function onForget(forget: () => void): void {
  forgetters.push(forget)
}

/** Before a tree grows: gives all of them up where they are too large. */
export function makeRoom(): void {
  if (nodes < mostNodes) return
  for (const forget of forgetters) forget()
  nodes = 0
}
