/**
 * Calls that libtorch does not survive are refused, and those beside them that it does survive are not. The calls
 * were found by scripts/fuzz.
 */
import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'

type Arguments = () => unknown[]

const quantized = () =>
  torch.call('aten::quantize_per_tensor', [torch.ones([2, 2]), 0.5, 0, 'quint8'])
const quantizedVolume = () =>
  torch.call('aten::quantize_per_tensor', [torch.ones([3, 3, 3, 1]), 0.5, 0, 'quint8'])
const grid = () => torch.ones([1, 2, 3, 3])
const int64 = (...values: number[]) => torch.tensor(values, { dtype: 'int64' })
const csr = () => torch.call('aten::to_sparse_csr', [torch.ones([2, 2])])
const state = () => torch.ones([1, 2, 5])
const weights = () => [[20, 3], [20, 5], [20], [20]].map((shape) => torch.ones(shape))
const int32 = (...values: number[]) => torch.tensor(values, { dtype: 'int32' })
const oneDnn = (shape: number[]) => torch.call('aten::to_mkldnn', [torch.ones(shape)])
const gruWeights = () => [[15, 3], [15, 5], [15], [15]].map((shape) => torch.ones(shape))
const packedGru = (sizes: torch.Tensor) => [
  torch.ones([7, 3]),
  sizes,
  torch.ones([1, 2, 5]),
  gruWeights(),
  true,
  1,
  0,
  false,
  false,
]
const attention = (heads: number) => {
  const x = torch.ones([2, 3, 4])
  const weights = [[12, 4], [12], [4, 4], [4]].map((shape) => torch.ones(shape))
  return [x, x, x, 4, heads, ...weights]
}
const batchNormBackward = (x: torch.Tensor) => {
  const none = torch.ones([0])
  const mask = [false, false, false]
  return [0, x, x, null, null, null, null, null, true, 1, mask, none]
}
const doubleBackward = (gradient: torch.Tensor) => {
  const [image, weight] = [torch.ones([1, 2, 5, 5]), torch.ones([3, 2, 3, 3])]
  const sizes = [[1, 1], [1, 1], [1, 1], false, [0, 0], 1, [true, true, true]]
  return [image, weight, torch.ones([3]), gradient, weight, image, ...sizes]
}
const batch = () => torch.ones([2, 2, 3, 3])
const volume = () => torch.ones([1, 2, 3, 3, 3])

