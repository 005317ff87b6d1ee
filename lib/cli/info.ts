/** `landmark-diffusion info`: what this machine and this installation are. Works without libtorch, and says so. */

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { availableParallelism, cpus, freemem, totalmem } from 'node:os'
import type { Command } from 'commander'
import { defineCommand, printJson } from './command.js'
import { findScript, type Libtorch } from './libtorch-scripts.js'

/** The vector and matrix units that libtorch's kernels choose between, by their names in /proc/cpuinfo. */
const cpuFeatures = [
  'avx',
  'avx2',
  'fma',
  'avx512f',
  'avx512_bf16',
  'avx512_vnni',
  'amx_tile',
  'amx_bf16',
  'amx_int8',
  'neon',
  'asimd',
  'sve',
]

interface Info {
  readonly package: string
  readonly node: string
  readonly napi: string
  readonly platform: string
  readonly libtorch: Libtorch | null
  /** Why there is no libtorch, and what mends it; null when there is one. */
  readonly libtorchProblem: string | null
  readonly addon: {
    readonly built: boolean
    readonly loads: boolean
    readonly problem: string | null
  }
  readonly devices: readonly string[]
  readonly cpu: {
    readonly model: string
    readonly cores: number
    readonly features: readonly string[]
  }
  /** Bytes. */
  readonly memory: { readonly total: number; readonly free: number; readonly limit: number | null }
}

export function infoCommand(): Command {
  return defineCommand({
    name: 'info',
    summary: 'show versions, libtorch, devices, CPU features and memory',
    examples: ['landmark-diffusion info', 'landmark-diffusion info --json'],
  })
    .option('--json', 'print the result as JSON')
    .action(async (options: { json?: boolean }) => {
      const info = await collect()
      if (options.json) printJson(info)
      else process.stdout.write(describe(info))
    })
}

async function collect(): Promise<Info> {
  const { findLibtorch, explainMissing } = await findScript()
  const { found, looked } = findLibtorch()
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  const { addon, devices } = await probeAddon()
  return {
    package: (JSON.parse(text) as { version: string }).version,
    node: process.versions.node,
    napi: process.versions.napi ?? '?',
    platform: `${process.platform}-${process.arch}`,
    libtorch: found,
    libtorchProblem: found ? null : explainMissing(looked),
    addon,
    devices,
    cpu: {
      model: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
      features: await readCpuFeatures(),
    },
    memory: { total: totalmem(), free: freemem(), limit: await readMemoryLimit() },
  }
}

/** Loads the addon by asking it for something small; a failure is part of the answer here. */
async function probeAddon(): Promise<Pick<Info, 'addon' | 'devices'>> {
  const built = existsSync(new URL('../../build/Release', import.meta.url))
  try {
    const torch = await import('../torch/index.js')
    using probe = torch.zeros([1])
    await probe.item()
    const count = 'cuda' in torch ? (torch.cuda as { deviceCount(): number }).deviceCount() : 0
    const gpus = Array.from({ length: count }, (_, index) => `cuda:${index}`)
    return { addon: { built, loads: true, problem: null }, devices: ['cpu', ...gpus] }
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    return { addon: { built, loads: false, problem }, devices: [] }
  }
}

async function readCpuFeatures(): Promise<string[]> {
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '')
  const flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1]?.split(/\s+/) ?? [])
  return cpuFeatures.filter((name) => flags.has(name))
}

/** The memory limit of the control group (a container's), in bytes; null where there is none. */
async function readMemoryLimit(): Promise<number | null> {
  for (const path of ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes']) {
    const bytes = Number(await readFile(path, 'utf8').catch(() => 'max'))
    if (Number.isFinite(bytes) && bytes > 0 && bytes < totalmem()) return bytes
  }
  return null
}

function describe(info: Info): string {
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`
  const { libtorch, addon, cpu, memory } = info
  const rows: [string, string][] = [
    ['landmark-diffusion', info.package],
    ['Node', `${info.node} (Node-API ${info.napi}), ${info.platform}`],
    [
      'libtorch',
      libtorch ? `${libtorch.fullVersion} (${libtorch.flavour}), from ${libtorch.source}` : 'none',
    ],
  ]
  if (libtorch) rows.push(['', libtorch.root])
  rows.push(
    ['addon', addon.loads ? 'loads' : addon.built ? 'built, but does not load' : 'not built'],
    ['devices', info.devices.join(', ') || 'none'],
    ['CPU', `${cpu.model}, ${cpu.cores} cores`],
    ['', cpu.features.join(' ')],
    [
      'memory',
      `${gib(memory.total)}, ${gib(memory.free)} free${memory.limit === null ? '' : `, limited to ${gib(memory.limit)}`}`,
    ],
  )
  const width = Math.max(...rows.map(([name]) => name.length)) + 2
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}${value}`)
  const problem = info.libtorchProblem ?? addon.problem
  return `${lines.join('\n')}\n${problem ? `\n${problem}\n` : ''}`
}
