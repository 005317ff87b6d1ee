/** Values that PyTorch computed: scripts/reference/autograd.py. */
import { readFileSync } from 'node:fs'
import * as torch from 'landmark-diffusion/torch'
import { expect } from 'vitest'

type Numbers = number | Numbers[]

export interface Reference {
  derivatives: number[][]
  accumulated: { grad: number[]; second: number[] }
  hooks: { calls: [string, number[]][]; x: number[]; y: number[] }
  trained: { losses: number[]; w1: number[][]; w2: number[][] }
  checkpointed: { loss: number; w: number[][]; b: number[]; x: number[][] }
  strides: Record<string, number[]>
  functional: Record<'jacobian' | 'hessian', number[][]> & Record<'vjp' | 'jvp', number[]>
}

const file = new URL('../../fixtures/autograd.json', import.meta.url)
export const reference = JSON.parse(readFileSync(file, 'utf8')) as Reference

/** Functions that a graph may still call, when those of graphs that are gone have been let go. */
export async function callbacksLeft(): Promise<number> {
  await torch.synchronize()
  await new Promise((resolve) => setImmediate(resolve))
  return torch.autograd.liveCallbacks()
}

/** A float64 leaf. */
export function leaf(values: torch.Values): torch.Tensor {
  return torch.tensor(values, { dtype: 'float64', requiresGrad: true })
}

/** sum of sin(x) exp(x^2) */
export function example(x: torch.Tensor): torch.Tensor {
  return x.sin().mul(x.mul(x).exp()).sum()
}

const flat = (value: Numbers): number[] => (Array.isArray(value) ? value.flatMap(flat) : [value])

/** Equal to 1e-12 of the size of what is expected. */
export async function expectClose(got: torch.Tensor | null, wanted: Numbers): Promise<void> {
  const values = Array.from((await (got as torch.Tensor).data()) as Float64Array)
  const expected = flat(wanted)
  expect(values).toHaveLength(expected.length)
  for (const [i, value] of values.entries()) {
    const target = expected[i] as number
    expect(Math.abs(value - target)).toBeLessThanOrEqual(1e-12 * Math.max(1, Math.abs(target)))
  }
}