/** What is refused, the operator, a call that is refused, and one that is not. */
const calls: [string, string, Arguments, Arguments][] = [
  [
    'a quantized tensor seen negated',
    'aten::_neg_view',
    () => [quantized()],
    () => [torch.ones([2])],
  ],
  [
    'a lazy copy of a quantized tensor',
    'aten::_lazy_clone',
    () => [quantized()],
    () => [torch.ones([2])],
  ],
  [
    'an oneDNN tensor copied to places of a strided one',
    'aten::index_copy',
    () => [torch.ones([2, 2]), 0, int64(0), torch.call('aten::to_mkldnn', [torch.ones([1, 2])])],
    () => [torch.ones([2, 2]), 0, int64(0), torch.ones([1, 2])],
  ],
  [
    'an oneDNN tensor added to places of a strided one',
    'aten::index_add_',
    () => [torch.ones([4]), 0, int64(0), oneDnn([1])],
    () => [torch.ones([4]), 0, int64(0), torch.ones([1])],
  ],
  [
    'the gradient of no loss',
    'aten::multi_margin_loss_backward',
    () => [torch.ones([0]), torch.ones([2, 3]), int64(0, 2), 1, 1],
    () => [torch.ones([]), torch.ones([2, 3]), int64(0, 2), 1, 1],
  ],
  [
    'weights of no channel',
    'aten::_batch_norm_with_update_functional',
    () => [grid(), torch.ones([0]), torch.ones([2]), torch.ones([2]), torch.ones([2]), 0.1, 1e-5],
    () => [grid(), torch.ones([2]), torch.ones([2]), torch.ones([2]), torch.ones([2]), 0.1, 1e-5],
  ],
  [
    'a target that is no class',
    'aten::nll_loss_backward',
    () => [torch.ones([2]), torch.ones([2, 3]), int64(0, 9), null, 0, -100, torch.ones([])],
    () => [torch.ones([2]), torch.ones([2, 3]), int64(0, -100), null, 0, -100, torch.ones([])],
  ],
  [
    'indices in no bag',
    'aten::embedding_bag.padding_idx',
    () => [torch.ones([6, 3]), int64(0, 1), int64(), false, 0, false, null, false, 1],
    () => [torch.ones([6, 3]), int64(0, 1), int64(0), false, 0, false, null, false, 1],
  ],
  [
    'a result that has one place for all values',
    'aten::_log_softmax.out',
    () => [torch.ones([5]), 0, false, torch.ones([1]).expand([5])],
    () => [torch.ones([5]), 0, false, torch.ones([5, 2]).select(1, 0)],
  ],
  [
    'a matrix to pack without columns',
    'aten::fbgemm_pack_gemm_matrix_fp16',
    () => [torch.ones([2, 2, 0])],
    () => [torch.ones([2, 2])],
  ],
  [
    'a triangle written into a turned batch',
    'aten::triu.out',
    () => [batch(), 0, batch().transpose(0, 1)],
    () => [batch(), 0, batch().transpose(2, 3)],
  ],
  ['no heads', 'aten::_native_multi_head_attention', () => attention(0), () => attention(2)],
  [
    'a pivot that names no row',
    'aten::linalg_lu_solve',
    () => [torch.eye(2), int32(1, 1000), torch.ones([2, 1])],
    () => [torch.eye(2), int32(2, 2), torch.ones([2, 1])],
  ],
  [
    'half a pair of pivots',
    'aten::linalg_ldl_solve',
    () => [torch.eye(2), int32(-1, 2), torch.ones([2, 1])],
    () => [torch.eye(2), int32(1, 2), torch.ones([2, 1])],
  ],
  [
    'pivots of no row',
    'aten::lu_unpack',
    () => [torch.ones([2, 3, 5]), int32()],
    () => [torch.ones([3, 5]), int32(1, 2, 3)],
  ],
  [
    'an oneDNN weight of one dimension',
    'aten::mkldnn_reorder_conv2d_weight',
    () => [oneDnn([4])],
    () => [oneDnn([4, 4, 3, 3])],
  ],
  [
    'the backward pass of an oneDNN layer without its input',
    'aten::mkldnn_linear_backward_weights',
    () => [...[[3, 5], [4], [5, 4]].map(oneDnn), true],
    () => [
      ...[
        [3, 5],
        [3, 4],
        [5, 4],
      ].map(oneDnn),
      true,
    ],
  ],
  [
    'windows that reach out of what they were cut from',
    'aten::unfold_backward',
    () => [torch.ones([1]), [10], 0, 3, 1],
    () => [torch.ones([8, 3]), [10], 0, 3, 1],
  ],
  [
    'sequences of no rows',
    'aten::gru.data',
    () => packedGru(int64().reshape([4, 0])),
    () => packedGru(int64(2, 2, 2, 1)),
  ],
  [
    'quantized layers without weights',
    'aten::quantized_gru.input',
    () => [torch.ones([4, 2, 3]), torch.ones([1, 2, 5]), [], true, 1e15, 0, false, false, false],
    () => [
      torch.ones([4, 2, 3]),
      torch.ones([1, 2, 5]),
      gruWeights(),
      true,
      1,
      0,
      false,
      false,
      false,
    ],
  ],
  [
    'an input without channels, and without elements',
    'aten::_batch_norm_impl_index_backward',
    () => batchNormBackward(torch.ones([0])),
    () => batchNormBackward(torch.ones([0, 3])),
  ],
  [
    'a number as the gradient of a convolution',
    'aten::_convolution_double_backward',
    () => doubleBackward(torch.ones([])),
    () => doubleBackward(torch.ones([1, 3, 5, 5])),
  ],
  [
    'a softmax of no elements',
    'aten::_masked_softmax_backward',
    () => [torch.ones([4]), torch.ones([0]), torch.ones([4]).gt(0)],
    () => [torch.ones([4]), torch.ones([4]), torch.ones([4]).gt(0)],
  ],
  [
    'distances of no rows',
    'aten::_pdist_backward',
    () => [torch.ones([0]), torch.ones([0, 1]), 2, torch.ones([0])],
    () => [torch.ones([1]), torch.ones([2, 1]), 2, torch.ones([1])],
  ],
  [
    'diagonals of a negative shape',
    'aten::_spdiags',
    () => [torch.ones([2, 3]), int64(0, 1), [3, -1]],
    () => [torch.ones([2, 3]), int64(0, 1), [3, 3]],
  ],
  [
    'a sparse tensor broadcast to nothing',
    'aten::broadcast_to',
    () => [torch.call('aten::to_sparse', [torch.ones([3, 3])]), [0, 3, 3]],
    () => [torch.ones([3]), [0, 3]],
  ],
  [
    'an empty batch to take apart',
    'aten::_transform_bias_rescale_qkv',
    () => [torch.ones([0, 3, 12]), torch.ones([12]), 2],
    () => [torch.ones([2, 3, 12]), torch.ones([12]), 2],
  ],
  [
    'a window that is longer than any input',
    'aten::max_pool1d',
    () => [torch.ones([1, 2, 9]), [2 ** 40]],
    () => [torch.ones([1, 2, 9]), [3]],
  ],
  [
    'chunks of a number',
    'aten::_chunk_cat',
    () => [[torch.ones([])], 0, 1],
    () => [[torch.ones([2])], 0, 1],
  ],
  [
    'nothing joined into a quantized tensor',
    'aten::cat.out',
    () => [[], 0, quantized()],
    () => [[quantized()], 0, quantized()],
  ],
  [
    'fewer paddings than the dimensions want',
    'aten::replication_pad3d_backward',
    () => [volume(), volume(), [0]],
    () => [volume(), volume(), [0, 0, 0, 0, 0, 0]],
  ],
  [
    'the gradient of another batch',
    'aten::replication_pad3d_backward',
    () => [volume(), torch.ones([3, 2, 3, 3, 3]), [0, 0, 0, 0, 0, 0]],
    () => [volume(), volume(), [0, 0, 0, 0, 0, 0]],
  ],
  [
    'matrices in the place of volumes',
    'aten::replication_pad3d_backward',
    () => [torch.ones([4, 4]), torch.ones([4, 4]), [0, 0, 0, 0, 0, 0]],
    () => [volume(), volume(), [0, 0, 0, 0, 0, 0]],
  ],
  [
    'zeros of an oneDNN tensor of few bytes',
    'aten::zero_',
    () => [torch.call('aten::to_mkldnn', [grid().to('uint8')])],
    () => [torch.call('aten::to_mkldnn', [grid()])],
  ],
  [
    'a stack of one strided tensor',
    'aten::_stack',
    () => [[torch.ones([8, 9]).at('...', '1:8:2')]],
    () => [[torch.ones([8, 9])]],
  ],
  [
    'an alias of an element that is not there',
    'aten::_reshape_alias_copy',
    () => [torch.empty([2, 0]), [], []],
    () => [torch.ones([1]), [], []],
  ],
  [
    'noise that lies in one place',
    'aten::rrelu_with_noise',
    () => [grid(), torch.ones([1]).expand([1, 2, 3, 3]), 0.1, 0.3, true],
    () => [grid(), grid(), 0.1, 0.3, true],
  ],
  [
    'a result that is smaller than its input',
    'aten::rrelu_with_noise.out',
    () => [grid(), grid(), 0.1, 0.3, true, null, torch.ones([1])],
    () => [grid(), grid(), 0.1, 0.3, true, null, grid()],
  ],
  [
    'row bounds that are negative where they are read',
    'aten::_convert_indices_from_csr_to_coo',
    () => [torch.call('aten::_neg_view', [int64(0, 1, 2)]), int64(0, 1)],
    () => [int64(0, 1, 2), int64(0, 1)],
  ],
  [
    'the median of what has one place in memory',
    'aten::median.dim',
    () => [torch.ones([1, 3]).expand([5, 3]), 0],
    () => [torch.ones([5, 1]).expand([5, 3]), 0],
  ],
  [
    'a value of more tokens than the key',
    'aten::scaled_dot_product_attention',
    () => [torch.ones([1, 2, 3, 8]), torch.ones([1, 2, 6, 8]), torch.ones([1, 2, 12, 8])],
    () => [torch.ones([1, 2, 3, 8]), torch.ones([1, 2, 6, 8]), torch.ones([1, 2, 6, 8])],
  ],
  [
    'a cumulative result of another dtype',
    'aten::_logcumsumexp.out',
    () => [grid(), 0, torch.ones([1, 2, 3, 3], { dtype: 'float16' })],
    () => [grid(), 0, torch.empty([0])],
  ],
  [
    'a draw of a count that is no number',
    'aten::binomial',
    () => [torch.tensor([NaN]), torch.tensor([0.5])],
    () => [torch.tensor([5]), torch.tensor([NaN])],
  ],
  [
    'a spectrum that is longer than its signal',
    'aten::_fft_c2r',
    () => [torch.ones([18], { dtype: 'complex64' }), [0], 2, 10],
    () => [torch.ones([6], { dtype: 'complex64' }), [0], 2, 10],
  ],
  [
    'four-bit weights in blocks of nothing',
    'aten::_dyn_quant_matmul_4bit',
    () => [torch.ones([2, 32]), torch.ones([68]), 0, 32, 4],
    () => [torch.ones([2, 32]), torch.ones([68]), 32, 32, 4],
  ],
  [
    'no groups of a convolution',
    'aten::mkldnn_reorder_conv2d_weight',
    () => [torch.call('aten::to_mkldnn', [grid()]), [0, 0], [1, 1], [1, 1], 0],
    () => [torch.call('aten::to_mkldnn', [grid()]), [0, 0], [1, 1], [1, 1], 1],
  ],
  [
    'attention without tokens',
    'aten::_scaled_dot_product_flash_attention_for_cpu',
    () => Array.from({ length: 3 }, () => torch.ones([1, 2, 0, 4])),
    () => Array.from({ length: 3 }, () => torch.ones([1, 2, 3, 4])),
  ],
  [
    'indices that are one number in memory',
    'aten::_convert_indices_from_coo_to_csr',
    () => [int64(1).expand([5]), 3],
    () => [int64(1).expand([5]).contiguous(), 3],
  ],
  [
    'a right side without columns',
    'aten::linalg_lstsq',
    () => [torch.ones([2, 3]), torch.ones([2, 0]), null, 'gelss'],
    () => [torch.ones([2, 3]), torch.ones([2, 1]), null, 'gelss'],
  ],
  [
    'an output of no sizes',
    'aten::_adaptive_avg_pool3d',
    () => [quantizedVolume(), []],
    () => [quantizedVolume(), [1, 1, 1]],
  ],
  [
    'a choice without numbers',
    'aten::_sparse_mm_reduce_impl_backward',
    () => [csr(), torch.ones([2, 3]), torch.ones([2, 3]), 'amax', int64(), [true, true]],
    () => [
      csr(),
      torch.ones([2, 3]),
      torch.ones([2, 3]),
      'amax',
      torch.zeros([2, 3], { dtype: 'int64' }),
      [true, true],
    ],
  ],
  [
    'a single turned matrix',
    'aten::_stack',
    () => [[torch.ones([3, 4]).t()], 1],
    () => [[torch.ones([3, 4]).t()], 2],
  ],
  [
    'a number turned',
    'aten::_mkldnn_transpose',
    () => [torch.call('aten::_mkldnn_reshape', [oneDnn([1]), []]), 0, 0],
    () => [oneDnn([2, 3]), 0, 1],
  ],
  [
    'offsets that do not begin with 0',
    'aten::_embedding_bag_per_sample_weights_backward',
    () => [torch.ones([2, 3]), torch.ones([6, 3]), int64(0, 1), int64(1, 2), int64(), 0],
    () => [torch.ones([2, 3]), torch.ones([6, 3]), int64(0, 1), int64(0, 1), int64(), 0],
  ],
  [
    'states of another batch',
    'aten::lstm.input',
    () => [torch.ones([4, 2, 3]), [state(), state()], weights(), true, 1, 0, false, false, true],
    () => [torch.ones([4, 2, 3]), [state(), state()], weights(), true, 1, 0, false, false, false],
  ],
  [
    'a scale that leads out of the image',
    'aten::_upsample_bicubic2d_aa',
    () => [torch.ones([1, 1, 4, 4]), [6, 6], false, 1, 1],
    () => [torch.ones([1, 1, 4, 4]), [6, 6], false, 1.5, 1.5],
  ],
]

