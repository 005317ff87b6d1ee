/** What guards refuse because of numbers and layouts, and calls beside those that they let through, by value. */
import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'

type Arguments = () => unknown[]

const int32 = (...values: number[]) => torch.tensor(values, { dtype: 'int32' })
const oneDnn = (tensor: torch.Tensor) => torch.call('aten::to_mkldnn', [tensor])
const nested = (...rows: torch.Tensor[]) =>
  torch.call('aten::_nested_tensor_from_tensor_list', [rows])
const quantized = (tensor: torch.Tensor) =>
  torch.call('aten::quantize_per_tensor', [tensor, 0.5, 0, 'quint8'])
const image = () => torch.ones([1, 2, 5, 5])
const kernel = () => torch.ones([3, 2, 3, 3])
const csr = () => torch.call('aten::to_sparse_csr', [torch.ones([3, 3])])
const least = -(2 ** 31)

const refused: [string, string, Arguments][] = [
  ['a number to the power of a sparse tensor', 'aten::pow.Scalar', () => [2, csr()]],
  ['it in a list', 'aten::_foreach_pow.ScalarAndTensor', () => [2, [csr()]]],
  ['a sparse tensor copied to, in a list', 'aten::_foreach_copy', () => [[csr()], [image()]]],
  ['quantized tensors multiplied', 'aten::mm', () => [quantized(image()), quantized(image())]],
  [
    'a quantized tensor beside a sparse one',
    'aten::where.self',
    () => [torch.ones([3, 3]).gt(0), quantized(torch.ones([3, 3])), csr()],
  ],
  [
    'a softmax over nothing',
    'aten::_masked_softmax',
    () => [torch.ones([3, 0]), torch.ones([3, 0], { dtype: 'bool' })],
  ],
  [
    'scores of no class without a target',
    'aten::nll_loss_backward',
    () => {
      const none = torch.zeros([0], { dtype: 'int64' })
      return [torch.ones([]), torch.ones([0]), none, null, 1, -100, torch.ones([])]
    },
  ],
  [
    'a compressed row that ends behind all indices',
    'aten::sparse_csr_tensor.crow_col_value_size',
    () => {
      const bounds = torch.tensor([0, 2], { dtype: 'int64' })
      return [bounds, torch.zeros([0], { dtype: 'int64' }), torch.ones([0]), [1, 2]]
    },
  ],
  [
    'indices of bags with gaps between them',
    'aten::_embedding_bag',
    () => {
      const apart = torch.zeros([5, 2], { dtype: 'int64' }).select(1, 0)
      return [torch.ones([6, 3]), apart, torch.zeros([2], { dtype: 'int64' })]
    },
  ],
  [
    'maxima whose places have gaps between them',
    'aten::adaptive_max_pool3d_backward',
    () => {
      const apart = torch.zeros([1, 2, 1, 1, 1, 2], { dtype: 'int64' }).select(5, 0)
      return [torch.ones([1, 2, 1, 1, 1]), torch.ones([1, 2, 3, 3, 3]), apart]
    },
  ],
  [
    'a result for which there is no memory',
    'aten::sum.out',
    () => [image(), undefined, torch.call('aten::_efficientzerotensor', [[]])],
  ],
  [
    'a transform of the last dimension but two, counted from the end',
    'aten::_fft_r2c',
    () => [torch.ones([4, 3, 2, 2]), [-3], 1, false],
  ],
  [
    'indices without a bag, where the last offset is the end',
    'aten::embedding_bag.padding_idx',
    () => {
      const first = torch.zeros([1], { dtype: 'int64' })
      return [torch.ones([6, 3]), first, first, false, 0, false, null, true, 0]
    },
  ],
  ['a step that is none in whole numbers', 'aten::range.step', () => [-1, 1, 1e-30, 'int8']],
  ['the least number by -1', 'aten::floor_divide', () => [int32(least), int32(-1)]],
  ['the least number by a number', 'aten::remainder.Scalar', () => [int32(1, least), -1]],
  ['it in one of many', 'aten::lcm', () => [int32(3, least), int32(-1)]],
  ['its multiple', 'aten::lcm_', () => [int32(least), int32(5)]],
  [
    'it in int64',
    'aten::fmod.Scalar',
    () => [torch.full([2], -(1n << 63n), { dtype: 'int64' }), -1],
  ],
  [
    'random numbers from the largest on',
    'aten::random_.from',
    () => [torch.ones([4]), (1n << 63n) - 1n, null],
  ],
  [
    'a power without an absolute value',
    'aten::matrix_power',
    () => [torch.ones([2, 2]), -(1n << 63n)],
  ],
  [
    'a transform of dimensions counted from the end',
    'aten::_fft_r2c',
    () => [torch.ones([2, 5, 5]), [2, -2], 2, false],
  ],
  [
    'bags of two dimensions',
    'aten::_embedding_bag',
    () => {
      const none = (rows: number) => torch.zeros([rows, 0], { dtype: 'int64' })
      return [torch.ones([6, 3]), none(5), none(2), false, 2]
    },
  ],
  [
    'padding that overflows',
    'aten::_slow_conv2d_forward',
    () => [image(), kernel(), [3, 3], null, [1, 1], [0, (1n << 63n) - 1n]],
  ],
  ['a window without an end', 'aten::max_pool2d', () => [oneDnn(image()), [2 ** 40, 1]]],
  ['too few sizes', 'aten::_adaptive_avg_pool2d', () => [image(), [2]]],
  [
    'a dimension of a nested tensor from its end',
    'aten::select.int',
    () => [nested(torch.ones([2, 3]), torch.ones([1, 3])), -1, 0],
  ],
  [
    'chunks of rows that are numbers',
    'aten::chunk',
    () => [nested(torch.ones([]), torch.ones([])), 2, 0],
  ],
  [
    'a gradient that has not the rows of the sum',
    'aten::_nested_sum_backward',
    () => [nested(torch.ones([2])), nested(torch.ones([2, 3])), [-1], true],
  ],
  [
    'keys of another batch',
    'aten::_scaled_dot_product_flash_attention_for_cpu',
    () =>
      [
        [2, 1, 3, 8],
        [1, 1, 3, 8],
        [1, 1, 3, 8],
      ].map((shape) => torch.ones(shape)),
  ],
  [
    'groups of nothing',
    'aten::native_group_norm_backward',
    () => {
      const x = torch.ones([2, 4, 3])
      const none = torch.ones([2, 0])
      return [x, x, none, none, null, 2, 4, 3, 0, [true, false, false]]
    },
  ],
  [
    'short rows of bfloat16',
    'aten::_weight_int8pack_mm',
    () => [
      torch.ones([2, 4], { dtype: 'bfloat16' }),
      torch.ones([3, 4], { dtype: 'int8' }),
      torch.ones([3], { dtype: 'bfloat16' }),
    ],
  ],
  [
    'what oneDNN holds in an operator without a kernel for it',
    'aten::scatter_.src',
    () => {
      const index = torch.zeros([2, 2], { dtype: 'int64' })
      return [torch.ones([2, 2]), 0, index, oneDnn(torch.ones([2, 2]))]
    },
  ],
  [
    'norms that would lie in one place',
    'aten::_weight_norm_interface',
    () => [torch.ones([2, 3]), torch.ones([1]).expand([3]), 1],
  ],
  [
    'batch statistics of nothing',
    'aten::native_batch_norm_backward',
    () => {
      const [x, each] = [torch.ones([0, 2]), torch.ones([2])]
      return [x, x, each, each, each, each, each, true, 1, [true, true, true]]
    },
  ],
  [
    'attention with a bias of another dtype',
    'aten::_native_multi_head_attention',
    () => {
      const x = torch.ones([2, 3, 4])
      const bias = torch.ones([12], { dtype: 'bfloat16' })
      return [x, x, x, 4, 2, torch.ones([12, 4]), bias, torch.ones([4, 4]), torch.ones([4])]
    },
  ],
  [
    'blocks of no columns',
    'aten::sparse_bsc_tensor.ccol_row_value_size',
    () => {
      const [starts, rows] = [
        [0, 2, 4],
        [0, 1, 0, 1],
      ].map((each) => torch.tensor(each, { dtype: 'int64' }))
      return [starts, rows, torch.ones([4, 2, 0]), [4, 4]]
    },
  ],
  [
    'a window larger than the image of oneDNN',
    'aten::mkldnn_max_pool2d',
    () => [oneDnn(torch.ones([1, 4, 6, 6])), [4, 8], [2, 2]],
  ],
  [
    'a gradient in one place for rows of oneDNN',
    'aten::gelu_backward',
    () => [torch.ones([1]).expand([10]), torch.ones([10, 10])],
  ],
  ['an empty oneDNN tensor turned', 'aten::t', () => [oneDnn(torch.ones([2, 0]))]],
  [
    'no weights of oneDNN',
    'aten::_prelu_kernel',
    () => [oneDnn(torch.ones([3])), oneDnn(torch.ones([2, 0]))],
  ],
  [
    'a list that is quantized in part',
    'quantized::cat_relu_out',
    () => [[quantized(image()), image()], 1, quantized(image())],
  ],
  [
    'a norm of nothing',
    'quantized::group_norm',
    () => [quantized(torch.ones([2, 0, 4])), 1, null, null, 1e-5, 1, 0],
  ],
]

