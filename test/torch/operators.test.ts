/** The generated functions: every bound overload exists, and a call finds the overload that PyTorch's parser finds. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as torch from 'landmark-diffusion/torch'
import { afterEach, describe, expect, test } from 'vitest'

afterEach(() => torch.synchronize().catch(() => {}))

const folder = join(import.meta.dirname, '../../lib/torch/generated')
const sources = readdirSync(folder)
  .filter((name) => name !== 'index.ts')
  .map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))

/** Which operators there are differs from release to release. */
const generatedFrom = /schemas of libtorch ([\d.]+):/.exec(sources[0]?.text ?? '')?.[1]
const here = torch.versions().libtorch
const others = here.startsWith(`${generatedFrom}.`)
  ? null
  : `libtorch is ${here}, and they were generated from ${generatedFrom}`
const because = others === null ? '' : ` (skipped: ${others})`

/** What the generated files bind: the JavaScript name, with its namespace, and the schemas. */
const bound = sources.flatMap(({ name, text }) => {
  const namespace = /^(fft|linalg|special)\.ts$/.exec(name)?.[1]
  const found = text.matchAll(
    /const (\w+): \{\n[^}]*?(?:\{[^}]*\}[^}]*?)*\n\} = bind(?:Factory)?\('(\w+)', '([^']+)'\)/g,
  )
  return Array.from(found, ([, local = '', base, overloads = '']) => ({
    namespace,
    name: local === 'var_' ? 'var' : local,
    schemas: overloads
      .split(/[ >]/)
      .map((overload) => (overload === '.' ? `aten::${base}` : `aten::${base}.${overload}`)),
  }))
})

describe('the generated functions', () => {
  test.skipIf(others)(`bind overloads that libtorch has, each once${because}`, () => {
    const known = new Set(torch.ops())
    const schemas = bound.flatMap(({ schemas }) => schemas)
    expect(schemas.length).toBeGreaterThan(1800)
    expect(schemas.filter((schema) => !known.has(schema))).toEqual([])
    expect(new Set(schemas).size).toBe(schemas.length)
  })

  test('are exported under their names', () => {
    const rooms: Record<string, object> = {
      torch,
      fft: torch.fft,
      linalg: torch.linalg,
      special: torch.special,
    }
    const missing = bound.filter(({ namespace = 'torch', name }) => {
      const entries = new Map(Object.entries(rooms[namespace] as object))
      return typeof entries.get(name) !== 'function'
    })
    expect(missing).toEqual([])
    expect(bound.length).toBeGreaterThan(950)
  })

  const title = 'leave no public operator out, but for internals and what is written by hand'
  test.skipIf(others)(`${title}${because}`, () => {
    const names = new Set(bound.flatMap(({ schemas }) => schemas.map((name) => name.split('.')[0])))
    const left = torch.ops().map((name) => name.split('.')[0] as string)
    const absent = left.filter(
      (name) => /^aten::[a-zA-Z]/.test(name) && !/backward/.test(name) && !names.has(name),
    )
    expect([...new Set(absent)].sort()).toEqual([
      'aten::convolution_overrideable',
      'aten::data',
      'aten::dim',
      'aten::fused_moving_avg_obs_fake_quant',
      'aten::is_complex',
      'aten::is_contiguous',
      'aten::is_floating_point',
      'aten::is_leaf',
      'aten::item',
      'aten::lift',
      'aten::lift_fresh',
      'aten::lift_fresh_copy',
      'aten::linalg__powsum',
      'aten::mH',
      'aten::mT',
      'aten::matrix_H',
      'aten::numel',
      'aten::numpy_T',
      'aten::record_stream',
      'aten::retain_grad',
      'aten::retains_grad',
      'aten::set_data',
      'aten::size',
      'aten::stride',
      'aten::sym_constrain_range',
      'aten::sym_constrain_range_for_size',
      'aten::sym_is_contiguous',
      'aten::sym_numel',
      'aten::sym_size',
      'aten::sym_storage_offset',
      'aten::sym_stride',
      'aten::to',
    ])
  })

  test('are small enough to read in an editor', () => {
    expect(Math.max(...sources.map(({ text }) => text.length))).toBeLessThan(150_000)
  })
})

