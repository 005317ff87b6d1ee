/** The pass `preparedWeights`: programs keep what they make of weights, and see every change of them all the same. */
import { afterEach, describe, expect, it } from 'vitest'
import * as nn from '#lib/nn/index.js'
import { Ema, SGD } from '#lib/optim/index.js'
import * as torch from '#lib/torch/index.js'
import { laidOut } from '../native/kernels/compare.js'

afterEach(() => torch.synchronize())

const kept = /conv2d_prepared/
const x = torch.keep(laidOut(torch.randn([1, 8, 20, 24]), 'channels_last'))

const convolve = (weight: torch.Tensor, input = x) =>
  torch.call('landmark_diffusion::conv2d', [input, weight, null, null, 1, 1]) as torch.Tensor

/** A program without gradients of one convolution, checked after each change of its weight against the function itself. */
async function watched(weight: torch.Tensor) {
  const program = torch.program((x: torch.Tensor) => torch.noGrad(() => convolve(weight, x)))
  const check = async () => {
    for (let i = 0; i < 3; i++) {
      const [a, b] = [await program(x), torch.noGrad(() => convolve(weight))]
      expect(await a.sub(b).abs().max().item()).toBe(0)
    }
  }
  await check()
  expect(program.toString()).toMatch(kept)
  return { program, check }
}

const drawn = () => torch.randn([16, 8, 3, 3])

describe('prepared weights', () => {
  it('are those of a weight that was changed in place, through a view, or through detached data', async () => {
    const weight = drawn()
    const { check } = await watched(weight)
    weight.mul_(2)
    await check()
    weight.select(0, 3).select(0, 2).select(0, 1).select(0, 0).add_(1e-3)
    await check()
    // Sign bits alone, of all and of two that stand half a step apart.
    weight.neg_()
    await check()
    weight.reshape([-1]).slice(0, 1, 4, 2).neg_()
    await check()
    // A tensor of its own on the same memory, whose version says nothing of this one's.
    const [other] = [torch.empty([0])]
    torch.call('aten::set_.source_Tensor', [other, weight.detach()])
    other.zero_()
    await check()
  })

  it('are those of a weight whose memory was exchanged', async () => {
    const weight = drawn()
    const { check } = await watched(weight)
    torch.call('aten::set_.source_Tensor', [weight, drawn()])
    await check()
  })

  it('are those of a state that was loaded, and of averages that took the place of weights', async () => {
    const model = new nn.Conv2d(8, 16, 3, { padding: 1, bias: false })
    const { check } = await watched(model.weight)
    const other = new nn.Conv2d(8, 16, 3, { padding: 1, bias: false })
    model.loadStateDict(other.stateDict())
    await check()
    const ema = new Ema(model, { decay: 0.5 })
    torch.noGrad(() => model.weight.add_(1))
    ema.update()
    await ema.use(check)
    await check()
  })

  it('are those of a weight that another program wrote to', async () => {
    const weight = drawn()
    const { check } = await watched(weight)
    const writer = torch.program(() => weight.add_(0.25).sum())
    for (let i = 0; i < 3; i++) {
      await writer()
      await check()
    }
  })

  it('are not kept by programs that train them or write to them', async () => {
    const weight = drawn().requiresGrad_()
    const optimizer = new SGD([weight], { lr: 0.1 })
    const step = torch.program((x: torch.Tensor) => {
      const loss = convolve(weight, x).square().mean()
      loss.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return loss
    })
    await step(x)
    expect(step.toString()).not.toMatch(kept)
    const writer = torch.program((x: torch.Tensor) =>
      torch.noGrad(() => {
        weight.mul_(2)
        return convolve(weight, x)
      }),
    )
    await writer(x)
    expect(writer.toString()).not.toMatch(kept)
  })

  it('are counted, and let go when memory is trimmed or the weight is gone', async () => {
    torch.emptyCache()
    await torch.synchronize()
    expect(torch.memory().preparedBytes).toBe(0)
    const weight = drawn()
    const { program, check } = await watched(weight)
    // 36 points, 8 channels in, a panel of output channels, and a little between the points.
    expect(torch.memory().preparedBytes).toBeGreaterThanOrEqual(36 * 8 * 16 * 4)
    expect(torch.memory().preparedBytes).toBeLessThan(2 * 36 * 8 * 32 * 4)
    torch.emptyCache()
    await torch.synchronize()
    expect(torch.memory().preparedBytes).toBe(0)
    await check()
    const before = torch.memory().preparedBytes
    program.dispose()
    weight.dispose()
    // The next weight takes the place of those that are gone.
    const next = await watched(drawn())
    expect(torch.memory().preparedBytes).toBe(before)
    next.program.dispose()
  })
})
