/** The device code of fused_adamw_ema_, run on the host, against the same formulas in float64. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Tensor } from '#lib/torch/index.js'
import * as torch from '#lib/torch/index.js'
import { distance } from '../../model/parity.js'
import { bytesOf, compileForHost, type HostProgram } from './host.js'

let host: HostProgram
beforeAll(() => {
  host = compileForHost('fused_adamw_ema_host.cpp')
})
afterAll(() => host[Symbol.dispose]())
beforeEach(() => torch.manualSeed(1))

const settings = { lr: 1e-3, beta1: 0.9, beta2: 0.999, decay: 0.05, eps: 1e-8, ema: 0.01 }
type Parameter = [p: Tensor, g: Tensor, m: Tensor, v: Tensor, average: Tensor]

function exact(lists: Parameter, step: number, scale: number): Tensor[] {
  const { lr, beta1, beta2, decay, eps, ema } = settings
  const [p, gradient, m, v, average] = lists.map((each) => each.to('float64')) as Parameter
  const g = gradient.mul(scale)
  const mean = m.mul(beta1).add(g.mul(1 - beta1))
  const square = v.mul(beta2).add(g.square().mul(1 - beta2))
  const root = square
    .div(1 - beta2 ** step)
    .sqrt()
    .add(eps)
  const weight = p.mul(1 - lr * decay).sub(
    mean
      .div(1 - beta1 ** step)
      .div(root)
      .mul(lr),
  )
  return [weight, mean, square, average.add(weight.sub(average).mul(ema))]
}

describe('fused_adamw_ema_ on the device', () => {
  test.each([1, 1000, 18_000])('equals the formulas in float64 at step %s', async (step) => {
    const scale = 0.25
    // More parameters than one launch takes; lengths around a pack, a block and several blocks.
    const lengths = [1, 2, 3, 4, 5, 255, 4095, 4096, 4097, 10_001, ...new Array(45).fill(7)]
    const parameters = lengths.map((n) => {
      const [p, g, m, average] = [1, 2, 3, 4].map(() => torch.randn([n as number]))
      return [p, g, m, torch.rand([n as number]), average] as Parameter
    })
    const words = [...Object.values(settings), ...lengths].map(String)
    const inputs = [await bytesOf(torch.tensor([step, scale]))]
    for (const parameter of parameters) inputs.push(...(await Promise.all(parameter.map(bytesOf))))
    const sizes = lengths.flatMap((n) => new Array<number>(4).fill(n * 4))
    const out = host.run(words, inputs, sizes)
    for (const [i, parameter] of parameters.entries()) {
      const wanted = exact(parameter, step, scale)
      for (const [k, each] of wanted.entries()) {
        const buffer = out[i * 4 + k] as Buffer
        const made = torch.fromBuffer(buffer, { dtype: 'float32', shape: each.shape }).to('float64')
        expect(await distance(made, each), `parameter ${i}, result ${k}`).toBeLessThan(1e-6)
      }
    }
  })
})
