/**
 * The paper's network, all 38.8 M parameters, beside PyTorch for Python, at a reduced image size.
 * Needs a Python with torch and safetensors: LANDMARK_DIFFUSION_PYTHON, or python3 on the PATH.
 */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NoiseSchedule, Sampler, X0Objective } from '#lib/diffusion/index.js'
import * as torch from '#lib/torch/index.js'
import {
  batchOf,
  buildModel,
  type Case,
  distance,
  expectAllClose,
  named,
  norm,
  only,
  type Tensors,
} from './parity.js'

const python = [process.env.LANDMARK_DIFFUSION_PYTHON, 'python3'].find((command) => {
  try {
    if (!command) return false
    execFileSync(command, ['-c', 'import torch, safetensors'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})
if (!python) {
  console.warn(
    'Live parity is skipped: no Python with torch and safetensors. Set LANDMARK_DIFFUSION_PYTHON to one.',
  )
}

const paper: Case = {
  model: {
    encoderChannels: [32, 64, 128, 256, 256, 512],
    decoderChannels: [256, 128, 64, 64, 32, 32],
    resBlocks: 2,
    attention: [4, 8],
    middleAttention: true,
    heads: 2,
    headOrder: 'new',
    groups: 32,
    normEps: 1e-6,
    dropout: 0.1,
    tanh: 'before',
    inputOrder: 'heatmaps-first',
    timeEmbedding: { order: 'sin-cos', divisor: 'half-1' },
  },
  landmarks: 19,
  imageChannels: 1,
  timeConditioned: true,
  seed: 7,
}
const diffusion = {
  objective: 'x0',
  timesteps: 200,
  schedule: 'linear',
  betaStart: 1e-4,
  betaEnd: 0.02,
  posteriorVariance: 'beta-tilde',
  nllWeight: 1,
  mseWeight: 0.01,
  channelDropout: 0,
  prior: 'normal',
} as const

describe.skipIf(!python)('the network of the paper, live beside PyTorch', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'landmark-diffusion-parity-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** Asks scripts/reference/parity.py. */
  async function ask(description: object, inputs: Tensors | null): Promise<Tensors> {
    const [json, input, output] = ['case.json', 'input.safetensors', 'output.safetensors'].map(
      (name) => join(folder, name),
    ) as [string, string, string]
    await writeFile(json, JSON.stringify(description))
    if (inputs) await torch.save(input, inputs)
    const script = new URL('../../scripts/reference/parity.py', import.meta.url).pathname
    const files = inputs ? [json, input, output] : ['--init', json, output]
    await promisify(execFile)(python as string, [script, ...files])
    return torch.load(output)
  }

  /** Weights with no zero layer, so that every gradient says something. */
  function perturbed(weights: Tensors): Tensors {
    return Object.fromEntries(
      Object.entries(weights).map(([name, tensor]) => [
        `weights.${name}`,
        tensor.detach().add(torch.randn(tensor.shape).mul(0.02)),
      ]),
    )
  }

  it('starts from the same 38 810 835 numbers', async () => {
    const wanted = named(await ask({ kind: 'init', ...paper }, null), 'weights.')
    torch.manualSeed(7)
    using model = buildModel(paper)
    expect(model.parameterCount()).toBe(38_810_835)
    await expectAllClose(model.stateDict(), wanted, { tolerance: 0 })
    for (const tensor of Object.values(wanted)) tensor.dispose()
  }, 120_000)

  it('has the same loss and the same gradient of every parameter', async () => {
    await torch.scopeAsync(async () => {
      torch.manualSeed(8)
      using model = buildModel(paper)
      const weights = perturbed(model.stateDict())
      model.loadStateDict(named(weights, 'weights.'))
      const inputs = {
        ...weights,
        'input.image': torch.rand([1, 1, 64, 64]).mul(2).sub(1),
        'input.target': torch.randint(0, 64 * 64, [1, 19], { dtype: 'int64' }),
        'input.mask': torch.ones([1, 19]),
        'input.t': torch.full([1], 120, { dtype: 'int64' }),
        'input.noise': torch.randn([1, 19, 64, 64]),
      }
      const wanted = await ask({ kind: 'objective', ...paper, diffusion }, inputs)
      const objective = new X0Objective(new NoiseSchedule(diffusion), diffusion)
      const { loss, nll, mse } = objective.loss(model, batchOf(inputs), {
        t: inputs['input.t'],
        noise: inputs['input.noise'],
      })
      loss.backward()
      await expectAllClose({ loss, nll, mse }, named(wanted, 'expected.'))
      const gradients = named(wanted, 'grad.')
      const largest = Math.max(...(await Promise.all(Object.values(gradients).map(norm))))
      const found = Object.fromEntries(
        [...model.namedParameters()].map(([name, tensor]) => [name, tensor.grad as torch.Tensor]),
      )
      // A bias in front of a GroupNorm with one channel a group has no effect, and neither has the keys':
      // their gradients are rounding noise, measured against the largest.
      await expectAllClose(found, gradients, { floor: 1e-2 * largest })
      objective.dispose()
    })
  }, 240_000)

  it('samples the same heatmaps from the same noise', async () => {
    await torch.scopeAsync(async () => {
      torch.manualSeed(9)
      using model = buildModel(paper)
      const weights = perturbed(model.stateDict())
      model.loadStateDict(named(weights, 'weights.'))
      const blur = { kernelSize: 13, sigmaMin: 0.1, sigmaMax: 14, order: 'blur-clamp' } as const
      const variant = {
        name: 'four',
        steps: 4,
        objective: 'x0',
        blur,
        posteriorVariance: 'beta-tilde',
        prior: 'normal',
      }
      const inputs = {
        ...weights,
        'input.image': torch.rand([1, 1, 64, 64]).mul(2).sub(1),
        'input.noise': torch.randn([4, 1, 19, 64, 64]),
      }
      const wanted = await ask(
        { kind: 'sampler', ...paper, diffusion, variants: [variant] },
        inputs,
      )
      const noise = [0, 1, 2, 3].map((i) => inputs['input.noise'].select(0, i))
      const sampler = new Sampler(new NoiseSchedule(diffusion), { steps: 4, blur })
      const { logits } = await sampler.sample(model, inputs['input.image'], { noise })
      expect(await distance(logits, only(wanted, 'expected.four.logits'))).toBeLessThan(1e-5)
    })
  }, 240_000)
})
