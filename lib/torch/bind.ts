/**
 * From the names in generated/ to functions and methods. The way of a known call is made for speed: arguments
 * go from the caller's parameters through one array that is used again into the scratch memory. Any other call
 * is copied first (plain.ts) and takes its time. Nothing is looked up before the first call, so that importing
 * costs no libtorch.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { scratchUse } from './addon.js'
import { again, call, invoke } from './call.js'
import { currentFrame } from './context.js'
import { walk } from './memo.js'
import type { Operator } from './operator.js'
import { type Overload, Overloads } from './overloads.js'
import { plainArguments, plainOptions } from './plain.js'
import { Generator } from './random.js'
import { isComplexNumber, TypedScalar } from './scalar.js'
import { Tensor } from './tensor.js'

/** Positional arguments that go the short way. */
const fastArguments = 8
/** The arguments of the call at hand, by the schema's order. Longer than any schema. */
const args: unknown[] = new Array(64).fill(undefined)

/** An object of named arguments; complex numbers are told apart later. */
function isOptions(value: unknown): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    !(value instanceof Tensor) &&
    !Array.isArray(value) &&
    !(value instanceof Generator) &&
    !(value instanceof TypedScalar)
  )
}

/** Calls with the first `given` of the parameters. */
function enter(
  overloads: Overloads,
  given: number,
  a: unknown,
  b: unknown,
  c: unknown,
  d: unknown,
  e: unknown,
  f: unknown,
  g: unknown,
  h: unknown,
): unknown {
  const use = ++scratchUse.count
  args[0] = a
  args[1] = b
  args[2] = c
  args[3] = d
  args[4] = e
  args[5] = f
  args[6] = g
  args[7] = h
  let count = given
  let named: object | null = null
  if (given > 0) {
    const last = args[given - 1]
    if (isOptions(last)) {
      named = last
      args[--count] = undefined
    }
  }
  while (count > 0 && args[count - 1] === undefined) count--
  const op = overloads.find(args, count, named)
  if (op !== undefined) {
    if (named !== null) count = place(op, count, named)
    // What is too much is told by checkArguments.
    if (count >= 0 && count <= op.arguments.length) {
      const frame = currentFrame()
      const leaf = walk(op, args, count, frame.mode).value
      // Where reading an argument ran other ops, what was written is not this call's any more.
      if (leaf !== null && scratchUse.count === use) return again(leaf, args, frame)
    }
  }
  return enterSlowly(overloads, [a, b, c, d, e, f, g, h].slice(0, given))
}

/** Puts options into their places in `args`; gives the new count, or -1 where something is unusual. */
function place(op: Operator, positional: number, named: object): number {
  const { length } = op.arguments
  for (let i = fastArguments; i < length; i++) args[i] = undefined
  let count = positional
  for (const name in named) {
    const index = op.byName.get(name)
    if (index === undefined || index < positional || !Object.hasOwn(named, name)) return -1
    args[index] = (named as Record<string, unknown>)[name]
    if (index >= count) count = index + 1
  }
  return count
}

/** First calls, odd arguments, `out` and `requiresGrad`. */
function enterSlowly(overloads: Overloads, given: readonly unknown[]): unknown {
  const last = given.at(-1)
  if (!isOptions(last) || isComplexNumber(last)) {
    const positional = plainArguments(given)
    return invoke(overloads.resolve(positional).op, positional)
  }
  const positional = plainArguments(given.slice(0, -1))
  const named = plainOptions(last)
  const out = take(named, 'out')
  const requiresGrad = overloads.factory ? take(named, 'requiresGrad') : undefined
  const found = overloads.resolve(positional, named)
  const made =
    out === undefined
      ? invoke(found.op, positional, named)
      : invoke(outVariant(found), positional, new Map([...named, ...outputs(found, out)]))
  return requiresGrad === true ? call('aten::requires_grad_', [made]) : made
}

function take(named: Map<string, unknown>, name: string): unknown {
  const value = named.get(name)
  named.delete(name)
  return value
}

function outVariant({ op, out }: Overload): Operator {
  if (out !== undefined) return out
  throw new LandmarkDiffusionError('ERR_SCHEMA', `${op.name} has no variant with 'out'`)
}

/** `out: tensor`, or `out: [values, indices]`, under the names of the schema. */
function outputs(overload: Overload, out: unknown): (readonly [string, unknown])[] {
  const op = outVariant(overload)
  const names = op.arguments.filter(({ written }) => written).map(({ name }) => name)
  const tensors = names.length === 1 ? [out] : out
  if (!Array.isArray(tensors) || tensors.length !== names.length) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `${op.name}: 'out' wants an array of ${names.length} tensors: [${names.join(', ')}]`,
    )
  }
  return names.map((name, i) => [name, tensors[i]])
}

type Bound = (...args: unknown[]) => unknown

const overloadsOf = new WeakMap<Bound, Overloads>()

// A rest parameter would make an array for each op: hence parameters one by one, and `arguments` for the rare rest.
function bindAll(overloads: Overloads): Bound {
  function bound(
    a?: unknown,
    b?: unknown,
    c?: unknown,
    d?: unknown,
    e?: unknown,
    f?: unknown,
    g?: unknown,
    h?: unknown,
  ): unknown {
    // biome-ignore lint/complexity/noArguments: see above
    const given = arguments.length
    if (given <= fastArguments) return enter(overloads, given, a, b, c, d, e, f, g, h)
    // biome-ignore lint/complexity/noArguments: see above
    return enterSlowly(overloads, Array.from(arguments))
  }
  overloadsOf.set(bound, overloads)
  return bound
}

/** A function over the overloads `names` of `aten::base`. */
export function bind<F>(base: string, names: string): F {
  return bindAll(new Overloads(base, names, 'operator')) as F
}

/** The same for operators that make a tensor, whose options have `requiresGrad` besides. */
export function bindFactory<F>(base: string, names: string): F {
  return bindAll(new Overloads(base, names, 'factory')) as F
}

/** Installs bound functions as methods: `this` becomes the first argument. */
export function defineMethods(functions: Readonly<Record<string, unknown>>): void {
  for (const [name, bound] of Object.entries(functions)) {
    const overloads = overloadsOf.get(bound as Bound) as Overloads
    Object.defineProperty(Tensor.prototype, name, {
      value: function (
        this: Tensor,
        a?: unknown,
        b?: unknown,
        c?: unknown,
        d?: unknown,
        e?: unknown,
        f?: unknown,
        g?: unknown,
      ): unknown {
        // biome-ignore lint/complexity/noArguments: see above
        const given = arguments.length + 1
        if (given <= fastArguments) return enter(overloads, given, this, a, b, c, d, e, f, g)
        // biome-ignore lint/complexity/noArguments: see above
        return enterSlowly(overloads, [this, ...Array.from(arguments)])
      },
      writable: true,
      configurable: true,
    })
  }
}
