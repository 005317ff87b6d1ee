/**
 * Calls that would crash the process inside libtorch 2.13 instead of failing with a message. They were
 * found by calling every operator with odd arguments; each is refused when its call site is first seen.
 */
import { LandmarkDiffusionError } from '../errors.js'
import type { Operator } from './operator.js'
import { Tensor } from './tensor.js'

type Refusal = (args: readonly unknown[]) => string | null

const insertedDimension: Refusal = ([self, , , dim]) =>
  self instanceof Tensor && typeof dim === 'number' && dim >= 0 && dim <= self.ndim
    ? null
    : `out_dim ${String(dim)} is no place for a dimension`

const emptyList: Refusal = ([tensors]) =>
  Array.isArray(tensors) && tensors.length === 0 ? 'the list of tensors is empty' : null

/** Which dimensions are transformed, of how many. */
const dimensions: Refusal = ([self, dims]) => {
  if (!(self instanceof Tensor) || !Array.isArray(dims)) return null
  const valid = dims.length > 0 && dims.every((dim) => dim >= -self.ndim && dim < self.ndim)
  return valid ? null : `dim [${dims}] names no dimensions of a tensor of ${self.ndim}`
}

/** Tensors of `unbatched` dimensions that are not empty, with or without a batch (which may be empty) before. */
const sameRank =
  (unbatched: number): Refusal =>
  ([gradient, self]) => {
    const tensors = [gradient, self].filter((value) => value instanceof Tensor)
    const [first] = tensors
    const valid = tensors.every(
      ({ ndim, shape }) =>
        ndim === first?.ndim &&
        (ndim === unbatched || ndim === unbatched + 1) &&
        shape.slice(-unbatched).every((size) => size > 0),
    )
    return valid
      ? null
      : `gradient and input must both have ${unbatched} or ${unbatched + 1} dimensions and be not empty`
  }

const refusals: Readonly<Record<string, Refusal>> = {
  'aten::_native_batch_norm_legit.no_stats': (args) =>
    args[3] === false ? 'without running statistics, training must be true' : null,
  'aten::_remove_batch_dim': insertedDimension,
  'aten::_stack': emptyList,
  'aten::_stack.out': emptyList,
  'aten::_fft_r2c': dimensions,
  'aten::_fft_r2c.out': dimensions,
  'aten::_fft_c2c': dimensions,
  'aten::_fft_c2c.out': dimensions,
  'aten::_fft_c2r': dimensions,
  'aten::_fft_c2r.out': dimensions,
  'aten::reflection_pad1d_backward': sameRank(2),
  'aten::reflection_pad1d_backward.grad_input': sameRank(2),
  'aten::reflection_pad2d_backward': sameRank(3),
  'aten::reflection_pad2d_backward.grad_input': sameRank(3),
}

/** Throws ERR_SCHEMA for a call that libtorch would not survive. */
export function refuseCrash(op: Operator, args: readonly unknown[]): void {
  const reason = refusals[op.name]?.(args)
  if (reason) throw new LandmarkDiffusionError('ERR_SCHEMA', `${op.name}: ${reason}`)
}
