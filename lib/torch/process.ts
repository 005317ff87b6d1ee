/** The process as a whole: waiting, memory, threads, devices, versions. */
import { LandmarkDiffusionError } from '../errors.js'
import { addon } from './addon.js'
import { liveHandles } from './handles.js'

export interface Memory {
  /** Live tensors and generators of this environment. */
  readonly tensors: number
  /** Bytes in CPU tensors of the whole process. */
  readonly bytes: number
  readonly peakBytes: number
  /** Bytes kept for the next tensors; `emptyCache()` returns them, and so do two idle seconds. */
  readonly cachedBytes: number
  /** Ops queued and not yet done. */
  readonly queued: number
}

/** Resolves when everything queued so far is done; rejects with a failure that nobody has seen yet. */
export async function synchronize(_device?: string): Promise<void> {
  await addon().native.synchronize()
}

export function memory(): Memory {
  return { tensors: liveHandles(), ...addon().native.memory() }
}

/** Gives cached CPU memory back to the system, behind the ops queued so far. */
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

export const cuda = {
  isAvailable(): boolean {
    return addon().native.versions().cudaDevices > 0
  },
  deviceCount(): number {
    return addon().native.versions().cudaDevices
  },
}
