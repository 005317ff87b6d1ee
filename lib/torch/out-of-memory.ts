/** What libtorch's allocators say when there is no memory left, as figures and as advice. */

export interface OutOfMemory {
  /** 'cpu', 'cuda:0', ...; null where the message does not say. */
  readonly device: string | null
  /** Bytes of the allocation that failed, and bytes that were free; null where the message does not say. */
  readonly wanted: number | null
  readonly free: number | null
}

const units: Readonly<Record<string, number>> = {
  bytes: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
}

function bytes(match: RegExpExecArray | null): number | null {
  if (!match) return null
  return Math.round(Number(match[1]) * (units[match[2] ?? 'bytes'] ?? 1))
}

/** Reads the message of CUDA's caching allocator, or of this package's for the CPU. */
export function readOutOfMemory(message: string): OutOfMemory {
  const cpu = /cpu: wanted (\d+) bytes for one tensor, there are (\d+)/.exec(message)
  if (cpu) return { device: 'cpu', wanted: Number(cpu[1]), free: Number(cpu[2]) }
  const gpu = /GPU (\d+) has a total capacity of [\d.]+ \w+ of which ([\d.]+) (\w+) is free/
  const found = gpu.exec(message)
  return {
    device: found ? `cuda:${found[1]}` : /CUDA out of memory/.test(message) ? 'cuda' : null,
    wanted: bytes(/Tried to allocate ([\d.]+) (\w+)/.exec(message)),
    free: found ? Math.round(Number(found[2]) * (units[found[3] as string] ?? 1)) : null,
  }
}

export function adviceOutOfMemory({ device }: OutOfMemory): string {
  const common = 'a smaller batch or image, fewer attention levels, or dispose tensors earlier'
  return device?.startsWith('cuda')
    ? `Try ${common}; bfloat16 halves the activations. Other processes on this GPU take from the same memory; \`torch.memory()\` says what is this one's.`
    : `Try ${common}.`
}
