/** Values of several tensors that come together. */
import * as torch from 'landmark-diffusion/torch'
import { expect, test } from 'vitest'

test('gives the values of all rows when it is closed, whatever becomes of the tensors', async () => {
  const reader = new torch.RowReader()
  const row = torch.tensor([1, 2, 3])
  reader.add(row)
  row.add_(1)
  reader.add(row.slice(0, 0, 3, 2))
  reader.add(torch.tensor(7))
  row.dispose()
  reader.close()
  reader.close()
  const [rows, failure] = await reader.result
  expect(rows).toEqual([[1, 2, 3], [2, 4], [7]])
  expect(failure).toBeNull()
})

test('comes before it is closed where a row is not finite', async () => {
  const reader = new torch.RowReader()
  for (const values of [[1], [Number.POSITIVE_INFINITY], [2]]) reader.add(torch.tensor(values))
  const [rows, failure] = await reader.result
  expect(rows).toEqual([[1], [Number.POSITIVE_INFINITY]])
  expect(failure).toBeNull()
  reader.close()
})

test('comes before it is closed where a row has failed, or is none', async () => {
  const [picked, other, sparse] = [
    new torch.RowReader(),
    new torch.RowReader(),
    new torch.RowReader(),
  ]
  const pick = (from: bigint) =>
    torch.ones([3]).indexSelect(0, torch.tensor(BigInt64Array.of(from)))
  picked.add(pick(0n))
  // Fails when it runs, as its shape is known already.
  picked.add(pick(5n))
  expect(await picked.result).toMatchObject([[[1]], { code: 'ERR_OP' }])
  other.add(torch.zeros([2], { dtype: 'int64' }))
  expect(await other.result).toMatchObject([[], { code: 'ERR_OP' }])
  sparse.add(torch.ones([2]).toSparse())
  expect(await sparse.result).toMatchObject([[], { code: 'ERR_OP' }])
  const long = new torch.RowReader()
  long.add(torch.zeros([1025]))
  expect(await long.result).toMatchObject([[], { code: 'ERR_OP' }])
  expect(() => sparse.add('row' as never)).toThrow('must be a tensor')
  await torch.synchronize()
})
