// Values that are not tensors: plausible ones for an argument's type, and odd ones for any.
import * as torch from 'landmark-diffusion/torch'
import { traits } from '#lib/torch/native.js'
import { contiguousStrides } from '#lib/torch/signature.js'

/** What a hostile getter throws: it must come through unchanged, and counts as a typed end. */
export class HostileError extends Error {}

const dtypes = [
  ...['float32', 'float64', 'float16', 'bfloat16', 'int64', 'int32', 'int16', 'int8', 'uint8'],
  ...['bool', 'complex64', 'complex128', 'complex32', 'uint16', 'uint32', 'uint64'],
]
const devices = [
  'cpu',
  'cpu',
  'cpu',
  'meta',
  'cuda:0',
  'cpu:3',
  'mps',
  'xla',
  'vulkan',
  'privateuseone',
]
const layouts = ['strided', 'sparse_coo', 'sparse_csr', 'sparse_csc', 'sparse_bsr', 'sparse_bsc']
const formats = ['contiguous_format', 'preserve_format', 'channels_last', 'channels_last_3d']
const words = [
  ...[
    'mean',
    'sum',
    'none',
    'linear',
    'floor',
    'trunc',
    'reflect',
    'constant',
    'nearest',
    'bilinear',
  ],
  ...['same', 'valid', 'amax', 'prod', 'tanh', 'lower', 'ij,jk->ik', 'ii', '->', 'i...->', 'a'],
  ...['reduced', 'complete', 'gesdd', 'L', 'U', 'N', 'default', 'orthogonal', ''],
]
const hugeInts = [
  ...[2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 40, -(2 ** 40), 2 ** 53 - 1, -(2 ** 53 - 1)],
  ...[2 ** 53, 1e15, 1e10, -1e10, (1n << 63n) - 1n, -(1n << 63n), 1n << 64n, 1n << 62n],
]
const oddNumbers = [NaN, Infinity, -Infinity, -0, 0.5, -1.5, 1e308, -1e308, 5e-324, 1e-30, 1e38]

export function dtype(random) {
  return random.pick(dtypes)
}

export function integer(random) {
  if (random.chance(0.06)) return random.pick(hugeInts)
  if (random.chance(0.02)) return random.pick([100, 1000, 65_536, 70_000])
  return random.pick([0, 1, 1, 1, 2, 2, 3, 4, 5, 8, -1, -1, -2, -3, -5])
}

export function real(random) {
  if (random.chance(0.15)) return random.pick(oddNumbers)
  return random.pick([0, 1, 0.1, 0.5, 2, -1, 1e-5, random.unit() * 10 - 5])
}

export function scalar(random) {
  const kind = random.int(0, 11)
  if (kind === 0) return random.chance(0.5)
  if (kind === 1) return { re: real(random), im: real(random) }
  if (kind === 2) return BigInt(random.int(-9, 9))
  if (kind === 3) return torch.scalar(random.int(-3, 3), random.pick(['float64', 'int64']))
  return kind < 7 ? real(random) : integer(random)
}

/** A plausible constant for a schema type without `?`; undefined where JavaScript has none. */
export function constant(random, type) {
  if (type.endsWith('[]')) {
    const element = type.slice(0, -2)
    if (/Int|int/.test(element) && random.chance(0.15)) return integer(random)
    const longest = random.chance(0.02) ? 40 : 5
    return random.list(0, longest, () => constant(random, element))
  }
  switch (type) {
    case 'int':
    case 'SymInt':
      return integer(random)
    case 'float':
      return real(random)
    case 'bool':
      return random.chance(0.5)
    case 'Scalar':
      return scalar(random)
    case 'ScalarType':
      return dtype(random)
    case 'Device':
      return random.pick(devices)
    case 'Layout':
      return random.pick(layouts)
    case 'MemoryFormat':
      return random.pick(formats)
    case 'str':
      return random.chance(0.1) ? 'x'.repeat(random.int(0, 300)) : random.pick(words)
    default:
      return undefined
  }
}

