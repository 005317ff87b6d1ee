/** Hooks around `forward`, as `torch.nn.Module.register_forward_hook` and `register_forward_pre_hook`. */
import { LandmarkDiffusionError } from '../errors.js'
import { wantFunction } from '../torch/wants.js'

/** `module` is the module itself. An array that it returns takes the place of the arguments. */
export type ForwardPreHook = (module: object, inputs: readonly unknown[]) => unknown

/** `module` is the module itself. What it returns, if anything, takes the place of `output`. */
export type ForwardHook = (module: object, inputs: readonly unknown[], output: unknown) => unknown

/** Takes a hook away again. */
export interface ForwardHookHandle {
  remove(): void
}

type Forward = (...inputs: unknown[]) => unknown

const hooked = new WeakMap<object, ForwardHooks>()

/** The hooks of a module. There is nothing between a module and its caller, so they take the place of its `forward`. */
export function hooksOf(module: object): ForwardHooks {
  let hooks = hooked.get(module)
  if (hooks === undefined) {
    hooks = new ForwardHooks(module)
    hooked.set(module, hooks)
  }
  return hooks
}

class ForwardHooks {
  readonly #before = new Map<symbol, ForwardPreHook>()
  readonly #after = new Map<symbol, ForwardHook>()

  constructor(module: object) {
    const { forward } = module as { forward?: Forward }
    if (typeof forward !== 'function') {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `${module.constructor.name} has no forward(), so there is nothing to hook.`,
      )
    }
    const value = (...inputs: unknown[]): unknown => {
      let given: readonly unknown[] = inputs
      for (const hook of this.#before.values()) {
        const changed = hook(module, given)
        if (Array.isArray(changed)) given = changed
      }
      let output = forward.apply(module, [...given])
      for (const hook of this.#after.values()) output = hook(module, given, output) ?? output
      return output
    }
    Object.defineProperty(module, 'forward', { value, configurable: true })
  }

  addBefore(hook: ForwardPreHook): ForwardHookHandle {
    return add(this.#before, hook)
  }

  addAfter(hook: ForwardHook): ForwardHookHandle {
    return add(this.#after, hook)
  }
}

function add<Hook>(hooks: Map<symbol, Hook>, hook: Hook): ForwardHookHandle {
  wantFunction(hook, 'a hook')
  const place = Symbol('hook')
  hooks.set(place, hook)
  return { remove: () => void hooks.delete(place) }
}
