/** Custom operations with a backward function of their own, as PyTorch's `torch.autograd.Function`. */
import { LandmarkDiffusionError } from '../../errors.js'
import { addon } from '../addon.js'
import { isGradEnabled, noGrad } from '../context.js'
import { isComplex, isFloatingPoint } from '../dtype.js'
import { takeId } from '../handles.js'
import { scope } from '../scope.js'
import { intern, type Signature } from '../signature.js'
import { Tensor } from '../tensor.js'
import { refusePromise, register } from './callbacks.js'

/** What `forward` leaves for `backward`. Anything else may be set on it as on PyTorch's `ctx`. */
export class FunctionContext {
  [name: string]: unknown
  /** Per argument of `forward`, whether a gradient for it is of use. */
  needsInputGrad: readonly boolean[]
  /** In `backward`: what `saveForBackward` was given. */
  savedTensors: readonly Tensor[] = []
  /** @internal */
  readonly kept: { saved: Tensor[]; notDifferentiable: Tensor[]; dirty: Tensor[]; zeros: boolean }

  /** @internal */
  constructor(needsInputGrad: readonly boolean[]) {
    this.needsInputGrad = needsInputGrad
    this.kept = { saved: [], notDifferentiable: [], dirty: [], zeros: true }
  }

  /** Tensors, inputs and results among them, that `backward` needs. They live as long as the graph does. */
  saveForBackward(...tensors: Tensor[]): void {
    this.kept.saved = tensors
  }

  /** Results through which no gradient goes. */
  markNonDifferentiable(...results: Tensor[]): void {
    this.kept.notDifferentiable = results
  }

  /** Inputs that `forward` changed in place; it must return them. */
  markDirty(...inputs: Tensor[]): void {
    this.kept.dirty = inputs
  }

  /** Whether an absent gradient comes to `backward` as zeros (the default) or as null. */
  setMaterializeGrads(zeros: boolean): void {
    this.kept.zeros = zeros
  }
}

type Results = Tensor | readonly Tensor[]
type Gradients = Tensor | null | undefined | readonly (Tensor | null | undefined)[]

/** The two functions of a class that extends `Function`. */
export interface FunctionClass<A extends unknown[], R extends Results> {
  readonly name: string
  forward(ctx: FunctionContext, ...args: A): R
  // biome-ignore lint/suspicious/noExplicitAny: each class names its own gradients
  backward(ctx: FunctionContext, ...gradients: any[]): Gradients
}

/** Extended, never made: `forward` and `backward` are static, and `apply` calls the operation. */
class CustomFunction {
  protected constructor() {}

  /**
   * Runs `forward`, without recording it, and lets `backward` stand for its gradient.
   *
   * `backward` gets one gradient per result, and gives one per argument of `forward`: null for what is no
   * tensor or needs none. It runs on this thread, is synchronous and awaits nothing.
   */
  static apply<A extends unknown[], R extends Results>(this: FunctionClass<A, R>, ...args: A): R {
    // biome-ignore lint/complexity/noThisInStatic: the class that extends this one
    return apply(this, args)
  }
}

export { CustomFunction as Function }

function apply<A extends unknown[], R extends Results>(of: FunctionClass<A, R>, args: A): R {
  const inputs = args.filter((value) => value instanceof Tensor)
  const needed = args.map((value) => value instanceof Tensor && value.requiresGrad)
  const ctx = new FunctionContext(needed)
  if (!isGradEnabled() || !needed.includes(true)) return forward(of, ctx, args)
  const made: (Tensor | { id: number; signature: Signature })[] = []
  let several = false
  scope(() => {
    const returned = forward(of, ctx, args)
    several = Array.isArray(returned)
    const outputs = (several ? returned : [returned]) as readonly Tensor[]
    const { saved, notDifferentiable, dirty, zeros } = ctx.kept
    const ids = (tensors: readonly Tensor[]) => tensors.map((tensor) => tensor.id)
    for (const output of outputs) {
      const signature = resultSignature(output, notDifferentiable)
      if (dirty.includes(output)) {
        output.signature = signature
        made.push(output)
      } else {
        made.push({ id: takeId(), signature })
      }
    }
    const inputIds = ids(inputs)
    const outputIds = ids(outputs)
    const keptIds = [ids(saved), ids(notDifferentiable), ids(dirty)] as const
    const callback = register({
      run: (tensors, flags) => backward(of, ctx, args, outputs.length, tensors, flags),
    })
    addon().native.attachFunction(
      of.name,
      callback,
      inputIds,
      outputIds,
      made.map(({ id }) => id),
      ...keptIds,
      zeros,
    )
  })
  ctx.kept.saved = []
  const results = made.map((result) =>
    result instanceof Tensor ? result : new Tensor(result.id, result.signature),
  )
  return (several ? results : results[0]) as Results as R
}

function forward<A extends unknown[], R extends Results>(
  of: FunctionClass<A, R>,
  ctx: FunctionContext,
  args: A,
): R {
  const results = noGrad(() => of.forward(ctx, ...args))
  refusePromise(`${of.name}.forward()`, results)
  const all = Array.isArray(results) ? results : [results]
  if (all.length > 0 && all.every((result) => result instanceof Tensor)) return results
  throw new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `${of.name}.forward() must return a tensor or an array of tensors`,
  )
}

function resultSignature(output: Tensor, notDifferentiable: readonly Tensor[]): Signature {
  const differentiable =
    (isFloatingPoint(output.dtype) || isComplex(output.dtype)) &&
    !notDifferentiable.includes(output)
  const { dtypeNumber: dtype, ...rest } = output.signature
  return intern({
    ...rest,
    dtype,
    defined: true,
    requiresGrad: differentiable,
    isLeaf: !differentiable,
  })
}

function backward<A extends unknown[], R extends Results>(
  of: FunctionClass<A, R>,
  ctx: FunctionContext,
  args: A,
  outputs: number,
  tensors: readonly (Tensor | null)[],
  flags: readonly boolean[],
): (Tensor | null)[] {
  const places = args.flatMap((value, i) => (value instanceof Tensor ? [i] : []))
  ctx.needsInputGrad = args.map((_, i) => flags[places.indexOf(i)] ?? false)
  ctx.savedTensors = tensors.slice(outputs) as Tensor[]
  const returned = of.backward(ctx, ...tensors.slice(0, outputs))
  ctx.savedTensors = []
  refusePromise(`${of.name}.backward()`, returned)
  const gradients: readonly unknown[] = Array.isArray(returned) ? returned : [returned]
  const fail = (message: string) =>
    new LandmarkDiffusionError('ERR_SCHEMA', `${of.name}.backward() ${message}`)
  const surplus = gradients.slice(args.length)
  if (gradients.length < args.length || surplus.some((gradient) => gradient != null)) {
    throw fail(
      `must return one gradient per argument of forward(): ${args.length}, it returned ${gradients.length}`,
    )
  }
  return args.flatMap((value, i) => {
    const gradient = gradients[i] ?? null
    if (gradient !== null && !(gradient instanceof Tensor)) {
      throw fail(`returned ${typeof gradient} for argument ${i}, where a tensor or null is wanted`)
    }
    if (value instanceof Tensor) return [gradient]
    if (gradient === null) return []
    throw fail(`returned a gradient for argument ${i}, which is no tensor`)
  })
}
