import type { Tensor } from 'landmark-diffusion/torch'

export function network(): { parameters: Tensor[]; loss(seed: number): Tensor }
export function gradientsOf(parameters: readonly Tensor[]): Promise<number[][]>
