import * as torch from 'landmark-diffusion/torch'
import { expect, test } from 'vitest'
import { gradientsOf, network } from './network.mjs'
import { runRanks } from './ranks.js'

/** One process: the sum over these batches, by half. */
async function expected(batches: number[]): Promise<number[][]> {
  const { parameters, loss } = network()
  for (const batch of batches) loss(batch).div(2).backward()
  return gradientsOf(parameters)
}

test('the gradients of two ranks are the average over both, accumulated ones too, and the layout stays', async () => {
  const all = await runRanks('reducer', 2)
  for (const { status, stderr } of all) expect([status, stderr]).toEqual([0, ''])
  const [first, second] = all.map(({ lines }) => lines)
  // Two batches a rank and pass.
  for (const [pass, batches] of [
    [0, 1, 2, 3],
    [10, 11, 12, 13],
  ].entries()) {
    expect(first?.[pass]).toEqual(second?.[pass])
    for (const [i, gradient] of (await expected(batches)).entries()) {
      const got: number[] = first?.[pass][i]
      expect(got).toHaveLength(gradient.length)
      for (const [k, value] of gradient.entries()) expect(got[k]).toBeCloseTo(value, 6)
    }
  }
  // After dispose() each rank has its own again, of one batch.
  const { parameters, loss } = network()
  for (const [rank, lines] of [first, second].entries()) {
    torch.clearGradients(parameters)
    loss(rank).backward()
    expect(lines?.[2].own).toEqual(await gradientsOf(parameters))
    expect(lines?.[2].strides).toEqual([27, 1, 9, 3])
  }
})

test('a parameter without a gradient is an error that says which', async () => {
  for (const { lines } of await runRanks('unusedParameter', 2))
    expect(lines[0]).toMatchObject({
      code: 'ERR_OP',
      message: expect.stringContaining('parameter 1 got no gradient'),
    })
})
