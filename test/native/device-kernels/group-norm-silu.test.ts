/** The device code of group_norm_silu, run on the host, against ATen in float64. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { UNet } from '#lib/model/index.js'
import type { Tensor } from '#lib/torch/index.js'
import * as torch from '#lib/torch/index.js'
import { distance } from '../../model/parity.js'
import { bytesOf, compileForHost, type HostProgram, pixelsLast, restored } from './host.js'

type DType = 'float32' | 'bfloat16'

const eps = 1e-6
let host: HostProgram

beforeAll(() => {
  host = compileForHost('group_norm_silu_host.cpp')
})
afterAll(() => host[Symbol.dispose]())
beforeEach(() => torch.manualSeed(1))

function vector(buffer: Buffer, shape: number[]): Tensor {
  return torch.fromBuffer(buffer, { dtype: 'float32', shape }).to('float64')
}

async function errors(
  shape: number[],
  groups: number,
  dtype: DType,
  { offset = 0, processors = 132 } = {},
): Promise<Record<string, number>> {
  const [n = 0, c = 0, h = 0, w = 0] = shape
  const draw = (dims: number[], as: DType = dtype) => torch.randn(dims).add(offset).to(as)
  const [x, residual] = [draw(shape), torch.randn(shape).to(dtype)]
  const dy = torch.randn(shape).to(dtype)
  const [weight, bias] = [torch.randn([c]).add(1), torch.randn([c])]
  const size = n * c * h * w * (dtype === 'bfloat16' ? 2 : 4)
  const [statistics, channels] = [n * groups * 4, c * 4]
  const words = [dtype, n, h * w, c, groups, processors, eps].map(String)
  const inputs = [
    ...(await Promise.all([x, residual, dy].map(pixelsLast))),
    ...(await Promise.all([weight, bias].map(bytesOf))),
  ]
  const out = host.run(words, inputs, [
    ...[size, statistics, statistics, size, channels, channels],
    ...[size, statistics, statistics],
  ])

  const exact = x.to('float64').detach().requiresGrad_()
  const w64 = weight.to('float64').detach().requiresGrad_()
  const b64 = bias.to('float64').detach().requiresGrad_()
  const statisticsOf = (of: Tensor) =>
    torch.call('aten::native_group_norm', [of, null, null, n, c, h * w, groups, eps]) as Tensor[]
  const y = torch.silu(torch.groupNorm(exact, groups, w64, b64, eps))
  const [dx, dw, db] = torch.grad([y], [exact, w64, b64], { gradOutputs: [dy.to('float64')] })
  const sum = x
    .to('float32')
    .add(residual.to('float32'))
    .add(bias.reshape([1, c, 1, 1]))
    .to(dtype)
    .to('float64')
  const [, mean, rstd] = statisticsOf(exact.detach())
  const [, sumMean, sumRstd] = statisticsOf(sum)
  const wanted = [y.detach(), mean, rstd, dx, dw, db, sum, sumMean, sumRstd] as Tensor[]
  const kinds = [
    'image',
    'group',
    'group',
    'image',
    'channel',
    'channel',
    'image',
    'group',
    'group',
  ]
  const names = ['y', 'mean', 'rstd', 'dx', 'dweight', 'dbias', 'sum', 'sumMean', 'sumRstd']
  const result: Record<string, number> = {}
  for (const [i, name] of names.entries()) {
    const buffer = out[i] as Buffer
    const made =
      kinds[i] === 'image'
        ? restored(buffer, shape, dtype)
        : vector(buffer, kinds[i] === 'group' ? [n, groups] : [c])
    result[name] = await distance(made, wanted[i] as Tensor)
  }
  return result
}

/** Relative errors: what is rounded to bfloat16 on its way out is as good as its 8 bits, all else is float32. */
function check(found: Record<string, number>, dtype: DType): void {
  const rounded = dtype === 'bfloat16' ? 2.1e-3 : 2e-6
  for (const [name, error] of Object.entries(found)) {
    const limit = ['y', 'dx'].includes(name) ? rounded : name === 'sum' ? 2 ** -24 : 2e-5
    expect(error, name).toBeLessThan(limit)
  }
}

/** [channels, height, width] of every GroupNorm of the paper's network, on a canvas of 96 x 64. */
async function shapesOfNetwork(): Promise<number[][]> {
  const model = new UNet({ landmarks: 19, attention: [] }).eval().requiresGrad_(false)
  const forward = torch.program((x: Tensor, t: Tensor) => model.forward(x, t))
  await forward(torch.zeros([1, 20, 96, 64]), torch.zeros([1], { dtype: 'int64' }))
  const made = /float32\[1, ([\d, ]+)\].* = landmark_diffusion::group_norm_silu\(/g
  const seen = new Set([...forward.toString().matchAll(made)].map(([, shape]) => shape as string))
  forward.dispose()
  model.dispose()
  return [...seen].map((shape) => shape.split(', ').map(Number))
}

describe('group_norm_silu on the device', () => {
  test.each(['float32', 'bfloat16'] as const)(
    'equals ATen in float64 on every shape of the network, in %s',
    async (dtype) => {
      const shapes = await shapesOfNetwork()
      expect(shapes.length).toBeGreaterThan(15)
      for (const shape of shapes) check(await errors([1, ...shape], 32, dtype), dtype)
    },
  )

  test('equals it on a quarter of the canvas', async () => {
    check(await errors([1, 32, 400, 320], 32, 'bfloat16'), 'bfloat16')
  })

  test.each([
    ['several images', [3, 64, 9, 7], 8, 132],
    ['channels that do not fill a pack', [2, 30, 11, 5], 10, 132],
    ['more channels than a block has lanes', [1, 4096, 3, 5], 32, 132],
    ['one pixel', [1, 64, 1, 1], 4, 132],
    ['one multiprocessor', [2, 96, 40, 30], 32, 1],
  ])('takes %s', async (_, shape, groups, processors) => {
    check(await errors(shape as number[], groups, 'float32', { processors }), 'float32')
    check(await errors(shape as number[], groups, 'bfloat16', { processors }), 'bfloat16')
  })

  test('keeps its digits where the mean is a thousand times the spread', async () => {
    const { rstd } = await errors([1, 64, 64, 48], 32, 'float32', { offset: 1000 })
    expect(rstd).toBeLessThan(1e-4)
  })
})
