// Chooses one call: an operator by its schema, or a function, class or method of the public surface, with
// arguments that are mostly plausible in kind and seldom all right.
import * as torch from 'landmark-diffusion/torch'
import { operator } from '#lib/torch/operator.js'
import { mutatedCall, readCalls } from './mutations.mjs'
import { chooseUse } from './objects.mjs'
import { Random } from './random.mjs'
import { readSweep, sweptCall } from './sweep.mjs'
import { Tensors } from './tensors.mjs'
import * as values from './values.mjs'

/** Not called with odd arguments, because they change the whole process or the disk for good. */
const apart = new Set([
  'setNumThreads',
  'save',
  'setTracing',
  'emptyCache',
  'synchronize',
  'Tensor',
])

function publicFunctions() {
  const found = []
  const add = (prefix, object) => {
    for (const [name, value] of Object.entries(object)) {
      if (typeof value === 'function' && !apart.has(name)) found.push([`${prefix}${name}`, value])
    }
  }
  add('torch.', torch)
  add('nn.', torch.nn)
  add('nn.functional.', torch.nn.functional ?? {})
  add('optim.', torch.optim)
  return found
}

function tensorMethods() {
  return Object.entries(Object.getOwnPropertyDescriptors(torch.Tensor.prototype)).filter(
    ([name]) => name !== 'constructor' && name !== 'release' && name !== 'markCleared',
  )
}

let surface
let accepted
let swept

/** `name`, shown arguments and `run()` of the call that `seed` and `index` fix; of the operators that `only` matches. null after the last of a sweep. */
export async function chooseCall(seed, index, { only, mutate, objects, sweep, pairs, layout }) {
  if (sweep || pairs) {
    swept ??= readSweep(readCalls(only), pairs)
    return index < swept.length ? sweptCall(swept[index]) : null
  }
  if (objects) {
    const random = new Random(seed, index)
    return chooseUse(random, new Tensors(random))
  }
  if (mutate) {
    accepted ??= readCalls(only)
    const random = new Random(seed, index)
    return mutatedCall(random, new Tensors(random, layout), accepted)
  }
  surface ??= {
    names: torch.ops().filter((name) => only === undefined || new RegExp(only).test(name)),
    functions: publicFunctions(),
    methods: tensorMethods(),
  }
  const random = new Random(seed, index)
  const tensors = new Tensors(random, layout)
  const kind = only === undefined ? random.int(0, 9) : 0
  if (kind < 8) return operatorCall(random, tensors, random.pick(surface.names))
  const args = await anyArguments(random, tensors)
  if (kind === 8) {
    const [name, run] = random.pick(surface.functions)
    const isClass = /^class\b/.test(Function.prototype.toString.call(run))
    return { name, args, run: () => (isClass ? Reflect.construct(run, args) : run(...args)) }
  }
  const [name, descriptor] = random.pick(surface.methods)
  const self = random.chance(0.9) ? await tensors.make() : values.odd(random, () => undefined)
  const run = descriptor.value ?? (args.length > 0 && descriptor.set) ?? descriptor.get
  const method = typeof run === 'function' ? run : (descriptor.get ?? descriptor.set)
  return {
    name: `Tensor.prototype.${name}`,
    args: [self, ...args],
    run: () => method.apply(self, args),
  }
}

async function anyArguments(random, tensors) {
  const args = []
  const count = random.int(0, 4)
  for (let i = 0; i < count; i++) args.push((await anyArgument(random, tensors)).value)
  return args
}

/** In a box, because a promise or a hostile `then` must arrive as it is. */
async function anyArgument(random, tensors) {
  const tensor = await tensors.make()
  return { value: anyValue(random, tensor) }
}

function anyValue(random, tensor) {
  const kind = random.int(0, 9)
  if (kind < 4) return tensor
  if (kind === 4) return values.integer(random)
  if (kind === 5) return values.constant(random, 'int[]')
  if (kind === 6) return values.scalar(random)
  if (kind === 7) {
    return {
      dtype: values.dtype(random),
      requiresGrad: random.chance(0.3),
      dim: values.integer(random),
    }
  }
  if (kind === 8) return () => values.odd(random, () => tensor)
  return values.odd(random, () => tensor)
}

async function operatorCall(random, tensors, name) {
  const op = operator(name)
  const args = []
  const named = {}
  // One odd argument in a call of otherwise plausible ones goes deepest.
  const oddness = random.pick([0, 0, 0.05, 0.15, 0.5])
  for (const argument of op.arguments) {
    const tensor = await tensors.make()
    const { value } = random.chance(oddness)
      ? { value: values.odd(random, () => tensor) }
      : await plausible(random, tensors, argument, tensor)
    if (argument.keywordOnly && random.chance(0.5)) named[argument.name] = value
    else args.push(value)
    if (Object.keys(named).length > 0) break
  }
  if (random.chance(0.02)) args.push(values.odd(random, () => undefined))
  if (random.chance(0.02)) named[random.pick(['dim', '__proto__', 'out', 'x'])] = 1
  return {
    name: op.name,
    args: Object.keys(named).length > 0 ? [...args, named] : args,
    run: () => torch.call(op.name, args, named),
  }
}

async function plausible(random, tensors, argument, tensor) {
  if (argument.hasDefault && random.chance(0.4)) return { value: undefined }
  if (argument.optional && random.chance(0.4)) return { value: null }
  const type = argument.type.replace(/\?$/, '')
  if (type === 'Tensor') return { value: tensor }
  if (type === 'Tensor[]' || type === 'Tensor?[]') {
    const list = []
    const count = random.pick([0, 1, 1, 2, 2, 3, 4])
    for (let i = 0; i < count; i++) {
      list.push(type === 'Tensor?[]' && random.chance(0.3) ? null : await tensors.make())
    }
    return { value: list }
  }
  if (type === 'Generator') return { value: generator() }
  return { value: values.constant(random, type) ?? values.odd(random, () => tensor) }
}

let shared
function generator() {
  shared ??= new torch.Generator('cpu', 1)
  return shared
}
