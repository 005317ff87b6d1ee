/** The device code of group_norm_silu and group_norm, run on the host, against ATen in float64. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Tensor } from '#lib/torch/index.js'
import * as torch from '#lib/torch/index.js'
import { loadConfig } from '#lib/training/config.js'
import { createModel } from '#lib/training/parts.js'
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
  { offset = 0, processors = 132, silu = true } = {},
): Promise<Record<string, number>> {
  const [n = 0, c = 0, h = 0, w = 0] = shape
  const draw = (dims: number[], as: DType = dtype) => torch.randn(dims).add(offset).to(as)
  const [x, residual] = [draw(shape), torch.randn(shape).to(dtype)]
  const dy = torch.randn(shape).to(dtype)
  const [weight, bias] = [torch.randn([c]).add(1), torch.randn([c])]
  const size = n * c * h * w * (dtype === 'bfloat16' ? 2 : 4)
  const [statistics, channels] = [n * groups * 4, c * 4]
  const words = [dtype, n, h * w, c, groups, processors, eps, silu ? 'silu' : 'plain'].map(String)
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
  const norm = torch.groupNorm(exact, groups, w64, b64, eps)
  const y = silu ? torch.silu(norm) : norm
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

interface Norm {
  shape: number[]
  groups: number
  silu: boolean
}

/** Every GroupNorm that the network of a preset calls, on a canvas of this size, each once. */
async function normsOf(preset: string, [height, width]: [number, number]): Promise<Norm[]> {
  const config = loadConfig({ preset, set: [`data.height=${height}`, `data.width=${width}`] })
  const model = createModel(config).eval().requiresGrad_(false)
  const { batchSize } = config.train
  const forward = torch.program((x: Tensor, t: Tensor) => model.forward(x, t))
  const noise = torch.zeros([batchSize, model.landmarks + 1, height, width])
  await forward(noise, torch.zeros([batchSize], { dtype: 'int64' }))
  const line =
    /float32\[([\d, ]+)\], .* = landmark_diffusion::group_norm(_silu)?\(%\d+, %\d+, %\d+, (\d+), /g
  const found = [...forward.toString().matchAll(line)].map(([, shape = '', silu, groups]) =>
    JSON.stringify({
      shape: shape.split(', ').map(Number),
      groups: Number(groups),
      silu: silu !== undefined,
    }),
  )
  forward.dispose()
  model.dispose()
  return [...new Set(found)].map((norm) => JSON.parse(norm))
}

/** With what the canvas is here: the paper's own takes minutes. At least so many kinds, with SiLU and without. */
const networks: [string, [number, number], [number, number]][] = [
  ['paper', [96, 64], [16, 4]],
  ['isbi-diffusion', [96, 64], [10, 1]],
  ['small', [120, 96], [8, 0]],
  ['tiny', [40, 32], [3, 1]],
]

describe('on the device', () => {
  test.each(networks)(
    'every norm of the network of %s equals ATen in float64, in both precisions',
    async (preset, canvas, [withSilu, without]) => {
      const norms = await normsOf(preset, canvas)
      expect(norms.filter(({ silu }) => silu).length).toBeGreaterThanOrEqual(withSilu)
      expect(norms.filter(({ silu }) => !silu).length).toBeGreaterThanOrEqual(without)
      for (const { shape, groups, silu } of norms)
        for (const dtype of ['float32', 'bfloat16'] as const)
          check(await errors(shape, groups, dtype, { silu }), dtype)
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
