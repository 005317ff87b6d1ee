/**
 * Calls that would crash the process inside libtorch 2.13 instead of failing with a message. They were
 * found by calling every operator with odd arguments; each is refused when its call site is first seen.
 */
import { LandmarkDiffusionError } from '../errors.js'
import type { Operator } from './operator.js'
import { Tensor } from './tensor.js'

type Refusal = (args: readonly unknown[]) => string | null

const internal: Refusal = () => 'it is an internal of functorch and has no meaning outside of it'

const emptyList: Refusal = ([tensors]) =>
  Array.isArray(tensors) && tensors.length === 0 ? 'the list of tensors is empty' : null

/** Which dimensions are transformed, of how many. */
const dimensions: Refusal = ([self, dims]) => {
  if (!(self instanceof Tensor) || !Array.isArray(dims)) return null
  const valid = dims.length > 0 && dims.every((dim) => dim >= -self.ndim && dim < self.ndim)
  return valid ? null : `dim [${dims}] names no dimensions of a tensor of ${self.ndim}`
}

const sameRank =
  (rank: readonly number[]): Refusal =>
  ([gradient, self]) => {
    const tensors = [gradient, self].filter((value) => value instanceof Tensor)
    const [first] = tensors
    const valid = tensors.every(({ ndim, numel }) => rank.includes(ndim) && numel > 0)
    return valid && tensors.every(({ ndim }) => ndim === first?.ndim)
      ? null
      : `gradient and input must both have ${rank.join(' or ')} dimensions and be not empty`
  }

const refusals: Readonly<Record<string, Refusal>> = {
  'aten::_native_batch_norm_legit.no_stats': (args) =>
    args[3] === false ? 'without running statistics, training must be true' : null,
  'aten::_remove_batch_dim': internal,
  'aten::_stack': emptyList,
  'aten::_stack.out': emptyList,
  'aten::_fft_r2c': dimensions,
  'aten::_fft_r2c.out': dimensions,
  'aten::_fft_c2c': dimensions,
  'aten::_fft_c2c.out': dimensions,
  'aten::_fft_c2r': dimensions,
  'aten::_fft_c2r.out': dimensions,
  'aten::reflection_pad1d_backward': sameRank([2, 3]),
  'aten::reflection_pad1d_backward.grad_input': sameRank([2, 3]),
  'aten::reflection_pad2d_backward': sameRank([3, 4]),
  'aten::reflection_pad2d_backward.grad_input': sameRank([3, 4]),
}

/** Throws ERR_SCHEMA for a call that libtorch would not survive. */
export function refuseCrash(op: Operator, args: readonly unknown[]): void {
  const reason = refusals[op.name]?.(args)
  if (reason) throw new LandmarkDiffusionError('ERR_SCHEMA', `${op.name}: ${reason}`)
}
