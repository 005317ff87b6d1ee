/** Derivatives of functions as tensors: as `torch.autograd.functional`. */
import { LandmarkDiffusionError } from '../../errors.js'
import { enableGrad } from '../context.js'
import { tensor } from '../create.js'
import { reshape, select, stack, zerosLike } from '../generated/index.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { wantFunction, wantTensor } from '../wants.js'
import { grad } from './grad.js'

export interface DerivativeOptions {
  /** Records the derivative itself, for further ones. */
  createGraph?: boolean
}

/** The input itself where it takes part in a graph, else a leaf with its values. */
function variable(input: Tensor, createGraph: boolean): Tensor {
  wantTensor(input, 'the input')
  if (createGraph && input.requiresGrad) return input
  const leaf = input.detach()
  leaf.requiresGrad = true
  return leaf
}

function evaluate(what: string, fn: (x: Tensor) => Tensor, x: Tensor): Tensor {
  wantFunction(fn, `${what}: the function`)
  const y = enableGrad(() => fn(x))
  wantTensor(y, `${what}: the result`)
  if (y.requiresGrad) return y
  throw new LandmarkDiffusionError('ERR_OP', `${what}: the result does not depend on the input`)
}

/** d fn(x)_i / d x_j: fn's shape, then x's. One backward pass per element of fn(x). */
export function jacobian(
  fn: (x: Tensor) => Tensor,
  input: Tensor,
  { createGraph = false }: DerivativeOptions = {},
): Tensor {
  return scope(() =>
    enableGrad(() => {
      const x = variable(input, createGraph)
      const y = evaluate('jacobian()', fn, x)
      const flat = reshape(y, [-1])
      const rows = Array.from({ length: y.numel }, (_, i) => {
        const options = { retainGraph: true, createGraph, materializeGrads: true }
        return grad(select(flat, 0, i), x, options)[0] as Tensor
      })
      return reshape(stack(rows), [...y.shape, ...x.shape])
    }),
  )
}

/** d2 fn(x) / d x_i d x_j of a function with a single value: x's shape twice. */
export function hessian(
  fn: (x: Tensor) => Tensor,
  input: Tensor,
  options: DerivativeOptions = {},
): Tensor {
  return jacobian(
    (x) => grad(evaluate('hessian()', fn, x), x, { createGraph: true })[0] as Tensor,
    input,
    options,
  )
}

/** fn(x), and v times the Jacobian: x's shape. `v` has fn's shape; 1 where it is a single value. */
export function vjp(
  fn: (x: Tensor) => Tensor,
  input: Tensor,
  v: Tensor | null = null,
  { createGraph = false }: DerivativeOptions = {},
): [Tensor, Tensor] {
  return scope(() => {
    const x = variable(input, createGraph)
    const y = evaluate('vjp()', fn, x)
    const options = { createGraph, materializeGrads: true, gradOutputs: [v] }
    return [y, grad(y, x, options)[0] as Tensor]
  })
}

/** fn(x), and the Jacobian times `v`, of x's shape: fn's shape. By differentiating a vjp in its `v`. */
export function jvp(
  fn: (x: Tensor) => Tensor,
  input: Tensor,
  v: Tensor,
  { createGraph = false }: DerivativeOptions = {},
): [Tensor, Tensor] {
  return scope(() => {
    const x = variable(input, createGraph)
    const y = evaluate('jvp()', fn, x)
    const u = zerosLike(y, { requiresGrad: true })
    const pulled = enableGrad(
      () => grad(y, x, { gradOutputs: u, createGraph: true, materializeGrads: true })[0] as Tensor,
    )
    const options = { gradOutputs: v, createGraph, materializeGrads: true }
    return [y, grad(pulled, u, options)[0] as Tensor]
  })
}

/** Unit vector `i` in the shape of `like`. */
export function unit(like: Tensor, i: number): Tensor {
  const values = new Float64Array(like.numel)
  values[i] = 1
  return tensor(values, { shape: like.shape, dtype: like.dtype, device: like.device })
}
