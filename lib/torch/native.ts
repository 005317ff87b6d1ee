/** The contract of the native addon: every function that TypeScript may call, and nothing else does. */

/** What is known of a tensor without its values. `dtype` is libtorch's ScalarType number. */
export interface TensorInfo {
  readonly defined: boolean
  readonly shape: readonly number[]
  readonly strides: readonly number[]
  readonly dtype: number
  readonly device: string
  readonly requiresGrad: boolean
  /** Layout (lowest byte) and what else decides how operators treat it: `Trait` in native/dispatch/run.h. */
  readonly traits: number
  /** No operation made it, or none that gradients pass through. */
  readonly isLeaf: boolean
}

export interface NativeArgument {
  readonly name: string
  readonly type: string
  /** `int[2]`: 2; a single number may then stand for the list. */
  readonly size: number | null
  readonly keywordOnly: boolean
  readonly hasDefault: boolean
  readonly written: boolean
}

export interface NativeSchema {
  readonly name: string
  readonly text: string
  /** The results depend on values: they come as a promise. */
  readonly dynamic: boolean
  readonly arguments: readonly NativeArgument[]
  /** `argument`: index of the argument that the result is (in place, out=), or -1. */
  readonly returns: readonly { readonly type: string; readonly argument: number }[]
}

export interface NativeResult {
  readonly tensor?: TensorInfo
  readonly tensors?: readonly TensorInfo[]
  readonly value?: unknown
}

/** Results of an op that was waited for. Their tensors wait under `key` until `adopt` names them. */
export interface NativeOutcome {
  readonly key: number
  readonly results: readonly NativeResult[]
  /** What became of the tensors that the op wrote to: `element` of a list, or of the tensor `argument`. */
  readonly written: readonly {
    readonly argument: number
    readonly element: number
    readonly tensor: TensorInfo
  }[]
}

export interface NativeValue {
  readonly bytes: ArrayBuffer
  readonly shape: readonly number[]
  readonly dtype: number
}

/** The rows of a reading up to where it was closed; earlier, up to one on the CPU that is not finite or has failed. */
export type NativeRows = readonly [rows: readonly (readonly number[])[], failure: Error | null]

export interface NativeVersions {
  readonly libtorch: string
  readonly cuda: boolean
  readonly cudaDevices: number
  /** Why there are none; empty where there are. */
  readonly cudaProblem: string
  readonly cpuCapability: string
}

export interface NativeMemory {
  readonly devices: Readonly<Record<string, DeviceMemory>>
  readonly reportedBytes: number
  readonly preparedBytes: number
  readonly shared: number
  readonly queued: number
}

/** Memory of one device, of the whole process. */
export interface DeviceMemory {
  /** In live tensors. */
  readonly bytes: number
  /** The most that `bytes` was since the start or `resetPeakMemory()`. */
  readonly peakBytes: number
  /** Kept for the next tensors; `emptyCache()` returns them, and on the CPU so do two idle seconds. */
  readonly cachedBytes: number
}

/** Kernels of attention, as `torch.nn.attention.SDPBackend` names them. */
export type AttentionBackend = 'cudnn' | 'flash' | 'efficient' | 'math'

/** How CUDA devices compute; of the whole process. libtorch's defaults are given. */
export interface CudaOptions {
  /** TF32 (10 bits of mantissa) in convolutions of float32; default true. */
  readonly tf32Convolutions: boolean
  /** TF32 in matrix products of float32; default false. */
  readonly tf32Matmul: boolean
  /** cuDNN tries its algorithms at the first convolution of each shape and keeps the fastest; default false. */
  readonly cudnnBenchmark: boolean
  /** cuDNN takes only algorithms that give the same bits each time; default false. */
  readonly deterministic: boolean
  /** The kernels that attention may use, the preferred first. */
  readonly attention: readonly AttentionBackend[]
}

/** Layout of `words`, in which an op is handed over: see `Scratch` in native/napi/operators.cpp. */
export const scratch = {
  site: 0,
  mode: 1,
  trace: 2,
  inputs: 3,
  numbers: 4,
  outputs: 5,
  ids: 6,
} as const

/** Flags of an op's mode: see native/runtime/record.h. */
export const modeFlags = { grad: 1, inference: 2, autocast: 4, skipUndefined: 8 } as const

