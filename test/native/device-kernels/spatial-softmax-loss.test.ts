/** The device code of spatial_softmax_loss, run on the host, against the same loss of ATen operators in float64. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { oneHotHeatmaps } from '#lib/diffusion/index.js'
import type { Tensor } from '#lib/torch/index.js'
import * as torch from '#lib/torch/index.js'
import { distance } from '../../model/parity.js'
import {
  bytesOf,
  compileForHost,
  fullCanvas,
  type HostProgram,
  pixelsLast,
  restored,
  whyNot,
} from './host.js'

type DType = 'float32' | 'bfloat16'

let host: HostProgram
beforeAll(() => {
  host = compileForHost('spatial_softmax_loss_host.cpp')
})
afterAll(() => host[Symbol.dispose]())
beforeEach(() => torch.manualSeed(1))

interface Example {
  logits: Tensor
  target: Tensor
  mask: Tensor
}

function example(shape: number[], dtype: DType, scale = 3): Example {
  const [b = 0, n = 0, h = 0, w = 0] = shape
  const logits = torch.randn(shape).mul(scale).to(dtype)
  const target = torch.randint(0, h * w, [b, n], { dtype: 'int64' })
  return { logits, target, mask: torch.rand([b, n]).gt(0.2).to('float32') }
}

/** nll, mse, the logarithm of the sum of exponentials and the gradient of 0.7 nll + 0.3 mse, [B, N, H, W]. */
async function onHost({ logits, target, mask }: Example, dtype: DType, blocks: number) {
  const [b = 0, n = 0, h = 0, w = 0] = logits.shape
  const inputs = [await pixelsLast(logits), ...(await Promise.all([target, mask].map(bytesOf)))]
  inputs.push(await bytesOf(torch.tensor([0.7, 0.3])))
  const [losses, largest, exponentials, dx] = host.run(
    [dtype, b, h * w, n, blocks].map(String),
    inputs,
    [8, b * n * 4, b * n * 4, b * n * h * w * (dtype === 'bfloat16' ? 2 : 4)],
  ) as [Buffer, Buffer, Buffer, Buffer]
  const each = (bytes: Buffer) =>
    torch.fromBuffer(bytes, { dtype: 'float32', shape: [b, n] }).to('float64')
  return {
    losses: torch.fromBuffer(losses, { dtype: 'float32', shape: [2] }).to('float64'),
    logSumExp: each(largest).add(each(exponentials).log()),
    dx: restored(dx, logits.shape, dtype),
  }
}

function exact({ logits, target, mask }: Example) {
  const [, , height = 0, width = 0] = logits.shape
  const x = logits.to('float64').detach().requiresGrad_()
  const m = mask.to('float64')
  const known = m.sum().clamp(1)
  const logSumExp = x.flatten(2).logsumexp(2)
  const at = x.flatten(2).gather(2, target.unsqueeze(2)).squeeze(2)
  const nll = logSumExp.sub(at).mul(m).sum().div(known)
  const x0 = oneHotHeatmaps(target, m, { height, width })
  const mse = x.sub(x0).square().flatten(2).mean(2).mul(m).sum().div(known)
  const [dx] = torch.grad([nll.mul(0.7).add(mse.mul(0.3))], [x])
  return {
    losses: torch.stack([nll, mse]).detach(),
    logSumExp: logSumExp.detach(),
    dx: dx as Tensor,
  }
}

/** scale: of the logits; a logarithm of that size is rounded by as much more. */
async function compare(
  given: Example,
  dtype: DType,
  { blocks = 528, scale = 1 } = {},
): Promise<void> {
  const [made, wanted] = [await onHost(given, dtype, blocks), exact(given)]
  expect(await distance(made.losses, wanted.losses)).toBeLessThan(2e-6)
  expect(await distance(made.logSumExp, wanted.logSumExp)).toBeLessThan(1e-6)
  expect(await distance(made.dx, wanted.dx)).toBeLessThan(
    dtype === 'bfloat16' ? 2.1e-3 : 2e-6 * scale,
  )
}

describe('spatial_softmax_loss on the device', () => {
  test.each(['float32', 'bfloat16'] as const)('equals ATen in float64, in %s', async (dtype) => {
    await compare(example([1, 19, 200, 160], dtype), dtype)
    await compare(example([3, 19, 33, 17], dtype), dtype)
    await compare(example([2, 300, 5, 7], dtype), dtype)
    await compare(example([1, 1, 1, 1], dtype), dtype, { blocks: 1 })
  })

  test.skipIf(!fullCanvas)(
    `equals ATen in float64 on the canvas of 640 x 800${whyNot}`,
    { timeout: 300_000 },
    async () => {
      await compare(example([1, 19, 800, 640], 'float32'), 'float32')
      await compare(example([1, 19, 800, 640], 'bfloat16'), 'bfloat16')
    },
  )

  test('takes logits of a trained network, where one pixel has all the weight', async () => {
    await compare(example([1, 19, 64, 48], 'float32', 40), 'float32', { scale: 10 })
  })

  test('is 0 where no landmark is known', async () => {
    const given = { ...example([1, 4, 8, 8], 'float32'), mask: torch.zeros([1, 4]) }
    const { losses, dx } = await onHost(given, 'float32', 8)
    expect(await losses.tolist()).toEqual([0, 0])
    expect(await dx.abs().sum().item()).toBe(0)
  })

  test('is no number where a known target lies outside of the picture', async () => {
    const given = example([1, 3, 8, 8], 'float32')
    const outside = {
      ...given,
      mask: torch.ones([1, 3]),
      target: torch.full([1, 3], 64, { dtype: 'int64' }),
    }
    const { losses } = await onHost(outside, 'float32', 8)
    expect(await losses.tolist()).toEqual([Number.NaN, Number.NaN])
  })
})
