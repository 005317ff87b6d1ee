/** Processes of a group for the tests: each runs one task of ranks-child.mjs and prints JSON lines. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'

export interface Ended {
  status: number | null
  signal: NodeJS.Signals | null
  // biome-ignore lint/suspicious/noExplicitAny: what a child printed, by its task
  lines: any[]
  stderr: string
}

export interface Rank {
  child: ChildProcess
  ended: Promise<Ended>
  /** Resolves when the child has printed so many lines. */
  printed(count: number): Promise<void>
}

export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address ? address.port : 0
}

/** Starts ranks 0 ... size - 1, or only those of `started`. */
export async function startRanks(
  task: string,
  size: number,
  { started, port, env = {} }: { started?: number[]; port?: number; env?: Environment } = {},
): Promise<Rank[]> {
  const masterPort = port ?? (await freePort())
  const ranks = started ?? Array.from({ length: size }, (_, i) => i)
  return ranks.map((rank) => startRank(task, rank, size, masterPort, env))
}

/** Runs all ranks to their ends. */
export async function runRanks(task: string, size: number): Promise<Ended[]> {
  const ranks = await startRanks(task, size)
  return Promise.all(ranks.map(({ ended }) => ended))
}

type Environment = Record<string, string>

function startRank(task: string, rank: number, size: number, port: number, env: Environment): Rank {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'ranks-child.mjs'), task], {
    env: {
      ...process.env,
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: String(port),
      RANK: String(rank),
      LOCAL_RANK: String(rank),
      WORLD_SIZE: String(size),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const lines = () => stdout.split('\n').slice(0, -1)
  const ended = once(child, 'close').then(([status, signal]) => ({
    status: status as number | null,
    signal: signal as NodeJS.Signals | null,
    lines: lines().map((line) => JSON.parse(line)),
    stderr,
  }))
  const printed = async (count: number) => {
    while (lines().length < count) {
      if (child.exitCode !== null) throw new Error(`rank ${rank} ended early: ${stderr}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  return { child, ended, printed }
}