const x = torch.arange(1, 7).to('float32').view([2, 3])
const i = torch.arange(6).view([2, 3])
const c = x.gt(2)
const t = torch.tensor

type Shown = string | boolean | Shown[]

/** `float32 [2, 3] 1 2 3 4 5 6`, values to four digits. */
async function show(value: unknown): Promise<Shown> {
  if (Array.isArray(value)) return Promise.all(value.map(show))
  if (!(value instanceof torch.Tensor)) return value as Shown
  const data = (await value.reshape([-1]).to('float64').data()) as Float64Array
  const values = Array.from(data, (number) => Number(Number(number.toFixed(4)).toPrecision(6)))
  return `${value.dtype} [${value.shape.join(', ')}] ${values.join(' ')}`
}

// The expected texts are what PyTorch 2.13 gives for the same call.
describe('overloads are resolved as by PyTorch', () => {
  test.each<[string, () => unknown, Shown]>([
    ['x.add(1)', () => x.add(1), 'float32 [2, 3] 2 3 4 5 6 7'],
    ['x.add(x)', () => x.add(x), 'float32 [2, 3] 2 4 6 8 10 12'],
    [
      'torch.add(x, x, { alpha: 2 })',
      () => torch.add(x, x, { alpha: 2 }),
      'float32 [2, 3] 3 6 9 12 15 18',
    ],
    ['i.add(1.5)', () => i.add(1.5), 'float32 [2, 3] 1.5 2.5 3.5 4.5 5.5 6.5'],
    ['i.add(x)', () => i.add(x), 'float32 [2, 3] 1 3 5 7 9 11'],
    ['x.sum()', () => x.sum(), 'float32 [] 21'],
    ['x.sum(1)', () => x.sum(1), 'float32 [2] 6 15'],
    ['x.sum([0, 1])', () => x.sum([0, 1]), 'float32 [] 21'],
    [
      'x.sum({ dim: 0, keepdim: true })',
      () => x.sum({ dim: 0, keepdim: true }),
      'float32 [1, 3] 5 7 9',
    ],
    ["i.sum({ dtype: 'float64' })", () => i.sum({ dtype: 'float64' }), 'float64 [] 15'],
    ['x.sum(-1, true)', () => x.sum(-1, true), 'float32 [2, 1] 6 15'],
    ['x.max()', () => x.max(), 'float32 [] 6'],
    ['x.max(1)', () => x.max(1), ['float32 [2] 3 6', 'int64 [2] 2 2']],
    ['x.max(x.neg())', () => x.max(x.neg()), 'float32 [2, 3] 1 2 3 4 5 6'],
    [
      'x.max(0, { keepdim: true })',
      () => x.max(0, { keepdim: true }),
      ['float32 [1, 3] 4 5 6', 'int64 [1, 3] 1 1 1'],
    ],
    ['x.pow(2)', () => x.pow(2), 'float32 [2, 3] 1 4 9 16 25 36'],
    ['x.pow(x)', () => x.pow(x), 'float32 [2, 3] 1 4 27 256 3125 46656'],
    ['torch.pow(2, x)', () => torch.pow(2, x), 'float32 [2, 3] 2 4 8 16 32 64'],
    ['torch.where(c, x, 0)', () => torch.where(c, x, 0), 'float32 [2, 3] 0 0 3 4 5 6'],
    ['torch.where(c, 1, x)', () => torch.where(c, 1, x), 'float32 [2, 3] 1 2 1 1 1 1'],
    ['torch.where(c, 1, 0)', () => torch.where(c, 1, 0), 'int64 [2, 3] 0 0 1 1 1 1'],
    [
      'torch.where(c, x, x.neg())',
      () => torch.where(c, x, x.neg()),
      'float32 [2, 3] -1 -2 3 4 5 6',
    ],
    ['x.where(c, x.neg())', () => x.where(c, x.neg()), 'float32 [2, 3] -1 -2 3 4 5 6'],
    ['x.clamp(2, 4)', () => x.clamp(2, 4), 'float32 [2, 3] 2 2 3 4 4 4'],
    ['x.clamp({ min: 3 })', () => x.clamp({ min: 3 }), 'float32 [2, 3] 3 3 3 4 5 6'],
    ['x.clamp(null, 3)', () => x.clamp(null, 3), 'float32 [2, 3] 1 2 3 3 3 3'],
    ['x.clamp(x.sub(1), null)', () => x.clamp(x.sub(1), null), 'float32 [2, 3] 1 2 3 4 5 6'],
    ['x.norm()', () => x.norm(), 'float32 [] 9.5394'],
    ['x.norm(1)', () => x.norm(1), 'float32 [] 21'],
    ['x.norm(2, 1)', () => x.norm(2, 1), 'float32 [2] 3.7417 8.775'],
    [
      'x.norm(1, [0], { keepdim: true })',
      () => x.norm(1, [0], { keepdim: true }),
      'float32 [1, 3] 5 7 9',
    ],
    ['x.std()', () => x.std(), 'float32 [] 1.8708'],
    ['x.std(1)', () => x.std(1), 'float32 [2] 1 1'],
    ['x.std(false)', () => x.std(false), 'float32 [] 1.7078'],
    ['x.std(1, false)', () => x.std(1, false), 'float32 [2] 0.8165 0.8165'],
    ['x.std({ correction: 0 })', () => x.std({ correction: 0 }), 'float32 [] 1.7078'],
    [
      'x.var(1, { correction: 0, keepdim: true })',
      () => x.var(1, { correction: 0, keepdim: true }),
      'float32 [2, 1] 0.6667 0.6667',
    ],
    [
      'torch.var(x, [0, 1], { correction: 2 })',
      () => torch.var(x, [0, 1], { correction: 2 }),
      'float32 [] 4.375',
    ],
    ['x.split(2, 1)', () => x.split(2, 1), ['float32 [2, 2] 1 2 4 5', 'float32 [2, 1] 3 6']],
    [
      'x.split([1, 2], 1)',
      () => x.split([1, 2], 1),
      ['float32 [2, 1] 1 4', 'float32 [2, 2] 2 3 5 6'],
    ],
    ['x.index([t(1n), null])', () => x.index([t(1n), null]), 'float32 [3] 4 5 6'],
    ['x.mean()', () => x.mean(), 'float32 [] 3.5'],
    ['x.mean(0)', () => x.mean(0), 'float32 [3] 2.5 3.5 4.5'],
    ["i.mean({ dtype: 'float32' })", () => i.mean({ dtype: 'float32' }), 'float32 [] 2.5'],
    [
      "x.mean([1], { keepdim: true, dtype: 'float64' })",
      () => x.mean([1], { keepdim: true, dtype: 'float64' }),
      'float64 [2, 1] 2 5',
    ],
    ['c.all()', () => c.all(), 'bool [] 0'],
    ['c.all(1)', () => c.all(1), 'bool [2] 0 1'],
    ['c.any([0, 1])', () => c.any([0, 1]), 'bool [] 1'],
    ['x.div(2)', () => x.div(2), 'float32 [2, 3] 0.5 1 1.5 2 2.5 3'],
    ['i.div(2)', () => i.div(2), 'float32 [2, 3] 0 0.5 1 1.5 2 2.5'],
    [
      "x.div(2, { roundingMode: 'floor' })",
      () => x.div(2, { roundingMode: 'floor' }),
      'float32 [2, 3] 0 1 1 2 2 3',
    ],
    [
      "i.div(i.add(1), { roundingMode: 'trunc' })",
      () => i.div(i.add(1), { roundingMode: 'trunc' }),
      'int64 [2, 3] 0 0 0 0 0 0',
    ],
    ['x.squeeze()', () => x.squeeze(), 'float32 [2, 3] 1 2 3 4 5 6'],
    ['x.unsqueeze(0).squeeze(0)', () => x.unsqueeze(0).squeeze(0), 'float32 [2, 3] 1 2 3 4 5 6'],
    [
      'x.unsqueeze(0).squeeze([0, 1])',
      () => x.unsqueeze(0).squeeze([0, 1]),
      'float32 [2, 3] 1 2 3 4 5 6',
    ],
    ['x.quantile(0.5)', () => x.quantile(0.5), 'float32 [] 3.5'],
    [
      'x.quantile(t([0.25, 0.75]), 1)',
      () => x.quantile(t([0.25, 0.75]), 1),
      'float32 [2, 2] 1.5 4.5 2.5 5.5',
    ],
    [
      'x.repeatInterleave(2, 0)',
      () => x.repeatInterleave(2, 0),
      'float32 [4, 3] 1 2 3 1 2 3 4 5 6 4 5 6',
    ],
    ['x.round({ decimals: 1 })', () => x.round({ decimals: 1 }), 'float32 [2, 3] 1 2 3 4 5 6'],
    [
      'x.sort(1, true)',
      () => x.sort(1, true),
      ['float32 [2, 3] 3 2 1 6 5 4', 'int64 [2, 3] 2 1 0 2 1 0'],
    ],
    [
      'x.sort({ stable: true, descending: true })',
      () => x.sort({ stable: true, descending: true }),
      ['float32 [2, 3] 3 2 1 6 5 4', 'int64 [2, 3] 2 1 0 2 1 0'],
    ],
    [
      'x.tensorSplit(2, 1)',
      () => x.tensorSplit(2, 1),
      ['float32 [2, 2] 1 2 4 5', 'float32 [2, 1] 3 6'],
    ],
    [
      'x.tensorSplit([1], 1)',
      () => x.tensorSplit([1], 1),
      ['float32 [2, 1] 1 4', 'float32 [2, 2] 2 3 5 6'],
    ],
    ['x.maskedFill(c, 9)', () => x.maskedFill(c, 9), 'float32 [2, 3] 1 2 9 9 9 9'],
    [
      'x.maskedFill(c, t(9).reshape([]))',
      () => x.maskedFill(c, t(9).reshape([])),
      'float32 [2, 3] 1 2 9 9 9 9',
    ],
    [
      'x.scatter(1, t([[0n], [1n]]), 9)',
      () => x.scatter(1, t([[0n], [1n]]), 9),
      'float32 [2, 3] 9 2 3 4 9 6',
    ],
    [
      'x.scatter(1, t([[0n], [1n]]), x)',
      () => x.scatter(1, t([[0n], [1n]]), x),
      'float32 [2, 3] 1 2 3 4 4 6',
    ],
    ['torch.arange(3)', () => torch.arange(3), 'int64 [3] 0 1 2'],
    ['torch.arange(1, 4)', () => torch.arange(1, 4), 'int64 [3] 1 2 3'],
    ['torch.arange(1, 2, 0.5)', () => torch.arange(1, 2, 0.5), 'float32 [2] 1 1.5'],
    ['torch.linspace(0, 1, 3)', () => torch.linspace(0, 1, 3), 'float32 [3] 0 0.5 1'],
    ['torch.full([2], 7)', () => torch.full([2], 7), 'int64 [2] 7 7'],
    ['torch.eye(2)', () => torch.eye(2), 'float32 [2, 2] 1 0 0 1'],
    ['torch.eye(1, 2)', () => torch.eye(1, 2), 'float32 [1, 2] 1 0'],
    ['torch.linalg.norm(x)', () => torch.linalg.norm(x), 'float32 [] 9.5394'],
    ["torch.linalg.norm(x, 'nuc')", () => torch.linalg.norm(x, 'nuc'), 'float32 [] 10.2809'],
    ['torch.linalg.norm(x, 1, [1])', () => torch.linalg.norm(x, 1, [1]), 'float32 [2] 6 15'],
    ['torch.fft.fft(x, 2).abs()', () => torch.fft.fft(x, 2).abs(), 'float32 [2, 2] 3 1 9 1'],
    [
      'torch.special.xlogy(x, 2)',
      () => torch.special.xlogy(x, 2),
      'float32 [2, 3] 0.6931 1.3863 2.0794 2.7726 3.4657 4.1589',
    ],
    ['x.eq(2)', () => x.eq(2), 'bool [2, 3] 0 1 0 0 0 0'],
    ['i.remainder(4)', () => i.remainder(4), 'int64 [2, 3] 0 1 2 3 0 1'],
    [
      'torch.remainder(7, i.add(1))',
      () => torch.remainder(7, i.add(1)),
      'int64 [2, 3] 0 1 1 3 2 1',
    ],
    ['x.transpose(0, 1)', () => x.transpose(0, 1), 'float32 [3, 2] 1 4 2 5 3 6'],
    ['x.view([3, 2])', () => x.view([3, 2]), 'float32 [3, 2] 1 2 3 4 5 6'],
    [
      "x.view('int32')",
      () => x.view('int32'),
      'int32 [2, 3] 1065350000 1073740000 1077940000 1082130000 1084230000 1086320000',
    ],
    ['x.lerp(x.neg(), 0.5)', () => x.lerp(x.neg(), 0.5), 'float32 [2, 3] 0 0 0 0 0 0'],
    [
      'torch.bucketize(x, t([2.5, 4.5]))',
      () => torch.bucketize(x, t([2.5, 4.5])),
      'int64 [2, 3] 0 0 1 1 2 2',
    ],
    ['torch.cat([x, x], 1)', () => torch.cat([x, x], 1), 'float32 [2, 6] 1 2 3 1 2 3 4 5 6 4 5 6'],
    [
      "torch.meshgrid([t([1, 2]), t([3, 4])], { indexing: 'xy' })",
      () => torch.meshgrid([t([1, 2]), t([3, 4])], { indexing: 'xy' }),
      ['float32 [2, 2] 1 2 1 2', 'float32 [2, 2] 3 3 4 4'],
    ],
    ['torch.resultType(i, 1.5)', () => torch.resultType(i, 1.5), 'float32'],
    ["torch.canCast('float64', 'int32')", () => torch.canCast('float64', 'int32'), false],
    ['x.sum(1).max()', () => x.sum(1).max(), 'float32 [] 15'],
  ])('%s', async (_, run, expected) => {
    expect(await show(await run())).toEqual(expected)
  })

  test('random numbers in [0, to) and [from, to)', async () => {
    const low = await torch.empty([64]).random_(3).max().item()
    expect(low).toBeLessThan(3)
    const high = await torch.empty([64]).random_(5, 9).min().item()
    expect(high).toBeGreaterThanOrEqual(5)
  })

  test('arguments that fit nothing are told with what would fit', () => {
    expect(() => torch.add(x, 'y' as never)).toThrow(
      /add\(Tensor, string\) fits none of the overloads:\n {2}aten::add\.Tensor/,
    )
  })
})

