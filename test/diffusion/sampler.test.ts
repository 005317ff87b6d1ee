/** The reverse chain against PyTorch with the same noise, and its manners: aborts, callbacks, memory. */
import { describe, expect, it } from 'vitest'
import {
  type Denoiser,
  NoiseSchedule,
  type NoiseScheduleOptions,
  oneHotHeatmaps,
  Sampler,
  type SamplerOptions,
} from '#lib/diffusion/index.js'
import * as torch from '#lib/torch/index.js'
import { buildModel, type Case, distance, fixture, named, only } from '../model/parity.js'

interface Variant extends SamplerOptions {
  name: string
  objective: 'x0' | 'epsilon'
}

describe('Sampler', async () => {
  const { description, tensors } = await fixture<
    Case & { diffusion: NoiseScheduleOptions; variants: Variant[] }
  >('sampler')
  const schedule = new NoiseSchedule(description.diffusion)
  const model = buildModel(description, named(tensors, 'weights.'))
  const image = only(tensors, 'input.image')

  it.each(description.variants)(
    '$name: the chain of the reference with the same noise',
    async (variant) => {
      const { name, objective, steps, blur, posteriorVariance, prior } = variant
      const sampler = new Sampler(schedule, {
        prediction: objective,
        steps,
        blur,
        posteriorVariance,
        prior,
      })
      await torch.scopeAsync(async () => {
        const noise = Array.from({ length: steps as number }, (_, i) =>
          only(tensors, 'input.noise').select(0, i),
        )
        const { logits } = await sampler.sample(model, image, { noise })
        expect(await distance(logits, only(tensors, `expected.${name}.logits`))).toBeLessThan(1e-5)
      })
    },
  )

  it('finds the pixel of an oracle, whatever the method', async () => {
    await torch.scopeAsync(async () => {
      const target = torch.tensor(BigInt64Array.of(7n, 100n, 383n)).reshape([1, 3])
      const x0 = oneHotHeatmaps(target, torch.ones([1, 3]), { height: 24, width: 16 })
      const oracle: Denoiser = { landmarks: 3, denoise: () => x0.clone() }
      const picture = torch.zeros([1, 1, 24, 16])
      const full = new NoiseSchedule()
      for (const options of [
        { steps: 1 },
        { steps: 10, method: { kind: 'ddim', eta: 0 } },
        { steps: 10, average: 'chain', chains: 2 },
        { steps: 4, prior: 'background-mean' },
      ] as const satisfies SamplerOptions[]) {
        const { logits } = await new Sampler(full, options).sample(oracle, picture)
        const found = await logits.flatten(2).argmax(2).data()
        expect(Array.from(found, Number)).toEqual([7, 100, 383])
      }
    })
  })

  it('averages the softmax maps of steps and of chains', async () => {
    await torch.scopeAsync(async () => {
      const maps = [
        torch.randn([1, 1, 4, 4]),
        torch.randn([1, 1, 4, 4]),
        torch.randn([1, 1, 4, 4]),
        torch.randn([1, 1, 4, 4]),
      ]
      let evaluation = 0
      const scripted: Denoiser = {
        landmarks: 1,
        denoise: () => (maps[evaluation++ % 4] as torch.Tensor).clone(),
      }
      const sampler = new Sampler(new NoiseSchedule(), { steps: 2, chains: 2, average: 'chain' })
      const { logits, chains } = await sampler.sample(scripted, torch.zeros([1, 1, 4, 4]))
      const mean = (list: torch.Tensor[]) =>
        list
          .map((map) => map.flatten(2).softmax(2))
          .reduce((a, b) => a.add(b))
          .div(list.length)
      expect(await distance(logits.flatten(2).softmax(2), mean(maps))).toBeLessThan(1e-6)
      expect(chains).toHaveLength(2)
      expect(
        await distance((chains[1] as torch.Tensor).flatten(2).softmax(2), mean(maps.slice(2))),
      ).toBeLessThan(1e-6)
    })
  })

  it('starts from an informed prior at t0 and visits earlier times only', async () => {
    const times: number[] = []
    await torch.scopeAsync(async () => {
      const x0 = torch.full([1, 1, 4, 4], 0.5)
      const states: torch.Tensor[] = []
      const spy: Denoiser = {
        landmarks: 1,
        denoise(noised, _, t) {
          states.push(torch.keep(noised.clone()))
          return noised.add(t.to('float32').mul(0).sum())
        },
      }
      const full = new NoiseSchedule()
      const zero = torch.zeros([1, 1, 4, 4])
      await new Sampler(full, { steps: 5 }).sample(spy, torch.zeros([1, 1, 4, 4]), {
        start: { t0: 99, x0 },
        noise: [zero, zero, zero, zero, zero],
        onStep: ({ t }) => {
          times.push(t)
        },
      })
      expect((await (states[0] as torch.Tensor).data())[0]).toBeCloseTo(
        0.5 * full.mix(99).signal,
        6,
      )
      for (const state of states) state.dispose()
    })
    expect(times).toEqual([99, 79, 59, 39, 19])
  })

  it('gives the same answer for the same generator seed, another for another', async () => {
    await torch.scopeAsync(async () => {
      const sampler = new Sampler(schedule, { steps: 3 })
      const answer = async (seed: number) => {
        const { logits } = await sampler.sample(model, image, {
          generator: new torch.Generator('cpu', seed),
        })
        return logits.data()
      }
      const [first, again, other] = [await answer(1), await answer(1), await answer(2)]
      expect(again).toEqual(first)
      expect(other).not.toEqual(first)
    })
  })

  it('reports every step with the estimate, and can be cancelled between two', async () => {
    const before = torch.memory().tensors
    const controller = new AbortController()
    const seen: number[] = []
    const run = new Sampler(schedule).sample(model, image, {
      signal: controller.signal,
      onStep: async ({ step, steps, t, x0 }) => {
        expect(t).toBe(steps - step)
        expect((await x0.data()).length).toBe(x0.numel)
        seen.push(step)
        if (step === 3) controller.abort(new Error('the user left'))
      },
    })
    await expect(run).rejects.toMatchObject({
      code: 'ERR_ABORTED',
      cause: expect.objectContaining({ message: 'the user left' }),
    })
    expect(seen).toEqual([1, 2, 3])
    expect(torch.memory().tensors).toBe(before)
  })

  it('leaves no tensor behind but the result, call after call', async () => {
    const sampler = new Sampler(schedule, { steps: 4, chains: 2, average: 'chain' })
    const before = torch.memory().tensors
    for (let call = 0; call < 3; call++) {
      const { logits, chains } = await sampler.sample(model, image)
      expect(torch.memory().tensors).toBe(before + 3)
      for (const tensor of [logits, ...chains]) tensor.dispose()
    }
    expect(torch.memory().tensors).toBe(before)
  })
})
