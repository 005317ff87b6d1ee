/**
 * `landmark-diffusion/torch`: libtorch for Node. Ops are queued and return at once; values are promises.
 *
 * ```ts
 * import * as torch from 'landmark-diffusion/torch'
 * using x = torch.randn([8, 3, 64, 64])
 * const w = torch.randn([16, 3, 3, 3], { requiresGrad: true })
 * const loss = torch.conv2d(x, w, null, { padding: 1 }).square().mean()
 * loss.backward()
 * console.log(await loss.item(), (await w.grad!.data())[0])
 * ```
 */
// For the methods that they give to Tensor.
import './indexing.js'
import './printing.js'

export { TensorDisposedError } from '../errors.js'
export { checkpoint } from './autograd/checkpoint.js'
export { type GradOptions, grad } from './autograd/grad.js'
export * as autograd from './autograd/index.js'
export { call } from './call.js'
export {
  autocast,
  enableGrad,
  inferenceMode,
  isAutocastEnabled,
  isGradEnabled,
  isInferenceModeEnabled,
  noGrad,
  skippingUndefined,
} from './context.js'
export type { Target } from './conversion.js'
export { to } from './conversion.js'
export * from './create.js'
export { cuda } from './cuda.js'
export { device } from './device.js'
export * as distributed from './distributed/index.js'
export type { DType, TypedArray } from './dtype.js'
export * from './generated/index.js'
export type { Index, Slice } from './indexing.js'
export type { ContiguousFormat } from './layout.js'
export { debugLeaks, type LiveTensor, liveTensors } from './leaks.js'
export type { AttentionBackend, CudaOptions, DeviceMemory } from './native.js'
export {
  e,
  type FloatInfo,
  finfo,
  type IntegerInfo,
  iinfo,
  inf,
  nan,
  pi,
} from './numeric-limits.js'
export { ops } from './operator.js'
export type { PrintOptions } from './printing.js'
export {
  emptyCache,
  getNumThreads,
  type Memory,
  memory,
  resetPeakMemory,
  setNumThreads,
  synchronize,
  versions,
} from './process.js'
export {
  type Program,
  type ProgramCalls,
  type ProgramOptions,
  type ProgramStats,
  program,
  programPasses,
} from './program.js'
export { Generator, getRngState, manualSeed, setRngState } from './random.js'
export { isRecordingProgram } from './recording.js'
export { RowReader, type Rows } from './row-reader.js'
export { type Complex, type Scalar, scalar, TypedScalar } from './scalar.js'
export { keep, type ScopeMemory, type ScopeOptions, scope, scopeAsync } from './scope.js'
export {
  type Loaded,
  load,
  loadPickle,
  type Saveable,
  type SaveOptions,
  save,
  savePickle,
} from './serialization.js'
export {
  fromShared,
  type Received,
  type Shared,
  type SharedTensor,
  share,
  unshare,
} from './share.js'
export {
  type BackwardOptions,
  clearGradients,
  type Element,
  gradients,
  type Nested,
  Tensor,
} from './tensor.js'
export { OpError, setTracing } from './trace.js'
export { type Unique, type UniqueOptions, unique, uniqueWithCounts } from './unique.js'
