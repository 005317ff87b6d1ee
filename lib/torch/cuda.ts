/** CUDA devices: which there are, and how they compute. As `torch.cuda` and `torch.backends`. */
import { LandmarkDiffusionError } from '../errors.js'
import { addon } from './addon.js'
import { call } from './call.js'
import type { AttentionBackend, CudaOptions } from './native.js'
import type { Tensor } from './tensor.js'

/** Numbers of `at::SDPBackend`. */
const backends: readonly AttentionBackend[] = ['math', 'flash', 'efficient', 'cudnn']
const flags = ['tf32Convolutions', 'tf32Matmul', 'cudnnBenchmark', 'deterministic'] as const

function refuse(message: string): never {
  throw new LandmarkDiffusionError('ERR_SCHEMA', `cuda.setOptions(): ${message}`)
}

export const cuda = {
  isAvailable(): boolean {
    return addon().native.versions().cudaDevices > 0
  },

  deviceCount(): number {
    return addon().native.versions().cudaDevices
  },

  /** Why there is no CUDA device: no driver, one that is too old, a libtorch for the CPU; null where there is one. */
  whyUnavailable(): string | null {
    return addon().native.versions().cudaProblem || null
  },

  /** How CUDA devices compute, as of what is queued so far. */
  options(): Promise<CudaOptions> {
    return addon().native.cudaOptions()
  },

  /**
   * Changes what is given, for the operators that follow, in the whole process. A list of attention kernels
   * switches the others off: without 'math', attention that no fused kernel takes is an error, not slow.
   */
  setOptions(options: Partial<CudaOptions>): void {
    for (const [name, value] of Object.entries(options)) {
      if (name === 'attention') {
        const list = value as readonly AttentionBackend[]
        const known = Array.isArray(list) && list.every((backend) => backends.includes(backend))
        if (!known || list.length === 0) refuse(`attention is a list of ${backends.join(', ')}`)
      } else if (!flags.includes(name as (typeof flags)[number])) {
        refuse(`there is no '${name}'; there are ${[...flags, 'attention'].join(', ')}`)
      } else if (typeof value !== 'boolean') {
        refuse(`${name} is true or false`)
      }
    }
    addon().native.setCudaOptions({ ...options })
  },

  /** The kernel that scaledDotProductAttention would take for these, [B, heads, tokens, channels] each. */
  attentionBackend(query: Tensor, key: Tensor, value: Tensor): AttentionBackend {
    const choice = call('aten::_fused_sdp_choice', [query, key, value]) as number
    return backends[choice] ?? 'math'
  },
}