describe('out', () => {
  test('a tensor that is given as out is the result', async () => {
    const out = torch.empty([0])
    expect(torch.add(x, x, { alpha: 2, out })).toBe(out)
    expect(await show(out)).toBe('float32 [2, 3] 3 6 9 12 15 18')
    expect(torch.pow(2, x, { out })).toBe(out)
    expect(await show(out)).toBe('float32 [2, 3] 2 4 8 16 32 64')
  })

  test('several results want several tensors', async () => {
    const values = torch.empty([0])
    const indices = torch.empty([0], { dtype: 'int64' })
    expect(torch.topk(x, 1, { out: [values, indices] })).toEqual([values, indices])
    expect(await show([values, indices])).toEqual(['float32 [2, 1] 3 6', 'int64 [2, 1] 2 2'])
    expect(() => torch.topk(x, 1, { out: values as never })).toThrow(/wants an array of 2 tensors/)
  })

  test('an operator without such a variant says so', () => {
    const reshape = torch.reshape as (...args: readonly unknown[]) => unknown
    expect(() => reshape(x, [6], { out: x })).toThrow(/no variant with 'out'/)
  })
})

describe('factories', () => {
  test('take requiresGrad among their options', () => {
    expect(torch.zeros([2], { requiresGrad: true }).requiresGrad).toBe(true)
    expect(torch.randnLike(x, { requiresGrad: true }).requiresGrad).toBe(true)
    expect(torch.zeros([2]).requiresGrad).toBe(false)
  })

  test('a generator gives the same numbers again', async () => {
    const draw = (seed: number) => torch.randn([4], { generator: new torch.Generator('cpu', seed) })
    expect(await draw(3).tolist()).toEqual(await draw(3).tolist())
    expect(await draw(3).tolist()).not.toEqual(await draw(4).tolist())
  })
})

