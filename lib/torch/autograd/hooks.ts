/** Hooks on gradients, as PyTorch's `Tensor.register_hook`. */
import { LandmarkDiffusionError } from '../../errors.js'
import { addon } from '../addon.js'
import type { Opaque } from '../native.js'
import { Tensor } from '../tensor.js'
import { refusePromise, register } from './callbacks.js'

/** Takes a hook away again; backward passes queued before still call it. */
export class HookHandle {
  #place: Opaque | null

  /** @internal */
  constructor(place: Opaque) {
    this.#place = place
  }

  remove(): void {
    if (this.#place !== null) addon().native.removeHook(this.#place)
    this.#place = null
  }

  [Symbol.dispose](): void {
    this.remove()
  }
}

function checked(result: unknown, gradient: Tensor): Tensor | null {
  refusePromise('a hook', result)
  if (result === undefined || result === null) return null
  const { shape, dtype, device } = gradient
  const fits =
    result instanceof Tensor &&
    result.shape.join() === shape.join() &&
    result.dtype === dtype &&
    result.device === device
  if (fits) return result
  throw new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `a hook must return nothing or a tensor like the gradient, ${gradient}; it returned ${result instanceof Tensor ? result : typeof result}`,
  )
}

export function registerHook(tensor: Tensor, hook: (gradient: Tensor) => unknown): HookHandle {
  if (typeof hook !== 'function') {
    throw new LandmarkDiffusionError('ERR_SCHEMA', 'registerHook() wants a function')
  }
  if (!tensor.requiresGrad) {
    throw new LandmarkDiffusionError(
      'ERR_OP',
      'registerHook(): this tensor does not require a gradient, so its hook would never be called',
    )
  }
  const tensorId = tensor.id
  const callback = register({
    run([gradient]) {
      return [checked(hook(gradient as Tensor), gradient as Tensor)]
    },
  })
  return new HookHandle(addon().native.registerHook(tensorId, callback))
}
