/** Fixtures made by scripts/reference, and how near a tensor must come to them. */
import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'
import type { Batch } from '#lib/diffusion/index.js'
import { UNet, type UNetOptions } from '#lib/model/index.js'
import type { Tensor } from '#lib/torch/index.js'
import * as torch from '#lib/torch/index.js'

export interface Case {
  model: Omit<UNetOptions, 'landmarks' | 'imageChannels' | 'timeConditioned'>
  landmarks: number
  imageChannels: number
  timeConditioned: boolean
  [key: string]: unknown
}

export type Tensors = Record<string, Tensor>

export async function fixture<T = Case>(
  name: string,
): Promise<{ description: T; tensors: Tensors }> {
  const folder = new URL('../fixtures/', import.meta.url)
  const description = JSON.parse(await readFile(new URL(`${name}.json`, folder), 'utf8')) as T
  const tensors = await torch.load(new URL(`${name}.safetensors`, folder).pathname)
  return { description, tensors }
}

/** The entries `prefix + name`, by name. */
export function named(tensors: Tensors, prefix: string): Tensors {
  return Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  )
}

export function only(tensors: Tensors, name: string): Tensor {
  const tensor = tensors[name]
  if (!tensor) throw new Error(`no tensor ${name} among ${Object.keys(tensors).join(', ')}`)
  return tensor
}

/** The case's network with the case's weights, or with fresh ones, in eval mode. */
export function buildModel(description: Case, weights?: Tensors): UNet {
  const { model, landmarks, imageChannels, timeConditioned } = description
  const unet = new UNet({ ...model, landmarks, imageChannels, timeConditioned }).eval()
  if (weights) unet.loadStateDict(weights)
  return unet
}

export function batchOf(tensors: Tensors): Batch {
  return {
    image: only(tensors, 'input.image'),
    target: only(tensors, 'input.target'),
    mask: only(tensors, 'input.mask'),
  }
}

/** |actual - expected| / (|expected| + floor), Euclidean norms over all elements. */
export async function distance(actual: Tensor, expected: Tensor, floor = 0): Promise<number> {
  expect(actual.shape).toEqual(expected.shape)
  const [a, b] = [numbers(await actual.data()), numbers(await expected.data())]
  let difference = 0
  let norm = 0
  for (let i = 0; i < b.length; i++) {
    difference += ((a[i] as number) - (b[i] as number)) ** 2
    norm += (b[i] as number) ** 2
  }
  return Math.sqrt(difference) / (Math.sqrt(norm) + floor || 1)
}

export async function norm(tensor: Tensor): Promise<number> {
  return Math.sqrt(numbers(await tensor.data()).reduce((sum, value) => sum + value ** 2, 0))
}

/** Every tensor of `expected` is met by the one of the same name in `actual`. */
export async function expectAllClose(
  actual: Tensors,
  expected: Tensors,
  { tolerance = 1e-5, floor = 0 } = {},
): Promise<void> {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort())
  const far: string[] = []
  for (const [name, tensor] of Object.entries(expected)) {
    const found = await distance(only(actual, name), tensor, floor)
    if (!(found <= tolerance)) far.push(`${name}: ${found.toExponential(1)}`)
  }
  expect(far).toEqual([])
}

function numbers(values: ArrayLike<number | bigint>): number[] {
  return Array.from(values, Number)
}
