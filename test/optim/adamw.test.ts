/** AdamW against the formula of the paper, worked out in double precision here. */
import { describe, expect, it } from 'vitest'
import { AdamW } from '#lib/optim/index.js'
import * as torch from '#lib/torch/index.js'

const options = { lr: 0.1, betas: [0.8, 0.9], weightDecay: 0.05, eps: 1e-6 } as const

/** One AdamW step per gradient on a single weight. */
function byHand(
  start: number,
  gradients: number[],
  lr = (_step: number) => options.lr as number,
): number[] {
  let [weight, mean, square] = [start, 0, 0]
  return gradients.map((gradient, i) => {
    const rate = lr(i)
    weight -= rate * options.weightDecay * weight
    mean = 0.8 * mean + 0.2 * gradient
    square = 0.9 * square + 0.1 * gradient ** 2
    const corrected = Math.sqrt(square / (1 - 0.9 ** (i + 1))) + options.eps
    weight -= (rate * (mean / (1 - 0.8 ** (i + 1)))) / corrected
    return weight
  })
}

function leaf(values: number[]): torch.Tensor {
  return torch.keep(torch.tensor(Float32Array.from(values)).requiresGrad_())
}

/** Gives `parameter` the gradient `values` by a backward pass of its product with them. */
function backward(parameter: torch.Tensor, values: number[]): void {
  torch.scope(() => {
    parameter
      .mul(torch.tensor(Float32Array.from(values)))
      .sum()
      .backward()
  })
}

describe('AdamW', () => {
  it('follows the published update, with weight decay apart from the gradient', async () => {
    const weight = leaf([1, -2])
    const optimizer = new AdamW([weight], options)
    const gradients = [
      [0.5, -1],
      [0.25, 3],
      [-1, 0.1],
    ]
    const wanted = [0, 1].map((k) =>
      byHand(
        [1, -2][k] as number,
        gradients.map((g) => g[k] as number),
      ),
    )
    for (const [i, gradient] of gradients.entries()) {
      optimizer.zeroGrad()
      backward(weight, gradient)
      optimizer.step()
      const values = await weight.data()
      expect(values[0]).toBeCloseTo(wanted[0]?.[i] as number, 5)
      expect(values[1]).toBeCloseTo(wanted[1]?.[i] as number, 5)
    }
    optimizer.dispose()
    weight.dispose()
  })

  it('takes the learning rate that stands when it steps', async () => {
    const weight = leaf([1])
    const optimizer = new AdamW([weight], options)
    const rate = (step: number) => 0.01 * (step + 1)
    const wanted = byHand(1, [1, 2], rate)
    for (const [i, gradient] of [1, 2].entries()) {
      optimizer.lr = rate(i)
      optimizer.zeroGrad()
      backward(weight, [gradient])
      optimizer.step()
    }
    expect((await weight.data())[0]).toBeCloseTo(wanted[1] as number, 5)
    optimizer.dispose()
    weight.dispose()
  })

  it('leaves a parameter that no gradient reaches alone, weight decay too', async () => {
    const [used, unused] = [leaf([1]), leaf([1])]
    const optimizer = new AdamW([used, unused], options)
    backward(used, [1])
    optimizer.step()
    expect(await unused.tolist()).toEqual([1])
    expect(await optimizer.stateDict()['1.exp_avg']?.tolist()).toEqual([0])
    expect(await used.tolist()).not.toEqual([1])
    optimizer.dispose()
  })

  it('goes on from a saved state exactly as if it had never stopped', async () => {
    const [straight, resumed] = [leaf([1, 2, 3]), leaf([1, 2, 3])]
    const first = new AdamW([['w', straight]], options)
    const before = new AdamW([['w', resumed]], options)
    const after = new AdamW([['w', resumed]], options)
    const step = (optimizer: AdamW, weight: torch.Tensor, gradient: number[]) => {
      optimizer.zeroGrad()
      backward(weight, gradient)
      optimizer.step()
    }
    step(first, straight, [1, -2, 0.5])
    step(before, resumed, [1, -2, 0.5])
    expect(Object.keys(before.stateDict())).toEqual(['w.step', 'w.exp_avg', 'w.exp_avg_sq'])
    after.loadStateDict(before.stateDict())
    step(first, straight, [0.3, 0.2, -7])
    step(after, resumed, [0.3, 0.2, -7])
    expect(await resumed.data()).toEqual(await straight.data())
    for (const optimizer of [first, before, after]) optimizer.dispose()
  })

  it('refuses a state of other parameters and names the difference', () => {
    const optimizer = new AdamW([['w', leaf([1])]], options)
    const other = new AdamW([['v', leaf([1])]], options)
    expect(() => optimizer.loadStateDict(other.stateDict())).toThrow(
      expect.objectContaining({
        code: 'ERR_CHECKPOINT',
        message: expect.stringContaining('w.step is missing'),
      }),
    )
  })

  it('keeps the number of live tensors constant from step to step', () => {
    const weight = leaf([1, 2])
    const optimizer = new AdamW([weight], options)
    const counts = [1, 2, 3].map(() => {
      optimizer.zeroGrad()
      backward(weight, [1, 1])
      optimizer.step()
      optimizer.zeroGrad()
      return torch.memory().tensors
    })
    expect(counts[2]).toBe(counts[1])
    optimizer.dispose()
  })
})
