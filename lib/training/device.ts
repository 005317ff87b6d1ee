/** Where a run computes. */

import { LandmarkDiffusionError } from '../errors.js'
import * as torch from '../torch/index.js'

/** The CUDA devices of this machine. */
export interface CudaDevices {
  count: number
  /** Why there are none. */
  problem: string | null
}

function cudaDevices(): CudaDevices {
  return { count: torch.cuda.deviceCount(), problem: torch.cuda.whyUnavailable() }
}

/** Lets cuDNN try its algorithms at the first call of each shape, in the whole process: here shapes stay what they are. */
export function tuneDevice(device: string): void {
  if (device !== 'cpu') torch.cuda.setOptions({ cudnnBenchmark: true })
}

/** Where one of several processes computes that is not told: on a GPU of its own where there are some. */
export function deviceOfRank(devices: CudaDevices = cudaDevices()): string {
  return devices.count > 0 ? usableDevice('cuda', devices) : 'cpu'
}

/**
 * `cuda` is the device of this process among those of one machine, as torchrun's LOCAL_RANK numbers them.
 * @throws ERR_CONFIG for a name that is none; ERR_DEVICE where that device cannot be used, with the reason
 */
export function usableDevice(name = 'cpu', devices?: CudaDevices): string {
  const { LOCAL_RANK } = process.env
  const device = name === 'cuda' ? `cuda:${LOCAL_RANK ?? '0'}` : name
  if (!/^(cpu|cuda:\d+)$/.test(device)) {
    throw new LandmarkDiffusionError(
      'ERR_CONFIG',
      `device: '${name}' is no device to compute on; give cpu or cuda:0, cuda:1, ...`,
    )
  }
  if (device === 'cpu') return device
  const { count, problem } = devices ?? cudaDevices()
  if (problem === null && Number(device.split(':')[1]) < count) return device
  const reason = problem ?? `there are ${count} CUDA devices, from cuda:0 on`
  const remedy =
    count > 0 && LOCAL_RANK !== undefined
      ? `Start at most ${count} processes on this machine, or give --device cpu`
      : 'Give --device cpu to compute on the CPU'
  throw new LandmarkDiffusionError('ERR_DEVICE', `${device} cannot be used: ${reason}. ${remedy}`)
}