/** Bits of `TensorInfo.traits` above its layout: `Trait` in native/dispatch/run.h. */
export const traits = {
  conjugated: 1 << 8,
  negated: 1 << 9,
  zero: 1 << 10,
  nested: 1 << 11,
} as const

/** What getGrad() is told: see native/napi/gradients.cpp. */
export const gradientFlags = { requiresGrad: 1, laidOut: 2 } as const

/** Site::Slot of native/dispatch/site.h; -1 takes the schema's default. */
export const slots = {
  default: -1,
  constant: 0,
  tensor: 1,
  tensorList: 2,
  optionalTensorList: 3,
  double: 4,
  int: 5,
  generator: 6,
  storage: 7,
} as const

/** c10d::ReduceOp::RedOpType. */
export const reductions = { sum: 0, product: 2, min: 3, max: 4 } as const

export type MakeError = (
  kind: 'op' | 'memory' | 'device' | 'distributed' | 'cancelled',
  op: string,
  inputs: string,
  message: string,
  trace: number,
  cause: number,
) => Error

/** What a callback leaves: its error, if it threw, and the ids to free behind the ops around it. */
export interface CallbackEnd {
  readonly message?: string
  readonly cause?: number
  readonly frees: readonly number[]
}

/** Runs a function of the graph on the tensors that `adopt(key, ...)` names; `reply` gives its results. */
export type RunCallback = (
  callback: number,
  key: number,
  infos: readonly TensorInfo[],
  flags: readonly boolean[],
  grad: boolean,
  pass: number,
) => CallbackEnd

/** One recorded program: see native/napi/program.cpp. */
export interface NativeProgramStats {
  readonly instructions: number
  readonly peakBytes: number
  readonly madeBytes: number
  readonly capturedBytes: number
  readonly replays: number
  readonly replayMilliseconds: number
  readonly passes: readonly string[]
  /** Whether it is launched as one CUDA graph: `captured`, `warming up`, or `none: ` and why. */
  readonly graph: string
}

/** Belongs to the addon. */
export type Opaque = object & { readonly __opaque?: never }

/**
 * Any function that queues something may run a callback before it returns: where the queue is full, or
 * the call waits, behind a backward pass that needs one (native/runtime/callback.h).
 */
