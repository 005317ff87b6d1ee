import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'

describe('making tensors and reading them', () => {
  test('the example of the README runs', async () => {
    using x = torch.randn([8, 3, 64, 64])
    const w = torch.randn([16, 3, 3, 3], { requiresGrad: true })
    const loss = torch.conv2d(x, w, null, { padding: 1 }).square().mean()
    loss.backward()
    expect(await loss.item()).toBeGreaterThan(0)
    expect(await w.grad?.data()).toHaveLength(432)
  })

  test.each([
    ['float32', new Float32Array([1.5, -2, 3e-8])],
    ['float64', new Float64Array([1.1, -2, 1e300])],
    ['int64', new BigInt64Array([1n, -(2n ** 63n), 2n ** 63n - 1n])],
    ['int32', new Int32Array([1, -2147483648, 3])],
    ['int16', new Int16Array([1, -32768, 3])],
    ['int8', new Int8Array([1, -128, 3])],
    ['uint8', new Uint8Array([1, 255, 3])],
    ['bool', new Uint8Array([1, 0, 1])],
    ['float16', new Uint16Array([0x3c00, 0xfc00, 0x0001])],
    ['bfloat16', new Uint16Array([0x3f80, 0xff80, 0x0001])],
  ] as const)('%s values come back as they went in', async (dtype, values) => {
    const x = torch.tensor(values, { dtype })
    expect(x.dtype).toBe(dtype)
    expect(await x.data()).toEqual(values)
  })

  test('half-precision values are shown as numbers', async () => {
    const values = [1, -0.5, 65504, 2 ** -24, Number.POSITIVE_INFINITY]
    expect(await torch.tensor(values).to('float16').tolist()).toEqual(values)
    expect(await torch.tensor([1, -0.5, 3.140625]).to('bfloat16').tolist()).toEqual([
      1, -0.5, 3.140625,
    ])
  })

  test('complex numbers are pairs', async () => {
    const x = torch.tensor(new Float32Array([1, 2, 3, -4]), { dtype: 'complex64', shape: [2] })
    expect(await x.mul({ re: 0, im: 1 }).tolist()).toEqual([
      { re: -2, im: 1 },
      { re: 4, im: 3 },
    ])
  })

  test('complex values nest as they are printed, beside plain numbers', async () => {
    const values = [
      [
        { re: 1, im: -2 },
        { re: 0.5, im: 0 },
      ],
    ]
    expect(torch.tensor(values).dtype).toBe('complex64')
    expect(await torch.tensor(values).tolist()).toEqual(values)
    const third = torch.tensor([1 / 3, { re: 0, im: 1 / 3 }], { dtype: 'complex128' })
    expect(await third.tolist()).toEqual([
      { re: 1 / 3, im: 0 },
      { re: 0, im: 1 / 3 },
    ])
    expect(() => torch.tensor([{ re: 1, im: 2 }], { dtype: 'float32' })).toThrow(/are no float32/)
  })

  test('numbers are not rounded on their way to a dtype that holds them', async () => {
    expect(await torch.tensor([2 ** 24 + 1], { dtype: 'int32' }).tolist()).toEqual([2 ** 24 + 1])
    expect(await torch.tensor([1 / 3], { dtype: 'complex128' }).tolist()).toEqual([
      { re: 1 / 3, im: 0 },
    ])
  })

  test('bytes without a shape are one dimension', async () => {
    const { buffer } = new Float32Array([1, 2, 3])
    expect(await torch.fromBuffer(buffer, { dtype: 'float32' }).tolist()).toEqual([1, 2, 3])
    expect(() => torch.fromBuffer(new Uint8Array(7), { dtype: 'float32' })).toThrow(/7/)
  })

  test('numbers in the place of a list are answered with the list', () => {
    const x = torch.ones([6])
    for (const name of ['view', 'reshape'] as const) {
      const spread: (...sizes: never[]) => torch.Tensor = x[name]
      expect(() => spread.apply(x, [2, 3] as never[])).toThrow(/a list is an array: \[2, 3\]/)
    }
  })

  test('nested arrays nest back, also when a dimension is empty', async () => {
    const values = [
      [
        [1, 2],
        [3, 4],
      ],
      [
        [5, 6],
        [7, 8],
      ],
    ]
    expect(await torch.tensor(values).tolist()).toEqual(values)
    expect(await torch.zeros([2, 0]).tolist()).toEqual([[], []])
  })

  test('a view that is not contiguous is read in its own order', async () => {
    const x = torch.tensor([
      [1, 2, 3],
      [4, 5, 6],
    ])
    expect(await x.transpose(0, 1).tolist()).toEqual([
      [1, 4],
      [2, 5],
      [3, 6],
    ])
  })

  test('ragged arrays, wrong shapes and wrong bytes are refused', () => {
    for (const run of [
      () => torch.tensor([[1, 2], [3]]),
      () => torch.tensor([1, [2]] as never),
      () => torch.tensor(new Float32Array(4), { shape: [3] }),
      () => torch.tensor(new Float32Array(4), { shape: [-1, -4] }),
      () => torch.fromBuffer(new Uint8Array(7), { dtype: 'float32', shape: [2] }),
      () => torch.tensor({} as never),
    ]) {
      expect(run).toThrow(expect.objectContaining({ code: 'ERR_SCHEMA' }))
    }
  })

  test('item() of several elements is refused', async () => {
    await expect(torch.ones([2]).item()).rejects.toThrow(/one element.*\[2\]/)
  })

  test('prints its kind', () => {
    expect(String(torch.ones([2, 3], { requiresGrad: true }))).toBe(
      'Tensor(float32[2, 3], cpu, requiresGrad)',
    )
  })
})

