/** Gradients against finite differences, as `torch.autograd.gradcheck`: for tests of one's own operations. */
import { LandmarkDiffusionError } from '../../errors.js'
import { noGrad } from '../context.js'
import { randn } from '../generated/index.js'
import { Generator } from '../random.js'
import { scopeAsync } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { wantFunction, wantTensors } from '../wants.js'
import { unit } from './functional.js'
import { grad } from './grad.js'

export interface GradcheckOptions {
  /** Step of the central differences. */
  eps?: number
  atol?: number
  rtol?: number
}

type Fn = (...inputs: Tensor[]) => Tensor

function refuse(message: string): LandmarkDiffusionError {
  return new LandmarkDiffusionError('ERR_OP', `gradcheck: ${message}`)
}

/**
 * Compares the gradient of `fn` with central differences, element by element. `inputs` are float64, as the
 * differences of float32 are too coarse; those that require a gradient are checked. Rejects with the first
 * element that differs by more than `atol + rtol * |numerical|`.
 */
export async function gradcheck(
  fn: Fn,
  inputs: readonly Tensor[],
  { eps = 1e-6, atol = 1e-5, rtol = 1e-3 }: GradcheckOptions = {},
): Promise<true> {
  wantFunction(fn, 'the function')
  wantTensors(inputs, 'the inputs')
  const checked = inputs.filter(({ requiresGrad }) => requiresGrad)
  if (checked.length === 0) throw refuse('no input requires a gradient')
  for (const { dtype } of checked) {
    if (dtype !== 'float64') throw refuse(`inputs must be float64, one is ${dtype}`)
  }
  await scopeAsync(async () => {
    const output = fn(...inputs)
    if (output.dtype !== 'float64')
      throw refuse(`the result must be float64, it is ${output.dtype}`)
    for (const [at, input] of inputs.entries()) {
      if (!input.requiresGrad) continue
      // [element of the output][element of the input]
      const analytical: ArrayLike<number>[] = []
      for (let row = 0; row < output.numel; row++) {
        const options = {
          gradOutputs: unit(output, row),
          retainGraph: true,
          materializeGrads: true,
        }
        const [gradient] = grad(output, input, options)
        analytical.push((await (gradient as Tensor).data()) as Float64Array)
      }
      for (let column = 0; column < input.numel; column++) {
        const moved = (by: number) => {
          const shifted = noGrad(() => input.add(unit(input, column), { alpha: by }))
          shifted.requiresGrad = true
          return fn(...inputs.map((other, i) => (i === at ? shifted : other))).detach()
        }
        const difference = moved(eps)
          .sub(moved(-eps))
          .div(2 * eps)
        const numerical = (await difference.data()) as Float64Array
        for (let row = 0; row < output.numel; row++) {
          const wanted = numerical[row] as number
          const got = analytical[row]?.[column] as number
          if (Math.abs(got - wanted) <= atol + rtol * Math.abs(wanted)) continue
          throw refuse(
            `d output[${row}] / d input ${at}[${column}] is ${got}, by finite differences ${wanted}`,
          )
        }
      }
    }
  })
  return true
}

/** `gradcheck` of the gradient itself: the second derivatives. As `torch.autograd.gradgradcheck`. */
export async function gradgradcheck(
  fn: Fn,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): Promise<true> {
  return await scopeAsync(async () => {
    const generator = new Generator('cpu', 1)
    const seed = randn(fn(...inputs).shape, { dtype: 'float64', generator })
    seed.requiresGrad = true
    const count = inputs.filter(({ requiresGrad }) => requiresGrad).length
    for (let which = 0; which < count; which++) {
      const first = (...all: Tensor[]) => {
        const variables = all.slice(0, -1).filter(({ requiresGrad }) => requiresGrad)
        const gradOutputs = all.at(-1) as Tensor
        const options = { gradOutputs, createGraph: true, materializeGrads: true }
        return grad(fn(...all.slice(0, -1)), variables, options)[which] as Tensor
      }
      await gradcheck(first, [...inputs, seed], options)
    }
    generator.dispose()
    return true as const
  })
}
