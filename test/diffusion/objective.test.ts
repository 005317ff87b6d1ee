/** Losses, gradients and whole training steps against PyTorch, and against values worked out here. */
import { describe, expect, it } from 'vitest'
import {
  BaselineObjective,
  type Denoiser,
  EpsilonObjective,
  type Loss,
  type LossWeights,
  maskedMse,
  NoiseSchedule,
  type NoiseScheduleOptions,
  oneHotHeatmaps,
  spatialNll,
  X0Objective,
} from '#lib/diffusion/index.js'
import type { UNet } from '#lib/model/index.js'
import { AdamW, clipGradNorm_, Ema } from '#lib/optim/index.js'
import * as torch from '#lib/torch/index.js'
import {
  batchOf,
  buildModel,
  type Case,
  distance,
  expectAllClose,
  fixture,
  named,
  norm,
  only,
  type Tensors,
} from '../model/parity.js'

type Diffusion = NoiseScheduleOptions & LossWeights & { objective: 'x0' | 'epsilon' | 'none' }

function lossOf(diffusion: Diffusion, model: UNet, tensors: Tensors): Loss {
  const schedule = new NoiseSchedule(diffusion)
  const batch = batchOf(tensors)
  if (diffusion.objective === 'none') return new BaselineObjective(diffusion).loss(model, batch)
  const dropped = tensors['input.dropped']
  const draws = {
    t: only(tensors, 'input.t'),
    noise: only(tensors, 'input.noise'),
    ...(dropped ? { dropped } : {}),
  }
  const objective =
    diffusion.objective === 'x0'
      ? new X0Objective(schedule, diffusion)
      : new EpsilonObjective(schedule)
  const loss = objective.loss(model, batch, draws)
  objective.dispose()
  return loss
}

describe('objectives', () => {
  it.each(['x0', 'x0-dropped', 'x0-legacy', 'epsilon', 'none'])(
    'give the loss and every gradient of the reference (%s)',
    async (name) => {
      const { description, tensors } = await fixture<Case & { diffusion: Diffusion }>(
        `objective-${name}`,
      )
      using model = buildModel(description, named(tensors, 'weights.'))
      await torch.scopeAsync(async () => {
        const { loss, nll, mse } = lossOf(description.diffusion, model, tensors)
        loss.backward()
        await expectAllClose({ loss, nll, mse }, named(tensors, 'expected.'))
        const wanted = named(tensors, 'grad.')
        const largest = Math.max(...(await Promise.all(Object.values(wanted).map(norm))))
        const found = Object.fromEntries(
          [...model.namedParameters()].map(([name, tensor]) => [name, tensor.grad as torch.Tensor]),
        )
        // The keys' bias has no effect: its gradient is rounding noise, measured against the largest.
        await expectAllClose(found, wanted, { floor: 1e-3 * largest })
      })
    },
  )

  it.each(['training', 'training-clipped'])(
    'three AdamW steps and the average are those of the reference (%s)',
    async (name) => {
      const { description, tensors } = await fixture<
        Case & {
          diffusion: Diffusion
          steps: number
          train: {
            lr: number
            weightDecay: number
            betas: [number, number]
            eps: number
            clipNorm: number | null
            ema: { decay: number }
          }
        }
      >(name)
      const { train, steps, diffusion } = description
      using model = buildModel(description, named(tensors, 'weights.'))
      const { lr, weightDecay, betas, eps } = train
      const optimizer = new AdamW(model.namedParameters(), { lr, weightDecay, betas, eps })
      const ema = new Ema(model, train.ema)
      for (let step = 0; step < steps; step++) {
        await torch.scopeAsync(async () => {
          const inputs = Object.fromEntries(
            Object.entries(named(tensors, 'input.')).map(([key, tensor]) => [
              `input.${key}`,
              tensor.select(0, step),
            ]),
          )
          optimizer.zeroGrad()
          const { loss } = lossOf(diffusion, model, inputs)
          loss.backward()
          const clipped =
            train.clipNorm === null ? null : clipGradNorm_(model.parameters(), train.clipNorm)
          optimizer.step()
          ema.update()
          expect(await distance(loss, only(tensors, 'expected.loss').select(0, step))).toBeLessThan(
            1e-5,
          )
          if (clipped)
            expect(
              await distance(clipped, only(tensors, 'expected.norm').select(0, step)),
            ).toBeLessThan(1e-5)
          await expectAllClose(model.stateDict(), named(tensors, `expected.step${step + 1}.`))
          await expectAllClose(ema.stateDict(), named(tensors, `expected.ema${step + 1}.`))
        })
      }
      optimizer.dispose()
      ema.dispose()
    },
  )
})