describe('index', () => {
  const rows = torch.tensor([1n, 0n])

  test.each([
    ['integers', () => x.index([rows]), 'float32 [2, 3] 4 5 6 1 2 3'],
    ['null and integers', () => x.index([null, rows]), 'float32 [2, 2] 2 1 5 4'],
    ['integers in two places', () => x.index([rows, rows]), 'float32 [2] 5 1'],
    ['int32', () => x.index([rows.to('int32')]), 'float32 [2, 3] 4 5 6 1 2 3'],
  ])('by %s gives a tensor at once', async (_, run, expected) => {
    for (let repeat = 0; repeat < 2; repeat++) {
      const result = run()
      expect(result).toBeInstanceOf(torch.Tensor)
      expect(await show(result)).toBe(expected)
    }
  })

  test.each([
    ['bool', () => x.index([c]), 'float32 [4] 3 4 5 6'],
    ['uint8', () => x.index([c.to('uint8')]), 'float32 [4] 3 4 5 6'],
    ['bool beside integers', () => x.index([t([true, false]), t([2n])]), 'float32 [1] 3'],
    ['bool behind null', () => x.index([null, t([true, false, true])]), 'float32 [2, 2] 1 3 4 6'],
  ])('by a mask of %s gives a promise', async (_, run, expected) => {
    for (let repeat = 0; repeat < 2; repeat++) {
      const result = run()
      expect(result).toBeInstanceOf(Promise)
      expect(await show(await result)).toBe(expected)
    }
  })
})