describe('random numbers', () => {
  // Made with PyTorch 2.13: torch.manual_seed(0); torch.randn(3); torch.rand(2); torch.randint(0, 10, (3,))
  test('a seed gives the numbers of PyTorch', async () => {
    torch.manualSeed(0)
    const normal = (await torch.randn([3]).tolist()) as number[]
    for (const [i, value] of [
      1.5409960746765137, -0.293428897857666, -2.1787893772125244,
    ].entries()) {
      expect(normal[i]).toBe(value)
    }
  })

  test('a generator has a stream of its own, which its state continues', async () => {
    using generator = new torch.Generator('cpu', 7)
    const first = await torch.randn([4], { generator }).tolist()
    const state = await generator.getState()
    const second = await torch.randn([4], { generator }).tolist()
    generator.setState(state)
    expect(await torch.randn([4], { generator }).tolist()).toEqual(second)
    expect(await torch.randn([4], { generator: new torch.Generator('cpu', 7) }).tolist()).toEqual(
      first,
    )
  })

  test('the default state can be saved and put back', async () => {
    torch.manualSeed(3)
    const state = await torch.getRngState()
    const values = await torch.rand([5]).tolist()
    torch.setRngState(state)
    expect(await torch.rand([5]).tolist()).toEqual(values)
  })

  test('a disposed generator and a bad seed are refused', () => {
    const generator = new torch.Generator()
    generator.dispose()
    expect(() => torch.randn([1], { generator })).toThrow(/disposed/)
    expect(() => torch.manualSeed(0.5)).toThrow(/whole number/)
  })

  test('the state of no device is refused', () => {
    const refused = expect.objectContaining({ code: 'ERR_SCHEMA' })
    expect(() => torch.getRngState('constructor')).toThrow(refused)
    expect(() => torch.setRngState(new Uint8Array(8), 'cpu:x')).toThrow(refused)
  })
})

test('a tensor that no memory can hold is refused in words', async () => {
  expect(() => torch.empty([2 ** 24, 2 ** 24])).toThrow(
    expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY' }),
  )
  expect(await torch.ones([1]).item()).toBe(1)
})