describe('losses', () => {
  const size = { height: 2, width: 3 }

  it('the likelihood of equal logits is the logarithm of the number of pixels', async () => {
    await torch.scopeAsync(async () => {
      const logits = torch.full([1, 2, 800, 640], 0.25)
      const target = torch.tensor(BigInt64Array.of(0n, 511_999n)).reshape([1, 2])
      const nll = spatialNll(logits, target, torch.ones([1, 2]))
      expect(await nll.item()).toBeCloseTo(13.146, 3)
    })
  })

  it('one pixel at +1 and the rest at -1 leaves 11.15: why the logits must be unbounded', async () => {
    await torch.scopeAsync(async () => {
      const target = torch.tensor(BigInt64Array.of(1234n)).reshape([1, 1])
      const mask = torch.ones([1, 1])
      const x0 = oneHotHeatmaps(target, mask, { height: 800, width: 640 })
      expect(await spatialNll(x0, target, mask).item()).toBeCloseTo(11.15, 2)
    })
  })

  it('one-hot heatmaps are +1 at y * W + x, -1 elsewhere, and empty where masked', async () => {
    await torch.scopeAsync(async () => {
      const target = torch.tensor(BigInt64Array.of(4n, -1n)).reshape([1, 2])
      const mask = torch.tensor(Float32Array.of(1, 0)).reshape([1, 2])
      expect(await oneHotHeatmaps(target, mask, size).tolist()).toEqual([
        [
          [
            [-1, -1, -1],
            [-1, 1, -1],
          ],
          [
            [-1, -1, -1],
            [-1, -1, -1],
          ],
        ],
      ])
    })
  })

  it('masked landmarks count in neither loss, and a batch without any gives 0', async () => {
    await torch.scopeAsync(async () => {
      const target = torch.tensor(BigInt64Array.of(4n, -1n)).reshape([1, 2])
      const mask = torch.tensor(Float32Array.of(1, 0)).reshape([1, 2])
      const logits = torch.randn([1, 2, 2, 3])
      const x0 = oneHotHeatmaps(target, mask, size)
      const alone = [logits, x0].map((tensor) => tensor.narrow(1, 0, 1)) as [
        torch.Tensor,
        torch.Tensor,
      ]
      const one = torch.ones([1, 1])
      const nll = await spatialNll(logits, target, mask).item()
      expect(nll).toBeCloseTo(
        Number(await spatialNll(alone[0], target.narrow(1, 0, 1), one).item()),
        6,
      )
      const mse = await maskedMse(logits, x0, mask).item()
      expect(mse).toBeCloseTo(Number(await maskedMse(alone[0], alone[1], one).item()), 6)
      expect(await spatialNll(logits, target, mask.mul(0)).item()).toBeCloseTo(0, 12)
    })
  })

  it('draws t over the whole schedule, noises the heatmaps and not the image', async () => {
    const schedule = new NoiseSchedule({ timesteps: 4 })
    const objective = new X0Objective(schedule, { channelDropout: 1 })
    const seen: number[] = []
    await torch.scopeAsync(async () => {
      const image = torch.rand([64, 1, 4, 4])
      const target = torch.zeros([64, 1], { dtype: 'int64' })
      const states: torch.Tensor[] = []
      const model: Denoiser = {
        landmarks: 1,
        denoise(noised, clean, t) {
          expect(clean).toBe(image)
          states.push(torch.keep(noised.clone()), torch.keep(t.clone()))
          return noised
        },
      }
      const noise = torch.zeros([64, 1, 4, 4])
      objective.loss(model, { image, target, mask: torch.ones([64, 1]) }, { noise })
      const [noised, t] = states as [torch.Tensor, torch.Tensor]
      const values = (await noised.tolist()) as number[][][][]
      const times = Array.from(await t.data(), Number)
      seen.push(...times)
      times.forEach((time, b) => {
        for (const value of values[b]?.flat(2) ?? []) {
          expect(value).toBeCloseTo(-Math.sqrt(schedule.alphaBar[time] as number), 6)
        }
      })
      for (const tensor of states) tensor.dispose()
    })
    expect([...new Set(seen)].sort()).toEqual([0, 1, 2, 3])
    objective.dispose()
  })

  it('leave nothing behind but the three numbers', () => {
    const objective = new X0Objective(new NoiseSchedule(), { channelDropout: 0.5 })
    const model: Denoiser = { landmarks: 2, denoise: (noised) => noised.mul(2) }
    const image = torch.zeros([1, 1, 4, 4])
    const batch = {
      image,
      target: torch.zeros([1, 2], { dtype: 'int64' }),
      mask: torch.ones([1, 2]),
    }
    const count = () => {
      const { loss, nll, mse } = objective.loss(model, batch)
      const live = torch.memory().tensors
      for (const tensor of [loss, nll, mse]) tensor.dispose()
      return live
    }
    const before = torch.memory().tensors
    expect(count()).toBe(before + 3)
    expect(count()).toBe(before + 3)
    expect(torch.memory().tensors).toBe(before)
    for (const tensor of Object.values(batch)) tensor.dispose()
    objective.dispose()
  })
})
