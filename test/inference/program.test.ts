/** Prediction as recorded programs against prediction op by op. */
import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'
import { Predictor } from '#lib/inference/predictor.js'
import { type Config, loadConfig } from '#lib/training/config.js'
import { createModel } from '#lib/training/parts.js'

const variants: [string, string[]][] = [
  ['ancestral, several chains', ['sampling.chains=2']],
  ['DDIM, averaged over the chain', ['sampling.method.kind=ddim', 'sampling.average=chain']],
  ['of the noise, in bfloat16', ['diffusion.objective=epsilon', 'sampling.precision=bfloat16']],
  ['one step', ['sampling.steps=1']],
  ['the baseline', ['diffusion.objective=none']],
]

function network(config: Config) {
  torch.manualSeed(1)
  const model = createModel(config)
  // The last layer begins at zero, from which every chain would find the same.
  torch.noGrad(() => {
    torch.scope(() => {
      for (const weight of model.parameters()) weight.add_(torch.randn(weight.shape).mul(0.05))
    })
  })
  return model.eval().requiresGrad_(false)
}

describe('an evaluation of the chain as a program', () => {
  test.each(variants)('%s: gives the bits of one that runs op by op', async (name, set) => {
    torch.setNumThreads(1)
    const config = await loadConfig({ preset: 'tiny', set })
    const model = network(config)
    const { width, height } = config.data
    const images = Uint8Array.from({ length: 2 * width * height }, (_, i) => (i * 37) % 251)
    using recorded = new Predictor(model, config)
    using eager = new Predictor(model, config, { eager: true })
    const options = {
      seeds: [3, 4],
      heatmaps: true,
      units: [
        [1, 1],
        [1, 1],
      ] as [number, number][],
    }
    for (const seeds of [options.seeds, [5, 6], [7, 8]]) {
      const found = await recorded.predict(images, { ...options, seeds })
      expect(found).toEqual(await eager.predict(images, { ...options, seeds }))
    }
    expect(eager.programs).toBeNull()
    const { recorded: times, replayed } = recorded.programs ?? { recorded: 0, replayed: 0 }
    expect(times).toBe(name === 'one step' || name === 'the baseline' ? 1 : 2)
    expect(replayed).toBeGreaterThan(0)
    // Nothing else stands against a graph of a GPU.
    expect(recorded.programs?.graph).toBe('none: its tensors are on the CPU')
    model.dispose()
  })

  test('a chain that is watched has the bits of one that is queued in one go', async () => {
    torch.setNumThreads(1)
    const config = await loadConfig({ preset: 'tiny', set: ['sampling.steps=20'] })
    const model = network(config)
    using predictor = new Predictor(model, config)
    const { width, height } = config.data
    const predict = (onStep?: () => void) =>
      predictor.predict(new Uint8Array(width * height).fill(90), {
        seeds: [1],
        heatmaps: true,
        onStep,
      })
    const before = torch.memory().tensors
    const whole = await predict()
    let seen = 0
    expect(await predict(() => seen++)).toEqual(whole)
    expect(seen).toBe(20)
    expect(torch.memory().tensors).toBe(before)
    model.dispose()
  })

  test('can be cancelled between two evaluations', async () => {
    const config = await loadConfig({ preset: 'tiny' })
    const model = createModel(config).eval().requiresGrad_(false)
    using predictor = new Predictor(model, config)
    const { width, height } = config.data
    const controller = new AbortController()
    const run = predictor.predict(new Uint8Array(width * height), {
      seeds: [1],
      signal: controller.signal,
      onStep: ({ step }) => {
        if (step === 2) controller.abort()
      },
    })
    await expect(run).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    model.dispose()
  })
})
