/** The process as a whole: waiting, memory, threads, devices, versions. */
import { LandmarkDiffusionError } from '../errors.js'
import { addon } from './addon.js'
import { device } from './device.js'
import { liveHandles } from './handles.js'
import type { DeviceMemory } from './native.js'
import { type ScopeMemory, scopesHere } from './scope.js'

/** The CPU's figures stand at the top level too. */
export interface Memory extends DeviceMemory {
  /** Live tensors and generators of this thread. */
  readonly tensors: number
  /** By device name; those of CUDA once they are used. */
  readonly devices: Readonly<Record<string, DeviceMemory>>
  /** The scopes around the caller, the innermost first. */
  readonly scopes: readonly ScopeMemory[]
  /** What V8 was told that tensors of the CPU hold for long; by one thread, for the whole process. */
  readonly reportedBytes: number
  /** Of `bytes`, what programs keep of transformed weights, at most 512 MiB; `emptyCache()` and two idle seconds let it go. */
  readonly preparedBytes: number
  /** Tensors offered by `share()`, in all threads, that nobody received yet. */
  readonly shared: number
  /** Ops of this thread that are queued and not yet done. */
  readonly queued: number
}

/**
 * Resolves when everything queued so far is done, on every device that is in use; rejects with a failure that
 * nobody has seen yet. The queue is one for all devices, so a device's name is only checked.
 */
export async function synchronize(name?: string): Promise<void> {
  if (name !== undefined) device(name)
  await addon().native.synchronize()
}

/** What tensors hold at the moment. Bytes lag behind the calls by the ops that are queued. */
export function memory(): Memory {
  const { devices, ...others } = addon().native.memory()
  const cpu = devices.cpu as DeviceMemory
  return { tensors: liveHandles(), ...cpu, devices, scopes: scopesHere(), ...others }
}

/** Counts `peakBytes` anew, from the ops that follow. As `torch.cuda.reset_peak_memory_stats`. */
export function resetPeakMemory(): void {
  addon().native.resetPeakMemory()
}

/** Gives cached memory back to the system or the driver, behind the ops queued so far. */
export function emptyCache(): void {
  addon().native.trim()
}

/** Threads that one op may use. As `torch.set_num_threads`. */
export function setNumThreads(threads: number): void {
  if (!Number.isSafeInteger(threads) || threads < 1 || threads > 1024) {
    throw new LandmarkDiffusionError('ERR_SCHEMA', `setNumThreads wants 1 to 1024, got ${threads}`)
  }
  addon().native.setNumThreads(threads)
}

export function getNumThreads(): Promise<number> {
  return addon().native.getNumThreads()
}

/** Version of the libtorch that the addon is built with, and what it can do here. */
export function versions(): { libtorch: string; cuda: boolean; cpuCapability: string } {
  const { libtorch, cuda, cpuCapability } = addon().native.versions()
  return { libtorch, cuda, cpuCapability }
}
