import * as torch from 'landmark-diffusion/torch'
import { afterEach, describe, expect, test } from 'vitest'

afterEach(() => torch.synchronize().catch(() => {}))

describe('torch.call', () => {
  test('runs any aten operator by its schema name, with keyword arguments', async () => {
    const result = torch.call('aten::add.Tensor', [torch.ones([2]), torch.ones([2])], { alpha: 2 })
    expect(await (result as torch.Tensor).tolist()).toEqual([3, 3])
  })

  test('takes names in snake case and camel case', () => {
    const x = torch.ones([2, 3, 4, 4])
    for (const name of ['memory_format', 'memoryFormat']) {
      const y = torch.call('aten::contiguous', [x], { [name]: 'channels_last' }) as torch.Tensor
      expect(y.stride()).toEqual([48, 1, 12, 3])
    }
  })

  test('returns numbers, booleans and lists as JavaScript values', () => {
    const x = torch.ones([2, 3])
    expect(torch.call('aten::size.int', [x, 1])).toBe(3)
    expect(torch.call('aten::is_floating_point', [x])).toBe(true)
    const parts = torch.call('aten::split.Tensor', [x, 2, 1]) as torch.Tensor[]
    expect(parts.map((part) => part.shape)).toEqual([
      [2, 2],
      [2, 1],
    ])
  })

  test('gives a promise where the shape depends on data', async () => {
    const found = torch.nonzero(torch.tensor([0, 1, 2, 0]))
    expect(found).toBeInstanceOf(Promise)
    expect(await (await found).tolist()).toEqual([[1n], [2n]])
  })

  test.each([
    ['where', (x: torch.Tensor) => torch.where(x.gt(1))],
    [
      'repeat_interleave',
      (x: torch.Tensor) => torch.call('aten::repeat_interleave.self_Tensor', [x, x]),
    ],
  ])('%s of other values has another shape', async (_, run) => {
    const shapes = []
    for (const values of [
      [0n, 1n, 2n],
      [2n, 2n, 2n],
    ]) {
      const [first] = [await run(torch.tensor(values))].flat() as torch.Tensor[]
      shapes.push(first?.shape[0])
    }
    expect(shapes[0]).toBeLessThan(shapes[1] as number)
  })

  test('an in-place operator gives the argument itself', async () => {
    const x = torch.zeros([2])
    expect(x.add_(5)).toBe(x)
    expect(await x.tolist()).toEqual([5, 5])
  })

  test('an out= argument is the result, with its new shape', async () => {
    const out = torch.empty([0])
    const result = torch.call('aten::add.out', [torch.ones([2, 2]), torch.ones([2, 2])], { out })
    expect(result).toBe(out)
    expect(out.shape).toEqual([2, 2])
    expect(await out.tolist()).toEqual([
      [2, 2],
      [2, 2],
    ])
  })

  test('names the nearest operators and arguments', () => {
    expect(() => torch.call('aten::addd')).toThrow(/no operator 'aten::addd'.*nearest/)
    expect(() => torch.call('aten::add')).toThrow(/aten::add\.Tensor/)
    expect(() =>
      torch.call('aten::add.Tensor', [torch.ones([1]), torch.ones([1])], { alfa: 1 }),
    ).toThrow(/no argument 'alfa'; did you mean 'alpha'/)
  })

  test.each([
    ['null for a plain Tensor', () => torch.call('aten::relu', [null])],
    ['a plain object for a Tensor', () => torch.call('aten::relu', [{ id: 1 }])],
    ['text for an integer', () => torch.call('aten::select.int', [torch.ones([2]), 'a', 0])],
    [
      'a fraction for an integer',
      () => torch.call('aten::sum.dim_IntList', [torch.ones([2]), [0.5]]),
    ],
    ['an unknown dtype', () => torch.zeros([2], { dtype: 'float31' as torch.DType })],
    ['an unknown memory format', () => torch.ones([2]).clone({ memoryFormat: 'nhwc' as never })],
    ['too few arguments', () => torch.call('aten::mm', [torch.ones([2, 2])])],
    ['too many arguments', () => torch.call('aten::relu', [torch.ones([2]), 1])],
    ['no array', () => torch.call('aten::relu', 3 as never)],
  ])('refuses %s with ERR_SCHEMA', (_, run) => {
    expect(run).toThrow(expect.objectContaining({ code: 'ERR_SCHEMA' }))
  })

  test.each([
    [
      'batch norm without statistics outside of training',
      'aten::_native_batch_norm_legit.no_stats',
      () => [torch.ones([1, 2, 3]), null, null, false, 0.1, 1e-5],
    ],
    [
      'an FFT along one dimension twice',
      'aten::_fft_r2c',
      () => [torch.ones([4, 4]), [1, 1], 0, true],
    ],
    [
      'gates that are no multiple of four',
      'aten::_thnn_differentiable_lstm_cell_backward',
      () => [
        torch.ones([1, 1]),
        null,
        torch.ones([1, 3]),
        torch.ones([1, 3]),
        null,
        null,
        torch.ones([1, 1]),
        torch.ones([1, 1]),
      ],
    ],
    ['lists of different lengths', 'aten::_foreach_copy', () => [[], [torch.ones([2])]]],
  ])('refuses %s, which would crash libtorch, with ERR_OP', (_, name, args) => {
    expect(() => torch.call(name, args())).toThrow(expect.objectContaining({ code: 'ERR_OP' }))
  })

  test('a guard looks at each call, not only at the first of a kind', async () => {
    const expand = (crow: number[]) =>
      torch.call('aten::_convert_indices_from_csr_to_coo', [
        torch.tensor(crow, { dtype: 'int64' }),
        torch.tensor([0, 1], { dtype: 'int64' }),
      ]) as torch.Tensor
    expect(await expand([0, 1, 2]).tolist()).toEqual([
      [0n, 1n],
      [0n, 1n],
    ])
    await expect(expand([0, 2 ** 40, 2]).data()).rejects.toMatchObject({ code: 'ERR_OP' })
  })

  test("throws libtorch's own message at the line of the first call with wrong shapes", () => {
    expect(() => torch.conv2d(torch.ones([1, 3, 8, 8]), torch.ones([4, 2, 3, 3]))).toThrow(
      /aten::conv2d\(Float\[1, 3, 8, 8\].*expected input\[1, 3, 8, 8\] to have 2 channels/,
    )
  })

  test('a failure of a known shape poisons the results until an await tells of it', async () => {
    const factorize = (x: torch.Tensor) => torch.call('aten::linalg_cholesky', [x]) as torch.Tensor
    factorize(torch.eye(2)).add(1)
    const later = factorize(torch.zeros([2, 2])).add(1)
    await expect(later.data()).rejects.toMatchObject({
      code: 'ERR_OP',
      op: 'aten::linalg_cholesky',
    })
  })

  test('synchronize() rejects with a failure that nobody has seen', async () => {
    torch.call('aten::linalg_cholesky', [torch.eye(3)])
    torch.call('aten::linalg_cholesky', [torch.zeros([3, 3])])
    await expect(torch.synchronize()).rejects.toMatchObject({ code: 'ERR_OP' })
    await torch.synchronize()
  })
})

describe('shapes known at once', () => {
  test('the second call of a signature is queued, not waited for', async () => {
    const x = torch.randn([300, 300])
    const slow = () => {
      let y = x
      for (let i = 0; i < 50; i++) y = y.matmul(x)
      return y
    }
    await slow().sum().item()
    const before = torch.memory().queued
    const y = slow()
    expect(torch.memory().queued).toBeGreaterThan(before)
    expect(y.shape).toEqual([300, 300])
    await torch.synchronize()
  })

  test.each([
    ['broadcasting', () => torch.ones([3, 1]).add(torch.ones([1, 4])), [3, 4], 'float32'],
    ['type promotion', () => torch.arange(3).add(torch.ones([3])), [3], 'float32'],
    ['an integer scalar', () => torch.arange(3).add(1), [3], 'int64'],
    ['a float scalar', () => torch.arange(3).add(1.5), [3], 'float32'],
    ['a typed scalar', () => torch.arange(3).add(torch.scalar(2, 'float64')), [3], 'float32'],
    ['a comparison', () => torch.arange(3).gt(1), [3], 'bool'],
    [
      'a convolution',
      () => torch.conv2d(torch.ones([2, 3, 8, 8]), torch.ones([5, 3, 3, 3]), null, { stride: 2 }),
      [2, 5, 3, 3],
      'float32',
    ],
    [
      'a sum over a dimension',
      () => torch.ones([2, 3]).sum([1], { keepdim: true }),
      [2, 1],
      'float32',
    ],
  ] as const)('are right for %s', (_, run, shape, dtype) => {
    for (let i = 0; i < 2; i++) {
      const result = run()
      expect(result.shape).toEqual(shape)
      expect(result.dtype).toBe(dtype)
    }
  })

  test('a slice with other bounds has another shape, and other values', async () => {
    const x = torch.arange(10)
    for (const [start, length] of [
      [0, 3],
      [2, 5],
      [4, 1],
    ] as const) {
      const part = x.narrow(0, start, length)
      expect(part.shape).toEqual([length])
      expect(await part.tolist()).toEqual(Array.from({ length }, (_, i) => BigInt(start + i)))
    }
    expect(x.slice(0, 2, 8, 2).shape).toEqual([3])
    expect(() => x.select(0, 10)).toThrow(/out of range/)
  })

  test('arange of another end has another shape', () => {
    expect([3, 4, 5].map((end) => torch.arange(end).shape[0])).toEqual([3, 4, 5])
  })

  test('views keep strides, channels_last convolutions stay channels_last', () => {
    const x = torch.ones([2, 3, 4, 5])
    expect(x.transpose(1, 3).stride()).toEqual([60, 1, 5, 20])
    const nhwc = x.contiguous({ memoryFormat: 'channels_last' })
    const y = torch.conv2d(
      nhwc,
      torch.ones([6, 3, 1, 1]).contiguous({ memoryFormat: 'channels_last' }),
    )
    expect(y.stride()[1]).toBe(1)
  })
})