/** An array, or a view of one, that is not what it seems. */
function oddArray(random, tensor) {
  const values = random.list(0, 4, () => (random.chance(0.5) ? tensor() : integer(random)))
  const throwing = { get: () => thrown() }
  return random.pick([
    () => values,
    () => new Proxy(values, {}),
    () => new Proxy(values, throwing),
    () => Object.defineProperty(values, 0, { get: thrown, configurable: true }),
    // Calls the library again while it reads its arguments.
    () =>
      Object.defineProperty(values, 0, {
        get: () => torch.add(torch.ones([2, 3]), torch.ones([2, 3])) && (tensor() ?? 1),
        configurable: true,
      }),
    // Another length at each look.
    () => {
      let looks = 0
      return new Proxy(values, {
        get: (target, key) => (key === 'length' ? looks++ % 3 : Reflect.get(target, key)),
      })
    },
    () => new Array(random.pick([3, 2 ** 20, 2 ** 32 - 1])),
    () => new Array(random.pick([1000, 70_000])).fill(integer(random)),
    () => new Array(random.pick([50, 3000])).fill(tensor()),
    () => [values, [values, [values]]],
    () => Object.assign(values, { extra: 1 }),
    () => Object.assign(new Array(3), { 0: 1, 2: 2 }),
    () => new Float64Array(random.int(0, 5)),
    () => new BigInt64Array(random.int(0, 5)),
    () => new Uint8Array(new SharedArrayBuffer(8)),
    () => {
      const circular = []
      circular.push(circular)
      return circular
    },
  ])()
}

function thrown() {
  throw new HostileError('a getter threw on purpose')
}

/** Something that looks like a tensor or a number and is none. */
function impostor(random, tensor) {
  const real = tensor()
  return random.pick([
    () => new Proxy(real ?? {}, {}),
    () => new Proxy(real ?? {}, { get: thrown, getPrototypeOf: thrown }),
    () => Object.create(torch.Tensor.prototype),
    () =>
      Object.setPrototypeOf({ id: 7, signature: { id: 3, shape: [2] } }, torch.Tensor.prototype),
    () => Object.create(real ?? null),
    () => Object.defineProperty({ im: 1 }, 're', { get: thrown, enumerable: true }),
    () => ({ re: NaN, im: '2' }),
    () => ({ valueOf: thrown, toString: thrown, [Symbol.toPrimitive]: thrown }),
    () => Object.defineProperty(Object.create(null), 'then', { get: thrown }),
    () => Object.assign(torch.scalar(2, 'float64'), { value: random.pick([NaN, 'x', 2n, {}]) }),
    () => Object.create(torch.Generator.prototype),
    () => new Proxy(() => {}, { apply: thrown }),
    () => class extends torch.Tensor {},
    () => Promise.resolve(real),
  ])()
}

/** A value of any kind, whatever the argument wants. `tensor()` gives a tensor of the call at hand. */
export function odd(random, tensor) {
  return random.pick([
    () => undefined,
    () => null,
    () => random.pick(oddNumbers),
    () => random.pick(hugeInts),
    () => random.chance(0.5),
    () =>
      random.pick([
        '',
        'cpu',
        'float32',
        '__proto__',
        'constructor',
        'x'.repeat(1e5),
        '\0',
        '\ud800',
      ]),
    () => Symbol('odd'),
    () => tensor,
    () => ({}),
    () => new Map([[1, 2]]),
    () => new Date(NaN),
    () => /x/,
    () => new ArrayBuffer(8),
    () => oddArray(random, tensor),
    () => oddArray(random, tensor),
    () => impostor(random, tensor),
    () => impostor(random, tensor),
    () => integer(random),
    () => tensor(),
  ])()
}

function showObject(value, depth) {
  if (depth > 0 || Object.getPrototypeOf(value) !== Object.prototype)
    return Object.prototype.toString.call(value)
  const entries = Object.entries(Object.getOwnPropertyDescriptors(value))
  return `{ ${entries.map(([name, own]) => `${name}: ${own.get ? '?' : show(own.value, 1)}`).join(', ')} }`
}

/** `nested `, `layout 3 `, ...: what makes a tensor another than a plain one. */
function traitsOf(bits) {
  const names = Object.keys(traits).filter((name) => bits & traits[name])
  const layout = bits & 0xff
  if (layout !== 0) names.unshift(`layout ${layout}`)
  return names.map((name) => `${name} `).join('')
}

/** How a value looks in a report. Never calls into it. */
export function show(value, depth = 0) {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 60))
  if (typeof value !== 'object' || value === null) return String(value).slice(0, 40)
  try {
    if (value instanceof torch.Tensor) {
      const { dtype: type, shape, strides, device } = value.signature
      const laidOut = strides.join() === contiguousStrides(shape).join() ? '' : `/${strides.join()}`
      const kind = traitsOf(value.signature.traits)
      return `${kind}${type}[${shape.join()}]${laidOut}${device === 'cpu' ? '' : `@${device}`}`
    }
    if (!Array.isArray(value)) return showObject(value, depth)
    if (depth > 2) return '[...]'
    const shown = []
    for (let i = 0; i < Math.min(value.length, 8); i++) {
      const own = Object.getOwnPropertyDescriptor(value, i)
      shown.push(own === undefined || own.get ? '?' : show(own.value, depth + 1))
    }
    return `[${shown.join(', ')}${value.length > 8 ? `, and ${value.length - 8} more` : ''}]`
  } catch {
    return '<unshowable>'
  }
}