export interface Native {
  readonly words: ArrayBuffer
  readonly numbers: ArrayBuffer
  start(
    makeError: MakeError,
    runCallback: RunCallback,
    releaseCallbacks: (callbacks: readonly number[]) => void,
  ): void
  operators(): string[]
  schema(name: string): NativeSchema | null
  createSite(name: string, slots: readonly number[], values: readonly unknown[]): number
  releaseSite(site: number): void
  /** Queues the op in `words`. */
  enqueue(): void
  runSync(): NativeOutcome
  runAsync(): Promise<NativeOutcome>
  adopt(key: number, ids: readonly number[]): void
  fromData(
    id: number,
    bytes: Uint8Array,
    shape: readonly number[],
    dtype: number,
    device: string,
    requiresGrad: boolean,
  ): void
  read(id: number): Promise<NativeValue>
  /** The one value of a tensor of float64, float32, int64 or bool. */
  item(id: number): Promise<number | bigint | boolean>
  /** Rows that are read together: see native/napi/values.cpp. */
  openReading(): [reading: Opaque, result: Promise<NativeRows>]
  addToReading(reading: Opaque, id: number): void
  closeReading(reading: Opaque): void
  /** Frees the first `count` ids of `words`. */
  free(count: number): void
  synchronize(): Promise<void>
  /** null while the queue has room; else a promise that what is queued so far is done. */
  catchUp(): Promise<void> | null
  /** A promise that what is queued so far is done, whatever failed of it. */
  fence(): Promise<void>
  /** A token under which another environment receives the tensor, once; undefined in a worker that is being terminated. */
  share(
    id: number,
    shape: readonly number[],
    strides: readonly number[],
    dtype: number,
    device: string,
  ): string | undefined
  /** What is known of the shared tensor, which will be `id`; null where nothing waits under `token`. */
  receive(token: string, id: number): TensorInfo | null
  /** Takes an offer back; false where it is gone. */
  withdraw(token: string): boolean
  backward(
    tensors: readonly number[],
    gradients: readonly number[],
    inputs: readonly number[],
    retainGraph: boolean,
    createGraph: boolean,
    trace: number,
    pass: number,
  ): void
  grad(
    outputs: readonly number[],
    inputs: readonly number[],
    gradOutputs: readonly number[],
    retainGraph: boolean,
    createGraph: boolean,
    allowUnused: boolean,
    materialize: boolean,
    results: readonly number[],
    trace: number,
    pass: number,
  ): void
  /** `flags`: gradientFlags of what the handles assume. */
  getGrad(ids: readonly number[], results: readonly number[], flags: readonly number[]): void
  setGrad(ids: readonly number[], gradient: number): void
  retainGrad(id: number): void
  gradientGraph(id: number): Promise<{ name: string; next: number[] }[]>
  registerHook(tensor: number, callback: number): Opaque
  removeHook(place: Opaque): void
  attachFunction(
    name: string,
    callback: number,
    inputs: readonly number[],
    outputs: readonly number[],
    results: readonly number[],
    saved: readonly number[],
    notDifferentiable: readonly number[],
    dirty: readonly number[],
    materialize: boolean,
  ): void
  beginSegment(): Opaque
  endSegment(
    begin: Opaque,
    callback: number,
    outputs: readonly number[],
    results: readonly number[],
  ): void
  /** `other` becomes a second name of the tensor. */
  alias(id: number, other: number): void
  /** Results of the callback that runs, 0 for none. */
  reply(ids: readonly number[]): void
  /** What is queued from here on is recorded. */
  beginProgram(inputs: readonly number[], generators: readonly number[]): void
  /**
   * `results` name the outputs anew, without history. `before` and `after`: which leaves had a gradient when
   * they were first used, and which have one now.
   */
  endProgram(
    outputs: readonly number[],
    results: readonly number[],
    passes: Readonly<Record<string, boolean>>,
    leaves: readonly number[],
    calls: Opaque,
  ): Promise<{
    readonly program: Opaque
    readonly before: readonly boolean[]
    readonly after: readonly boolean[]
  }>
  /** Which tensors have a gradient, when all that is queued has run. Waits for it. */
  hasGradients(ids: readonly number[]): boolean[]
  abandonProgram(): void
  /** Ids of inputs, generators and results stand in `words`. Gives how many replays of it are queued. */
  replay(program: Opaque, inputs: number, generators: number, results: number): number
  /** The calls of all recordings of a program. */
  openCalls(): Opaque
  /** Leaves out the replays that are queued and have not begun. */
  cancelCalls(calls: Opaque): void
  /** Per instruction, the trace of its call. */
  programTraces(program: Opaque): number[]
  programText(program: Opaque, lines: readonly string[]): string
  programStats(program: Opaque): NativeProgramStats
  /** Names of the passes, and which are on by default. */
  programPasses(): Record<string, boolean>
  disposeProgram(program: Opaque): void
  joinGroup(
    backend: string,
    host: string,
    port: number,
    serve: boolean,
    rank: number,
    size: number,
    timeout: number,
  ): Promise<void>
  /** The reason is what the others are told; '' in peace. */
  leaveGroup(reason: string): Promise<void>
  /** `detail`: number of the reduction, or the rank that a broadcast comes from. */
  startCollective(
    kind: 'allReduce' | 'broadcast' | 'barrier' | 'begun',
    id: number,
    detail: number,
  ): Opaque
  /** Holds the queue; a failure poisons `id`. */
  endCollective(flight: Opaque, id: number): Promise<void>
  createReducer(reducer: number, parameters: readonly number[], bucketBytes: number): void
  prepareReducer(reducer: number): void
  finishReducer(reducer: number): Promise<void>
  releaseReducer(reducer: number): void
  /** State of the CPU's default generator to and from a tensor. */
  readRngState(id: number): void
  writeRngState(id: number): void
  manualSeed(generator: number, seed: bigint): void
  createGenerator(id: number, device: string, seed: bigint): void
  /** `device`: whose default generator is meant, where the id is 0. */
  generatorState(id: number, device: string): Promise<Uint8Array>
  setGeneratorState(id: number, state: Uint8Array, device: string): void
  versions(): NativeVersions
  memory(): NativeMemory
  trim(): void
  resetPeakMemory(): void
  setNumThreads(threads: number): void
  getNumThreads(): Promise<number>
  cudaOptions(): Promise<CudaOptions>
  setCudaOptions(options: Partial<CudaOptions>): void
}
