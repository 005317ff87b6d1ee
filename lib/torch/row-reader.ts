/** Values of several tensors that come to JavaScript together: each waking of its thread costs more than what it brings. */
import { addon } from './addon.js'
import type { NativeRows, Opaque } from './native.js'
import { refuseInProgram } from './recording.js'
import type { Tensor } from './tensor.js'
import { wantTensor } from './wants.js'

/** What was read: the values of each tensor, and why those of the next could not be read. */
export type Rows = NativeRows

/**
 * Reads small tensors of float32 together, of at most 1024 numbers each. `result` comes when all that were added before `close()` have their values.
 * On the CPU it comes earlier where one is not finite or has failed: with that one, or its failure, as the last.
 */
export class RowReader {
  readonly result: Promise<Rows>
  readonly #native: Opaque

  constructor() {
    const [reading, result] = addon().native.openReading()
    this.#native = reading
    this.result = result
  }

  /** The tensor may be disposed of at once. */
  add(tensor: Tensor): void {
    wantTensor(tensor, 'the tensor')
    refuseInProgram('RowReader.add() was called', 'Return the tensor, and read it outside.')
    addon().native.addToReading(this.#native, tensor.id)
  }

  /** No more is added. */
  close(): void {
    addon().native.closeReading(this.#native)
  }
}
