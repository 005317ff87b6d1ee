/**
 * Tensors as text, as PyTorch prints them: the layout and the choice between fixed and scientific notation
 * are those of torch/_tensor_str.py. Values are read, so the text is a promise.
 */
import { call } from './call.js'
import { noGrad } from './context.js'
import { isComplex } from './dtype.js'
import { isComplexNumber } from './scalar.js'
import { scopeAsync } from './scope.js'
import { type Element, type Nested, Tensor } from './tensor.js'

/** As `torch.set_printoptions`. */
export interface PrintOptions {
  /** Digits after the point; default 4. */
  precision?: number
  /** Tensors of more elements are abridged; default 1000. */
  threshold?: number
  /** Elements shown at each end of an abridged dimension; default 3. */
  edgeItems?: number
  /** Characters of a line; default 80. */
  lineWidth?: number
  /** Scientific notation always or never; default by the values. */
  sciMode?: boolean | null
}

declare module './tensor.js' {
  interface Tensor {
    /** The values as PyTorch's `repr` prints them: `tensor([[1., 2.]])`. Only what is shown is read. */
    repr(options?: PrintOptions): Promise<string>
  }
}

type Settings = Required<PrintOptions>

/** How one column of numbers is written: all elements get the same width. */
interface Formatter {
  readonly width: number
  format(value: Element): string
}

async function repr(tensor: Tensor, options: PrintOptions): Promise<string> {
  const settings: Settings = {
    precision: 4,
    threshold: 1000,
    edgeItems: 3,
    lineWidth: 80,
    sciMode: null,
    ...options,
  }
  for (const [name, least, most] of [
    ['precision', 0, 40],
    ['edgeItems', 1, 1000],
    ['lineWidth', 1, 10_000],
  ] as const) {
    const value = settings[name]
    if (!(Number.isInteger(value) && value >= least && value <= most)) {
      throw new RangeError(`${name} is a whole number from ${least} to ${most}, not ${value}.`)
    }
  }
  const { shape, dtype, device, requiresGrad } = tensor
  const suffixes: string[] = []
  if (device !== 'cpu') suffixes.push(`device='${device}'`)
  const empty = tensor.numel === 0
  if (empty && shape.length !== 1) suffixes.push(`size=(${shape.join(', ')})`)
  const implied = empty ? ['float32'] : ['float32', 'complex64', 'int64', 'bool']
  if (!implied.includes(dtype)) suffixes.push(`dtype=torch.${dtype}`)
  const node = await tensor.gradFn
  if (node) suffixes.push(`grad_fn=<${node.name}>`)
  else if (requiresGrad) suffixes.push('requires_grad=True')
  const indent = 'tensor('.length
  const values = empty ? '[]' : await contents(tensor, indent, settings)
  return withSuffixes(`tensor(${values}`, suffixes, indent, settings)
}

async function contents(tensor: Tensor, indent: number, settings: Settings): Promise<string> {
  const { edgeItems, threshold } = settings
  const abridged = tensor.shape.map((size) => tensor.numel > threshold && size > 2 * edgeItems)
  const shown = await noGrad(() => scopeAsync(() => corners(tensor, abridged, edgeItems).tolist()))
  const all = flatten(shown)
  const floating = tensor.dtype.startsWith('float') || tensor.dtype === 'bfloat16'
  const write = isComplex(tensor.dtype)
    ? complexWriter(all, settings)
    : writer(all, floating, settings)
  return layOut(shown, { indent, abridged, write, settings })
}

function flatten(value: Nested): Element[] {
  return Array.isArray(value) ? value.flatMap(flatten) : [value]
}

/** The first and last elements of each abridged dimension. */
function corners(tensor: Tensor, abridged: readonly boolean[], edge: number): Tensor {
  return abridged.reduce((part, cut, dim) => {
    if (!cut) return part
    const size = part.shape[dim] as number
    const ends = [0, size - edge].map((from) => call('aten::narrow', [part, dim, from, edge]))
    return call('aten::cat', [ends, dim]) as Tensor
  }, tensor)
}

function writer(values: Element[], floating: boolean, settings: Settings): Formatter {
  return floating ? floatFormatter(values as number[], settings) : plainFormatter(values)
}

function plainFormatter(values: Element[]): Formatter {
  const text = (value: Element) =>
    typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value)
  const width = Math.max(1, ...values.map((value) => text(value).length))
  return { width, format: (value) => text(value).padStart(width) }
}

