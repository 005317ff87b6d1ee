/** Noise schedule and blur against the figures of the paper, NumPy's tables and PyTorch's pictures. */
import { describe, expect, it } from 'vitest'
import {
  BlurSchedule,
  gaussianBlur,
  gaussianTaps,
  NoiseSchedule,
  type NoiseScheduleOptions,
} from '#lib/diffusion/index.js'
import * as torch from '#lib/torch/index.js'
import { distance, fixture, only } from '../model/parity.js'

describe('NoiseSchedule', async () => {
  const { description, tensors } = await fixture<{
    variants: Record<string, NoiseScheduleOptions>
  }>('schedule')

  it.each(Object.entries(description.variants))(
    'has the tables of the reference in double precision (%s)',
    async (name, options) => {
      const schedule = new NoiseSchedule(options)
      const { x0, xt, variance } = schedule.posteriorTables
      const tables = {
        betas: schedule.betas,
        alpha_bar: schedule.alphaBar,
        posterior_x0: x0,
        posterior_xt: xt,
        posterior_variance: variance,
      }
      for (const [table, found] of Object.entries(tables)) {
        const wanted = await only(tensors, `expected.${name}.${table}`).data()
        for (const [t, value] of found.entries()) {
          expect(value, `${table}[${t}]`).toBeCloseTo(Number(wanted[t]), 12)
        }
      }
      for (const steps of [1, 2, 7, 10, 25, 50]) {
        const wanted = await only(tensors, `expected.${name}.timesteps${steps}`).data()
        expect(schedule.timestepsOf(steps)).toEqual(Array.from(wanted, Number))
      }
    },
  )

  it('leaves 13 % of the signal at T = 200, as the paper has it', () => {
    const schedule = new NoiseSchedule()
    expect(schedule.alphaBar[0]).toBeCloseTo(0.9999, 10)
    expect(schedule.alphaBar[50]).toBeCloseTo(0.876, 3)
    expect(schedule.alphaBar[100]).toBeCloseTo(0.596, 3)
    expect(schedule.alphaBar[199]).toBeCloseTo(0.132, 3)
  })

  it('gives the estimate little weight until late', () => {
    const schedule = new NoiseSchedule()
    const weight = (t: number) => schedule.posterior(t, t - 1).x0
    expect(weight(199)).toBeCloseTo(0.0085, 4)
    expect(weight(50)).toBeCloseTo(0.038, 3)
    expect(weight(1)).toBeCloseTo(0.67, 2)
    expect(schedule.posterior(0, -1)).toEqual({ x0: 1, xt: 0, noise: 0 })
  })

  it.each([
    [199, 150],
    [40, 39],
    [80, 3],
  ])('keeps the distribution of x_s when it steps from %i to %i', (t, s) => {
    const schedule = new NoiseSchedule()
    const steps = [schedule.posterior(t, s), schedule.ddim(t, s), schedule.ddim(t, s, { eta: 0.7 })]
    const [from, to] = [schedule.mix(t), schedule.mix(s)]
    for (const step of steps) {
      expect(step.x0 + step.xt * from.signal).toBeCloseTo(to.signal, 12)
      expect((step.xt * from.noise) ** 2 + step.noise ** 2).toBeCloseTo(to.noise ** 2, 12)
    }
  })

  it('makes DDIM with eta 1 the ancestral step', () => {
    const schedule = new NoiseSchedule()
    const [ddim, ancestral] = [schedule.ddim(120, 60, { eta: 1 }), schedule.posterior(120, 60)]
    expect(ddim.x0).toBeCloseTo(ancestral.x0, 12)
    expect(ddim.xt).toBeCloseTo(ancestral.xt, 12)
    expect(ddim.noise).toBeCloseTo(ancestral.noise, 12)
  })

  it('uses every time when the chain is as long as the schedule', () => {
    const schedule = new NoiseSchedule({ timesteps: 5 })
    expect(schedule.timestepsOf(5)).toEqual([4, 3, 2, 1, 0])
    expect(schedule.timestepsOf(2, { from: 3 })).toEqual([3, 1])
    expect(() => schedule.timestepsOf(6)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG' }))
    expect(() => new NoiseSchedule({ timesteps: 0 })).toThrow('at least 1')
  })
})

describe('blur', () => {
  it('is the convolution of the reference at every width', async () => {
    const { description, tensors } = await fixture<{ kernelSize: number; sigmas: number[] }>('blur')
    await torch.scopeAsync(async () => {
      for (const [i, sigma] of description.sigmas.entries()) {
        const found = gaussianBlur(only(tensors, 'input.x'), description.kernelSize, sigma)
        expect(await distance(found, only(tensors, `expected.sigma${i}`))).toBeLessThan(1e-6)
      }
    })
  })

  it('stays in full precision under autocast', async () => {
    await torch.scopeAsync(async () => {
      const x = torch.randn([1, 2, 20, 18])
      const wanted = gaussianBlur(x, 13, 3)
      const found = torch.autocast('cpu', 'bfloat16', () => gaussianBlur(x, 13, 3))
      expect(await distance(found, wanted)).toBe(0)
    })
  })

  it("is nearly a box at the paper's widest: standard deviation 3.69 pixels instead of 14", () => {
    const taps = gaussianTaps(13, 14)
    const variance = taps.reduce((sum, tap, i) => sum + tap * (i - 6) ** 2, 0)
    expect(Math.sqrt(variance)).toBeCloseTo(3.69, 2)
    expect((taps[0] as number) / (taps[6] as number)).toBeCloseTo(0.91, 2)
  })

  it('grows linearly with t', () => {
    const blur = new BlurSchedule(200, { sigmaMin: 0.1, sigmaMax: 14 })
    expect(blur.sigma(0)).toBeCloseTo(0.1, 12)
    expect(blur.sigma(199)).toBeCloseTo(14, 12)
    expect(blur.sigma(99.5)).toBeCloseTo(7.05, 12)
  })

  it('before the clamp keeps a strong speck, after it makes one that nearly vanishes', async () => {
    await torch.scopeAsync(async () => {
      const x = torch.full([1, 1, 31, 31], -1, { dtype: 'float32' })
      x.select(2, 15).select(2, 15).fill_(1000)
      const middle = async (order: 'blur-clamp' | 'clamp-blur' | 'none') =>
        (await new BlurSchedule(200, { order }).apply(x, 199).select(2, 15).select(2, 15).data())[0]
      expect(await middle('blur-clamp')).toBe(1)
      expect(await middle('clamp-blur')).toBeCloseTo(-1 + 2 / 169, 2)
      expect(await middle('none')).toBe(1)
    })
  })
})
