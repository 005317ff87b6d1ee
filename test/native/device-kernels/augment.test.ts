/** The device code of augment, run on the host, against the same changes by ATen operators in float64. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Augmentation, type Drawn } from '#lib/data/augmentation.js'
import { Random } from '#lib/data/random.js'
import { latticeFor, splineBasis } from '#lib/data/warp.js'
import type { Tensor } from '#lib/torch/index.js'
import * as torch from '#lib/torch/index.js'
import { loadConfig } from '#lib/training/config.js'
import { distance } from '../../model/parity.js'
import { bytesOf, compileForHost, type HostProgram } from './host.js'

let host: HostProgram
beforeAll(() => {
  host = compileForHost('augment_host.cpp')
})
afterAll(() => host[Symbol.dispose]())
beforeEach(() => torch.manualSeed(1))

type Changes = Drawn['tensors']
const paddings = { zeros: 0, border: 1, reflection: 2 }

/** images, lattice and the weights of its knots, then what else is done to the images. */
interface Example {
  always: [images: Tensor, lattice: Tensor, rows: Tensor, columns: Tensor]
  hole: Changes['hole']
  factor: Tensor | null
  exponent: Tensor | null
}

async function onHost(
  { always, hole, factor, exponent }: Example,
  padding: number,
): Promise<Tensor> {
  const [images, lattice] = always
  const given = [hole, factor, exponent].map((each) => (each ? 1 : 0))
  const words = [...images.shape, ...lattice.shape.slice(2), padding, ...given].map(String)
  const tensors = [
    ...always,
    ...(hole ? [hole.down, hole.across, hole.grey] : []),
    ...[factor, exponent].filter((tensor) => tensor !== null),
  ]
  const inputs = await Promise.all(tensors.map(bytesOf))
  const [out] = host.run(words, inputs, [(inputs[0] as Uint8Array).length]) as [Buffer]
  return torch.fromBuffer(out, { dtype: 'float32', shape: images.shape }).to('float64')
}

function byAten(
  { always, hole, factor, exponent }: Example,
  padding: number,
  dtype: 'float32' | 'float64',
): Tensor {
  const [images, lattice, rows, columns] = always.map((each) => each.to(dtype)) as Example['always']
  const grid = rows.matmul(lattice).matmul(columns).permute([0, 2, 3, 1])
  let source = images
  if (hole) {
    const { down, across, grey } = hole
    source = torch.where(down.mul(across).ne(0), grey.to(dtype), images)
  }
  const bicubic = 2
  let result = torch.gridSampler(source, grid, bicubic, padding, true).clamp(0, 255)
  if (factor) result = result.mul(factor.to(dtype)).clamp(0, 255)
  if (exponent) result = result.div(255).pow(exponent.to(dtype)).mul(255)
  return result.to('float64')
}

/** What the paper's training draws, for images of random greys. */
function drawn(batch: number, size: { width: number; height: number }, seed = 3): Example {
  const config = loadConfig({ preset: 'paper' }).augmentation
  if (!config?.elastic) throw new Error('The preset has no elastic deformation.')
  using augmentation = new Augmentation(config, size)
  const { tensors } = augmentation.draw(new Float64Array(batch * 2), batch, new Random(seed))
  const spacing = config.elastic.sigma * Math.sqrt(3)
  const { rows, columns, ...lattice } = latticeFor(size, {
    x: (spacing * size.width) / 640,
    y: (spacing * size.height) / 800,
  })
  const weights = (length: number, step: number, knots: number) =>
    torch.tensor(splineBasis(length, step, knots), { shape: [length, knots] })
  const images = torch.rand([batch, 1, size.height, size.width]).mul(255)
  return {
    ...tensors,
    always: [
      images,
      tensors.lattice,
      weights(size.height, lattice.spacing.y, rows),
      weights(size.width, lattice.spacing.x, columns).transpose(0, 1).contiguous(),
    ],
  }
}

/** A map that ends far outside of small images. */
function far(shape: [number, number, number, number], reach: number): Example {
  const [batch, , height, width] = shape
  return {
    always: [
      torch.rand(shape).mul(255),
      torch.randn([batch, 2, 5, 6]).mul(reach),
      torch.rand([height, 5]).div(5),
      torch.rand([6, width]).div(6),
    ],
    hole: null,
    factor: null,
    exponent: null,
  }
}

/** The error of float32, which is that of the place in pixels, is that of ATen's operators in float32. */
async function compare(example: Example, padding: number, limit: number): Promise<void> {
  const wanted = byAten(example, padding, 'float64')
  const found = await distance(await onHost(example, padding), wanted)
  expect(found).toBeLessThan(limit)
  const theirs = await distance(byAten(example, padding, 'float32'), wanted)
  expect(found).toBeLessThan(2 * theirs + 1e-6)
}

describe('augment on the device', () => {
  test.each(Object.entries(paddings))(
    'equals ATen in float64 for what the paper draws at 640 x 800, outside filled by %s',
    async (_, padding) => {
      await compare(drawn(2, { width: 640, height: 800 }), padding, 5e-5)
    },
  )

  test('equals it with each of the changes alone, and with none', async () => {
    const all = drawn(4, { width: 97, height: 120 })
    const none = { ...all, hole: null, factor: null, exponent: null }
    for (const each of ['hole', 'factor', 'exponent'] as const)
      await compare({ ...none, [each]: all[each] }, 0, 5e-5)
    await compare(none, 0, 5e-5)
  })

  test.each(Object.entries(paddings))(
    'equals it where the map goes far outside, filled by %s',
    async (_, padding) => {
      await compare(far([3, 2, 9, 14], 3), padding, 5e-5)
      await compare(far([1, 1, 1, 1], 3), padding, 5e-5)
      await compare(far([2, 3, 5, 300], 40), padding, 1e-3)
    },
  )

  test('is the outside where the map is no number', async () => {
    const example = far([1, 1, 6, 7], 1)
    example.always[1].fill_(Number.NaN)
    expect(await (await onHost(example, paddings.zeros)).abs().max().item()).toBe(0)
  })
})