function floatFormatter(values: number[], { precision, sciMode }: Settings): Formatter {
  const finite = values.filter((value) => Number.isFinite(value) && value !== 0)
  const sizes = finite.map(Math.abs)
  const least = sizes.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  const most = sizes.reduce((a, b) => Math.max(a, b), 0)
  const whole = finite.every(Number.isInteger)
  const byValues = finite.length > 0 && (most / least > 1000 || most > 1e8 || least < 1e-4)
  const scientific = finite.length > 0 && (sciMode ?? byValues)
  const text = (value: number) => {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
    if (scientific) return exponential(value, precision)
    return whole ? `${fixed(value, 0)}.` : fixed(value, precision)
  }
  const width = finite.reduce((most, value) => Math.max(most, text(value).length), 1)
  return { width, format: (value) => text(value as number).padStart(width) }
}

function complexWriter(values: Element[], settings: Settings): Formatter {
  const numbers = values.filter(isComplexNumber)
  const real = floatFormatter(
    numbers.map(({ re }) => re),
    settings,
  )
  const imaginary = floatFormatter(
    numbers.map(({ im }) => im),
    settings,
  )
  const format = (value: Element) => {
    if (!isComplexNumber(value)) throw new TypeError('a complex tensor gave a real value')
    const second = `${imaginary.format(value.im)}j`.trimStart()
    return `${real.format(value.re)}${/^[+-]/.test(second) ? '' : '+'}${second}`
  }
  return { width: real.width + imaginary.width + 1, format }
}

interface Layout {
  readonly indent: number
  /** Whether each dimension is shown by its ends alone. */
  readonly abridged: readonly boolean[]
  readonly write: Formatter
  readonly settings: Settings
}

function layOut(value: Nested, layout: Layout): string {
  const { indent, abridged, write, settings } = layout
  if (!Array.isArray(value)) return write.format(value)
  const [cut, ...inner] = abridged
  const half = settings.edgeItems
  if (inner.length > 0) {
    const rows = value.map((row) => layOut(row, { ...layout, indent: indent + 1, abridged: inner }))
    if (cut) rows.splice(half, 0, '...')
    return `[${rows.join(`,${'\n'.repeat(inner.length)}${' '.repeat(indent + 1)}`)}]`
  }
  const items = value.map((element) => write.format(element as Element))
  if (cut) items.splice(half, 0, ' ...')
  const perLine = Math.max(1, Math.floor((settings.lineWidth - indent) / (write.width + 2)))
  const lines: string[] = []
  for (let i = 0; i < items.length; i += perLine) lines.push(items.slice(i, i + perLine).join(', '))
  return `[${lines.join(`,\n${' '.repeat(indent + 1)}`)}]`
}

function withSuffixes(
  text: string,
  suffixes: readonly string[],
  indent: number,
  { lineWidth }: Settings,
): string {
  let all = text
  let last = text.length - text.lastIndexOf('\n') + 1
  for (const suffix of suffixes) {
    if (last + suffix.length + 2 > lineWidth) {
      all += `,\n${' '.repeat(indent)}${suffix}`
      last = indent + suffix.length
    } else {
      all += `, ${suffix}`
      last += suffix.length + 2
    }
  }
  return `${all})`
}

/** As Python's `f'{value:.{digits}f}'`. */
function fixed(value: number, digits: number): string {
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const size = Math.abs(value)
  // Beyond 1e21 toFixed gives exponents; such a number is whole.
  const text = size < 1e21 ? size.toFixed(100) : `${BigInt(size)}.${'0'.repeat(digits)}`
  return sign + halfToEven(text, digits)
}

/** As Python's `f'{value:.{digits}e}'`. */
function exponential(value: number, digits: number): string {
  const [mantissa = '', exponent = ''] = value.toExponential(100).split('e')
  const sign = mantissa.startsWith('-') ? '-' : ''
  let rounded = halfToEven(mantissa.replace('-', ''), digits)
  let power = Number(exponent)
  if (rounded.startsWith('10')) {
    rounded = halfToEven('1.0'.padEnd(digits + 2, '0'), digits)
    power += 1
  }
  const text = String(Math.abs(power)).padStart(2, '0')
  return `${sign}${rounded}e${power < 0 ? '-' : '+'}${text}`
}

/** A decimal text cut to `digits` after the point; JavaScript's own rounding would take ties away from zero. */
function halfToEven(text: string, digits: number): string {
  const [whole = '0', fraction = ''] = text.split('.')
  const kept = BigInt(whole + fraction.slice(0, digits))
  const rest = fraction.slice(digits)
  const tie = /^50*$/.test(rest)
  const up = tie ? kept % 2n === 1n : rest >= '5'
  const rounded = String(up ? kept + 1n : kept).padStart(digits + 1, '0')
  const point = rounded.length - digits
  return digits === 0 ? rounded : `${rounded.slice(0, point)}.${rounded.slice(point)}`
}

Tensor.prototype.repr = function (options = {}) {
  return repr(this, options)
}
