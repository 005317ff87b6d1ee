import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'

const { call, Tensor } = torch
type T = torch.Tensor

describe('what an op writes to is known when the call returns, on the first call and on later ones', () => {
  test.each(['first', 'again'])('in-place ops that change the shape (%s)', () => {
    const x = torch.zeros([2, 3])
    expect(call('aten::t_', [x])).toBe(x)
    expect(x.shape).toEqual([3, 2])
    expect(x.stride()).toEqual([1, 3])
    call('aten::unsqueeze_', [x, 0])
    expect(x.shape).toEqual([1, 3, 2])
    call('aten::resize_', [x, [4, 5]])
    expect(x.shape).toEqual([4, 5])
  })

  test.each(['first', 'again'])('an out= tensor that grows (%s)', async () => {
    const out = torch.zeros([0])
    expect(call('aten::add.out', [torch.ones([2, 2]), torch.ones([2, 2])], { out })).toBe(out)
    expect(out.shape).toEqual([2, 2])
    expect(await out.tolist()).toEqual([
      [2, 2],
      [2, 2],
    ])
  })

  test.each(['first', 'again'])('a list of out= tensors that grow (%s)', async () => {
    const out = [torch.zeros([0]), torch.zeros([0])]
    const x = torch.tensor([
      [1, 2],
      [3, 4],
    ])
    expect(call('aten::unbind_copy.int_out', [x, 0], { out })).toBeNull()
    expect(out.map((t) => t.shape)).toEqual([[2], [2]])
    expect(await out[1]?.tolist()).toEqual([3, 4])
  })
})

describe('constants that a Map would take for one another', () => {
  test('floats and integers of one value, in a list of scalars', () => {
    const x = torch.ones([2], { dtype: 'int64' })
    const add = (scalar: torch.Scalar) =>
      (call('aten::_foreach_add.ScalarList', [[x], [scalar]]) as T[])[0]
    expect(add(2)?.dtype).toBe('int64')
    expect(add(torch.scalar(2, 'float64'))?.dtype).toBe('float32')
    expect(add({ re: 2, im: 0 })?.dtype).toBe('complex64')
    expect(add(2)?.dtype).toBe('int64')
  })

  test('a range of floats is not the range of integers that was asked for before', () => {
    expect(call('aten::arange', [3])).toMatchObject({ dtype: 'int64' })
    expect(call('aten::arange', [torch.scalar(3, 'float64')])).toMatchObject({ dtype: 'float32' })
  })

  test('zero and negative zero', async () => {
    const imaginary = async (im: number) => {
      const made = call('aten::scalar_tensor', [{ re: 1, im }], { dtype: 'complex64' }) as T
      return ((await made.item()) as torch.Complex).im
    }
    expect(await imaginary(0)).toBe(0)
    expect(await imaginary(-0)).toBe(-0)
  })
})

test('results that libtorch numbers have names', () => {
  expect(call('aten::promote_types', ['float16', 'int64'])).toBe('float16')
  expect(call('aten::result_type.Scalar', [torch.ones([1], { dtype: 'bool' }), 2])).toBe('int64')
})

test('an integer beyond 2^53 comes back whole', async () => {
  const x = torch.tensor(new BigInt64Array([2n ** 53n + 1n]))
  expect(await call('aten::_local_scalar_dense', [x])).toBe(2n ** 53n + 1n)
})

test('a tensor stands for its memory where an operator wants a Storage', async () => {
  const x = torch.zeros([0])
  const source = torch.tensor([1, 2, 3, 4])
  call('aten::set_.source_Storage_storage_offset', [x, source, 1, [2], [1]])
  call('aten::fill_.Scalar', [x, 9])
  expect(await source.tolist()).toEqual([1, 9, 9, 4])
})

test('conjugation is part of what is known of a tensor: resolving one copies, resolving a plain one does not', () => {
  const rows = torch.call('aten::view_as_complex', [torch.ones([2, 3, 2])]) as T
  const plain = torch.call('aten::expand', [rows, [4, 2, 3]]) as T
  const conjugated = call('aten::_conj', [plain]) as T
  expect((call('aten::resolve_conj', [plain]) as T).stride()).toEqual([0, 3, 1])
  expect((call('aten::resolve_conj', [conjugated]) as T).stride()).toEqual([6, 3, 1])
})

test('the layout of a sparse tensor is known', () => {
  const sparse = call('aten::to_sparse', [torch.eye(2)]) as T
  expect(sparse).toBeInstanceOf(Tensor)
  expect(sparse.layout).toBe('sparse_coo')
  expect(torch.eye(2).layout).toBe('strided')
})
