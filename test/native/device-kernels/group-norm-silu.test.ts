/** The device code of group_norm_silu and group_norm, run on the host, against ATen in float64. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Tensor } from '#lib/torch/index.js'
import * as torch from '#lib/torch/index.js'
import { loadConfig } from '#lib/training/config.js'
import { createModel } from '#lib/training/parts.js'
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

const eps = 1e-6
let host: HostProgram

beforeAll(() => {
  host = compileForHost('group_norm_silu_host.cpp')
})
afterAll(() => host[Symbol.dispose]())
beforeEach(() => torch.manualSeed(1))

/** What a norm makes, and where it lies: for each pixel, for each group, or for each channel. */
const results = {
  y: 'image',
  mean: 'group',
  rstd: 'group',
  dx: 'image',
  dweight: 'channel',
  dbias: 'channel',
  sum: 'image',
  sumMean: 'group',
  sumRstd: 'group',
} as const
type Results = Record<keyof typeof results, Tensor>

interface Example {
  x: Tensor
  residual: Tensor
  dy: Tensor
  weight: Tensor
  bias: Tensor
}

/** By ATen in float64. */
function exact({ x, residual, dy, weight, bias }: Example, groups: number, silu: boolean): Results {
  const [n = 0, c = 0, h = 0, w = 0] = x.shape
  const [x64, w64, b64] = [x, weight, bias].map((each) =>
    each.to('float64').detach().requiresGrad_(),
  ) as [Tensor, Tensor, Tensor]
  const norm = torch.groupNorm(x64, groups, w64, b64, eps)
  const y = silu ? torch.silu(norm) : norm
  const [dx, dweight, dbias] = torch.grad([y], [x64, w64, b64], {
    gradOutputs: [dy.to('float64')],
  }) as [Tensor, Tensor, Tensor]
  const sum = x
    .to('float32')
    .add(residual.to('float32'))
    .add(bias.reshape([1, c, 1, 1]))
    .to(x.dtype)
    .to('float64')
  const statisticsOf = (of: Tensor) =>
    torch.call('aten::native_group_norm', [of, null, null, n, c, h * w, groups, eps]) as Tensor[]
  const [, mean, rstd] = statisticsOf(x64.detach()) as [Tensor, Tensor, Tensor]
  const [, sumMean, sumRstd] = statisticsOf(sum) as [Tensor, Tensor, Tensor]
  return { y: y.detach(), mean, rstd, dx, dweight, dbias, sum, sumMean, sumRstd }
}

/** By the device's code on the host. */
async function onHost(
  { x, residual, dy, weight, bias }: Example,
  groups: number,
  processors: number,
  silu: boolean,
): Promise<Results> {
  const [n = 0, c = 0, h = 0, w = 0] = x.shape
  const dtype = x.dtype as DType
  const lengths = {
    image: n * c * h * w * (dtype === 'bfloat16' ? 2 : 4),
    group: n * groups * 4,
    channel: c * 4,
  }
  const words = [dtype, n, h * w, c, groups, processors, eps, silu ? 'silu' : 'plain'].map(String)
  const inputs = [
    ...(await Promise.all([x, residual, dy].map(pixelsLast))),
    ...(await Promise.all([weight, bias].map(bytesOf))),
  ]
  const kinds = Object.entries(results)
  const out = host.run(
    words,
    inputs,
    kinds.map(([, kind]) => lengths[kind]),
  )
  const tensors = kinds.map(([name, kind], i) => {
    const buffer = out[i] as Buffer
    if (kind === 'image') return [name, restored(buffer, x.shape, dtype)]
    const shape = kind === 'group' ? [n, groups] : [c]
    return [name, torch.fromBuffer(buffer, { dtype: 'float32', shape })]
  })
  return Object.fromEntries(tensors)
}

/** So many values at once are compared in float64: a group is normalised by itself, so groups are taken in turn. */
const atOnce = 1 << 22

/** Relative error of each result, Euclidean norms over all of its values. */
async function errors(
  shape: number[],
  groups: number,
  dtype: DType,
  { offset = 0, processors = 132, silu = true } = {},
): Promise<Record<string, number>> {
  const [, c = 0] = shape
  const example: Example = {
    x: torch.randn(shape).add(offset).to(dtype),
    residual: torch.randn(shape).to(dtype),
    dy: torch.randn(shape).to(dtype),
    weight: torch.randn([c]).add(1),
    bias: torch.randn([c]),
  }
  const made = await onHost(example, groups, processors, silu)
  const size = c / groups
  const values = shape.reduce((product, length) => product * length)
  const share = Math.max(1, Math.floor((groups * atOnce) / values))
  const sums = Object.keys(results).map((name) => ({ name, error: 0, norm: 0 }))
  for (let first = 0; first < groups; first += share)
    await torch.scopeAsync(async () => {
      const count = Math.min(share, groups - first)
      const channels = (x: Tensor) => x.narrow(x.dim() === 1 ? 0 : 1, first * size, count * size)
      const part = Object.fromEntries(Object.entries(example).map(([k, x]) => [k, channels(x)]))
      const wanted = exact(part as unknown as Example, count, silu)
      const squares = sums.map(({ name }) => {
        const key = name as keyof Results
        const all = made[key]
        const own = results[key] === 'group' ? all.narrow(1, first, count) : channels(all)
        const difference = own.to('float64').sub(wanted[key])
        return [difference.square().sum(), wanted[key].square().sum()] as const
      })
      for (const [i, [error, norm]] of squares.entries()) {
        const sum = sums[i] as (typeof sums)[number]
        sum.error += Number(await error.item())
        sum.norm += Number(await norm.item())
      }
    })
  return Object.fromEntries(
    sums.map(({ name, error, norm }) => [name, Math.sqrt(error) / (Math.sqrt(norm) || 1)]),
  )
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
  // As on a GPU.
  model.joins = true
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

/** With a canvas that there is time for. At least so many kinds, with SiLU and without. */
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

  // The norms of a fifth of the canvas, each side five times as long.
  test.skipIf(!fullCanvas)(
    `every norm of the paper on its canvas of 640 x 800 equals ATen in float64, in both precisions${whyNot}`,
    { timeout: 900_000 },
    async () => {
      const norms = await normsOf('paper', [160, 128])
      expect(norms.length).toBeGreaterThanOrEqual(20)
      for (const { shape, groups, silu } of norms) {
        const [n = 0, c = 0, h = 0, w = 0] = shape
        const full = [n, c, h * 5, w * 5]
        for (const dtype of ['float32', 'bfloat16'] as const) {
          const found = await errors(full, groups, dtype, { silu })
          console.log(`${dtype} [${full}], ${groups} groups${silu ? ', SiLU' : ''}:`, found)
          check(found, dtype)
        }
      }
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