describe('at', () => {
  const cube = torch.arange(24).view([2, 3, 4])

  // Expected: PyTorch's cube[...] with the same indices.
  test.each([
    ['a number', () => cube.at(1, 2, 3), 'int64 [] 23'],
    ['a number from the end', () => cube.at(-1, -1, -1), 'int64 [] 23'],
    ['a slice', () => cube.at(0, '1:3', 0), 'int64 [2] 4 8'],
    ['a slice with a step', () => cube.at(0, 0, '::2'), 'int64 [2] 0 2'],
    ['a slice from the end', () => cube.at(0, 0, '-3:-1'), 'int64 [2] 1 2'],
    ['a slice beyond the end', () => cube.at(0, 0, '2:9'), 'int64 [2] 2 3'],
    ['an ellipsis', () => cube.at('...', 1), 'int64 [2, 3] 1 5 9 13 17 21'],
    ['an ellipsis between', () => cube.at(1, '...', 0), 'int64 [3] 12 16 20'],
    ['null', () => cube.at(0, null, 0, '0:2'), 'int64 [1, 2] 0 1'],
    ['a tensor', () => cube.at(0, t([2n, 0n]), '0:2'), 'int64 [2, 2] 8 9 0 1'],
    ['two tensors', () => cube.at(t([0n, 1n]), '...', t([1n, 2n])), 'int64 [2, 3] 1 5 9 14 18 22'],
    ['nothing', () => cube.at(0, 0).at(), 'int64 [4] 0 1 2 3'],
  ])('takes %s', async (_, run, expected) => {
    expect(await show(run())).toBe(expected)
  })

  test('a part without tensors is a view: writing into it writes the whole', async () => {
    const base = torch.zeros([2, 2])
    base.at(0, '1:').fill_(5)
    expect(await show(base)).toBe('float32 [2, 2] 0 5 0 0')
  })

  test('leaves no tensors of its own behind', () => {
    const before = torch.memory().tensors
    cube.at(0, '1:3', null, 1).dispose()
    expect(torch.memory().tensors).toBe(before)
  })

  test.each([
    ['too many indices', () => cube.at(0, 0, 0, 0), /4 indices for a tensor of shape \[2, 3, 4\]/],
    ['two ellipses', () => cube.at('...', 0, '...'), /stands twice/],
    ['a text that is no slice', () => cube.at('1;3' as never), /'1;3' is no slice/],
    ['a mask', () => cube.at(cube.gt(3)), /maskedSelect/],
    ['an object', () => cube.at({} as never), /an index is a number/],
    ['a number out of range', () => cube.at(2), /out of range/],
  ])('refuses %s', (_, run, message) => {
    expect(run).toThrow(message)
  })
})