describe('a guard', () => {
  test.each(calls)('refuses %s with ERR_OP (%s)', async (_, name, refused, accepted) => {
    // The second call of a kind is queued, and fails where it is waited for.
    const call = (args: Arguments) =>
      torch.scopeAsync(async () => {
        await torch.call(name, args())
        await torch.synchronize()
      })
    await call(accepted)
    await expect(call(refused)).rejects.toMatchObject({
      code: 'ERR_OP',
      message: expect.stringMatching(/because libtorch|libtorch would/),
    })
  })

  // As a GPU's are: nothing here may wait for them. The kernels of a device check the values.
  test.each([
    [
      'aten::max_pool2d_with_indices_backward',
      (at: { device: string }) => [
        torch.ones([1, 1, 2, 2], at),
        torch.ones([1, 1, 4, 4], at),
        ...[[2, 2], [2, 2], [0, 0], [1, 1], false],
        torch.zeros([1, 1, 2, 2], { ...at, dtype: 'int64' }),
      ],
    ],
    [
      'aten::adaptive_max_pool2d_backward',
      (at: { device: string }) => [
        torch.ones([1, 1, 2, 2], at),
        torch.ones([1, 1, 4, 4], at),
        torch.zeros([1, 1, 2, 2], { ...at, dtype: 'int64' }),
      ],
    ],
  ])('looks only at the shapes of what is on a device (%s)', async (name, args) => {
    await torch.scopeAsync(async () => {
      const onCpu = torch.call(name, args({ device: 'cpu' })) as torch.Tensor
      const onDevice = torch.call(name, args({ device: 'meta' })) as torch.Tensor
      expect(onDevice.shape).toEqual(onCpu.shape)
      await torch.synchronize()
    })
  })
})
