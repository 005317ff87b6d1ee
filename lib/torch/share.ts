/**
 * Tensors for other threads, without a copy: `share()` makes plain objects that `postMessage` can carry, and
 * `fromShared()` makes tensors of them again, over the same memory. As PyTorch's `share_memory_()` and its queues.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { addon } from './addon.js'
import { freeIds, takeId } from './handles.js'
import { intern } from './signature.js'
import { Tensor } from './tensor.js'

const mark = 'landmark-diffusion/shared'

/** Stands for a tensor in a message. Received once, in the process that made it. */
export interface SharedTensor {
  readonly [mark]: string
}

/** `T` with each tensor replaced by a handle. */
export type Shared<T> = T extends Tensor
  ? SharedTensor
  : T extends readonly unknown[] | Readonly<Record<string, unknown>>
    ? { [K in keyof T]: Shared<T[K]> }
    : T

/** `T` with each handle replaced by a tensor. */
export type Received<T> = T extends SharedTensor
  ? Tensor
  : T extends readonly unknown[] | Readonly<Record<string, unknown>>
    ? { [K in keyof T]: Received<T[K]> }
    : T

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** `value` with `change` applied to whatever it wants to change, in arrays and plain objects. */
function mapped(value: unknown, change: (value: object) => unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const changed = change(value)
  if (changed !== undefined) return changed
  if (Array.isArray(value)) return value.map((element) => mapped(element, change))
  if (!isPlain(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, element]) => [name, mapped(element, change)]),
  )
}

/**
 * Handles for a tensor, or for all tensors in arrays and plain objects such as a state dict, to be posted to
 * another thread of this process. `share()` a tensor once for each thread that is to receive it.
 *
 * Both sides then hold the same memory, as a view does: a write in place on one side is seen on the other, after
 * the ops that were queued before `share()`. What arrives records no gradients; call `requiresGrad_()` there.
 * Disposing the tensor here afterwards is safe. A handle that will not be received is taken back by `unshare()`.
 *
 * @throws ERR_SCHEMA where there is no tensor in `value`.
 */
export function share<const T>(value: T): Shared<T> {
  // The ids first: a disposed tensor is refused before anything is offered.
  const ids: number[] = []
  mapped(value, (one) => (one instanceof Tensor ? ids.push(one.id) : undefined))
  if (ids.length === 0) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      'share() found no tensor: it takes tensors, arrays and plain objects of them. For a module, share(module.stateDict()).',
    )
  }
  return mapped(value, (one) => (one instanceof Tensor ? offer(one) : undefined)) as Shared<T>
}

function offer(tensor: Tensor): SharedTensor {
  const { shape, strides, dtypeNumber, device } = tensor.signature
  const token = addon().native.share(tensor.id, shape, strides, dtypeNumber, device)
  // A worker may run on for a moment after terminate(), and Node already refuses its native calls: no message may carry that.
  if (token === undefined) {
    throw new LandmarkDiffusionError('ERR_ABORTED', 'share(): this thread is being terminated')
  }
  return { [mark]: token }
}

/** The token in a handle; undefined for another object. */
function tokenOf(value: object): string | undefined {
  if (!Object.hasOwn(value, mark)) return undefined
  const token = (value as Record<string, unknown>)[mark]
  if (typeof token !== 'string' || !/^[0-9a-f]{32}$/.test(token)) throw unknownHandle()
  return token
}

function unknownHandle(): LandmarkDiffusionError {
  return new LandmarkDiffusionError(
    'ERR_SCHEMA',
    'fromShared(): nothing waits under this handle. A handle is good once, in the process that made it: share() the ' +
      'tensor again for each receiver. Handles of a thread that ended are kept for a minute.',
  )
}

/**
 * The tensors behind handles that `share()` made in another thread (or in this one), in the same arrays and plain
 * objects. They are tensors like any other: scopes own them, and they are to be disposed.
 *
 * @throws ERR_SCHEMA where a handle was received before, taken back, or never was one.
 */
export function fromShared<const T>(message: T): Received<T> {
  const made: Tensor[] = []
  try {
    const received = mapped(message, (one) => {
      const token = tokenOf(one)
      if (token === undefined) return undefined
      const tensor = receive(token)
      made.push(tensor)
      return tensor
    })
    if (made.length > 0) return received as Received<T>
  } catch (error) {
    for (const tensor of made) tensor.dispose()
    throw error
  }
  throw new LandmarkDiffusionError('ERR_SCHEMA', 'fromShared() found no handle of share()')
}

function receive(token: string): Tensor {
  const id = takeId()
  const info = addon().native.receive(token, id)
  if (info === null) {
    freeIds([id])
    throw unknownHandle()
  }
  return new Tensor(id, intern(info))
}

/** Takes back what `share()` offered, where it was not received; true where all of it was still there. */
export function unshare(message: unknown): boolean {
  let all = true
  mapped(message, (one) => {
    const token = tokenOf(one)
    if (token === undefined) return undefined
    all = addon().native.withdraw(token) && all
    return null
  })
  return all
}