describe('conversions and properties', () => {
  test('short names change the dtype, and give the tensor itself where it has it', async () => {
    expect(x.half().dtype).toBe('float16')
    expect(x.long().dtype).toBe('int64')
    expect(x.bool().dtype).toBe('bool')
    expect(x.cdouble().dtype).toBe('complex128')
    expect(x.float()).toBe(x)
    expect(x.to(i).dtype).toBe('int64')
    expect(x.to({ dtype: 'float32', copy: true })).not.toBe(x)
    const image = torch.zeros([1, 2, 3, 4]).to({ memoryFormat: 'channels_last' })
    expect(image.stride()).toEqual([24, 1, 8, 2])
    expect(() => x.to(3 as never)).toThrow(/takes a dtype/)
  })

  test('size, stride and dim answer at once', () => {
    expect([x.dim(), x.size(0), x.size(-1), x.stride(0)]).toEqual([2, 2, 3, 3])
    expect(x.size()).toEqual([2, 3])
    expect(() => x.size(2)).toThrow(/dimension 2/)
    expect([x.isFloatingPoint(), i.isFloatingPoint(), x.cfloat().isComplex()]).toEqual([
      true,
      false,
      true,
    ])
  })

  test('isContiguous knows both orders', () => {
    const image = torch.zeros([2, 3, 4, 5])
    const last = image.contiguous({ memoryFormat: 'channels_last' })
    expect([
      image.isContiguous(),
      last.isContiguous(),
      image.transpose(0, 1).isContiguous(),
    ]).toEqual([true, false, false])
    expect(last.isContiguous({ memoryFormat: 'channels_last' })).toBe(true)
    expect(image.isContiguous('channels_last')).toBe(false)
    const volume = torch.zeros([2, 3, 4, 5, 6]).contiguous({ memoryFormat: 'channels_last_3d' })
    expect(volume.isContiguous('channels_last_3d')).toBe(true)
    expect(volume.isContiguous('channels_last')).toBe(false)
    expect(() => volume.isContiguous('nhwc' as 'channels_last')).toThrow(/no memory format/)
  })

  test('sizes in bytes are known, and to() takes a device and a dtype', () => {
    const half = x.to('cpu', 'float16')
    expect([half.dtype, half.elementSize(), half.nbytes, half.isCpu, half.isCuda]).toEqual([
      'float16',
      2,
      12,
      true,
      false,
    ])
  })

  test('real and imaginary parts are views', async () => {
    const z = torch.viewAsComplex(torch.tensor([1, 2, 3, 4]).reshape([2, 2]))
    expect(await show(z.real)).toBe('float32 [2] 1 3')
    z.imag.fill_(7)
    expect(await z.tolist()).toEqual([
      { re: 1, im: 7 },
      { re: 3, im: 7 },
    ])
  })

  test('transposes are properties', async () => {
    expect(await show(x.T)).toBe('float32 [3, 2] 1 4 2 5 3 6')
    expect(cubeShape('mT')).toEqual([2, 4, 3])
    expect(cubeShape('mH')).toEqual([2, 4, 3])
    expect(await show(torch.tensor([[1, 2]]).H)).toBe('float32 [2, 1] 1 2')
  })
})

function cubeShape(name: 'mT' | 'mH'): readonly number[] {
  return torch.zeros([2, 3, 4])[name].shape
}