test.each(refused)('%s is refused with ERR_OP (%s)', async (_, name, args) => {
  await expect(
    torch.scopeAsync(async () => {
      await torch.call(name, args())
      await torch.synchronize()
    }),
  ).rejects.toMatchObject({ code: 'ERR_OP', message: expect.stringMatching(/because libtorch/) })
})

test('a size that libtorch takes for a symbol is no size, and does not hang', async () => {
  const meta = torch.ones([1, 4], { device: 'meta' })
  const least = [-(1n << 63n)]
  expect(() => torch.call('aten::resize_', [meta, least])).toThrow(/below -2\^62/)
  expect(() => torch.call('aten::empty.memory_format', [least], { device: 'meta' })).toThrow()
})

describe('not refused are', () => {
  test('tensors that are zero without memory, where kernels read memory by themselves', async () => {
    const zero = (shape: number[], dtype: 'float32' | 'int64') =>
      torch.call('aten::_efficientzerotensor', [shape], { dtype }) as torch.Tensor
    const table = () => torch.arange(6).reshape([3, 2]).to('float32')
    const index = () => zero([2], 'int64')
    expect(await values('aten::index.Tensor', () => [table(), [index()]])).toEqual([0, 1, 0, 1])
    const counts = await values('aten::_convert_indices_from_coo_to_csr', () => [index(), 3])
    expect(counts.map(Number)).toEqual([0, 2, 2, 2])
    expect(await values('aten::add.Scalar', () => [zero([2], 'float32'), 3])).toEqual([3, 3])
  })

  const values = (name: string, args: Arguments) =>
    torch.scopeAsync(async () => [...(await (torch.call(name, args()) as torch.Tensor).data())])

  test('the least number and -1 in different places', async () => {
    const args = () => [int32(least, 7), int32(2, -1)]
    expect(await values('aten::floor_divide', args)).toEqual([least / 2, -7])
  })

  test('multiples of what the least number does not meet', async () => {
    const args = () => [int32(4, least, -3), int32(6, 0, 5)]
    expect(await values('aten::lcm', args)).toEqual([12, 0, 15])
  })

  test('the least number of two bytes by -1, which is a whole number of four', async () => {
    const args = () => [torch.tensor([-(2 ** 15)], { dtype: 'int16' }), -1]
    expect(await values('aten::remainder.Scalar', args)).toEqual([0])
  })

  test('the gradient of gelu given once for all rows', async () => {
    // In float32 oneDNN would not take it.
    const wide = (...values: number[]) => torch.tensor(values, { dtype: 'float64' })
    const x = () => wide(-1, 0, 2, 1, 0.5, -3).reshape([2, 3])
    const row = () => wide(1, 2, 3)
    const all = () => wide(1, 2, 3, 1, 2, 3).reshape([2, 3])
    expect(await values('aten::gelu_backward', () => [row(), x()])).toEqual(
      await values('aten::gelu_backward', () => [all(), x()]),
    )
  })

  test('batch statistics of oneDNN tensors', async () => {
    const x = () => torch.tensor([1, 2, 3, 4, 6, 8, 1, -1]).reshape([2, 2, 1, 2])
    const vectors = () =>
      [
        [1, 2],
        [0, 1],
        [0, 0],
        [1, 1],
      ].map((each) => torch.tensor(each))
    const normed = (input: torch.Tensor) =>
      torch.scopeAsync(async () => {
        const args = [input, ...vectors(), false, 0.1, 1e-5]
        const [result] = torch.call('aten::native_batch_norm', args) as torch.Tensor[]
        const dense = torch.call('aten::to_dense', [result])
        return [...(await (dense as torch.Tensor).data())] as number[]
      })
    const plain = await normed(x())
    for (const [i, value] of (await normed(oneDnn(x()) as torch.Tensor)).entries())
      expect(value).toBeCloseTo(plain[i] ?? NaN, 5)
  })

  test('two expanded tensors stacked', async () => {
    const row = () => torch.tensor([1, 2, 3]).expand([2, 3])
    expect(await values('aten::_stack', () => [[row(), row()], 1])).toEqual([
      ...[1, 2, 3, 1, 2, 3],
      ...[1, 2, 3, 1, 2, 3],
    ])
  })

  test("Hermite's polynomials of any degree, which are no number above their limit", async () => {
    for (const kind of ['h', 'he']) {
      const degrees = () => [torch.tensor([0.5, 0.5]), torch.tensor([1e9, 0])]
      expect(await values(`aten::special_hermite_polynomial_${kind}`, degrees)).toEqual([NaN, 1])
    }
  })
})
