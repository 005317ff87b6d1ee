/** Starts one process a rank on this machine, as torchrun does, and ends with them: `train --processes N`. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import { exitStatus, say, usageError } from './command.js'

/** Seconds that ranks have to end by themselves after one was lost, and then after SIGTERM. */
const patience = { byThemselves: 30, afterTerm: 15 }

interface Rank {
  rank: number
  child: ChildProcess
  ended: Promise<Ending>
}

interface Ending {
  rank: number
  status: number | null
  signal: NodeJS.Signals | null
}

/** Whether this process is one of several, and not the one that speaks for all. */
export function isSilentRank(): boolean {
  const { RANK, WORLD_SIZE } = process.env
  return WORLD_SIZE !== undefined && WORLD_SIZE !== '1' && RANK !== undefined && RANK !== '0'
}

/**
 * Runs this command line in `processes` processes; `words` are its arguments without `--processes`. Ctrl-C and SIGTERM
 * go to all ranks, and where this process is killed they end too. Returns the exit status.
 */
export async function launch(words: readonly string[], processes: number): Promise<number> {
  if (process.env.WORLD_SIZE !== undefined)
    throw usageError(
      'WORLD_SIZE is set: this process was started by a launcher already. Leave --processes out.',
    )
  const port = await freePort()
  const ranks = Array.from({ length: processes }, (_, rank) => start(words, rank, processes, port))
  const kill = (signal: NodeJS.Signals) => {
    for (const { child } of ranks) child.kill(signal)
  }
  const forward = (signal: NodeJS.Signals) => kill(signal)
  process.on('SIGINT', forward)
  process.on('SIGTERM', forward)
  let timer: NodeJS.Timeout | undefined
  for (const { ended } of ranks) {
    ended.then(({ rank, status, signal }) => {
      if (status === 0 || timer) return
      if (signal) say(`rank ${rank} was ended by ${signal}; the others stop too.`)
      timer = setTimeout(() => {
        kill('SIGTERM')
        timer = setTimeout(kill, patience.afterTerm * 1000, 'SIGKILL')
      }, patience.byThemselves * 1000)
    })
  }
  const endings = await Promise.all(ranks.map(({ ended }) => ended))
  clearTimeout(timer)
  process.off('SIGINT', forward)
  process.off('SIGTERM', forward)
  if (endings.some(({ signal }) => signal))
    say('The last checkpoint is untouched; go on with the same --out and --resume.')
  return worst(endings)
}

/** 0 where all ended well; a failure counts more than an interruption. */
function worst(endings: readonly Ending[]): number {
  const statuses = endings.map(({ status }) => status ?? exitStatus.failed)
  const failed = statuses.find((status) => status === exitStatus.failed)
  return failed ?? Math.max(...statuses)
}

function start(words: readonly string[], rank: number, size: number, port: number): Rank {
  const threads = Math.max(1, Math.floor(availableParallelism() / size))
  const own = rank === 0
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', ...words], {
    // A process group of its own: ctrl-C reaches a rank once, through this process.
    detached: true,
    // The channel tells a rank that this process is gone.
    stdio: ['ignore', own ? 'inherit' : 'ignore', own ? 'inherit' : 'pipe', 'ipc'],
    env: {
      OMP_NUM_THREADS: String(threads),
      // Else libtorch prints its C++ stack where the store's process is gone.
      TORCH_CPP_LOG_LEVEL: 'ERROR',
      ...process.env,
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: String(port),
      RANK: String(rank),
      LOCAL_RANK: String(rank),
      WORLD_SIZE: String(size),
    },
  })
  if (child.stderr) {
    createInterface({ input: child.stderr }).on('line', (line) => say(`[rank ${rank}] ${line}`))
  }
  const ended = once(child, 'close').then(([status, signal]) => ({ rank, status, signal }))
  return { rank, child, ended }
}

/** Ends this rank as SIGTERM would, once the process that launched it is gone. */
export function endWithLauncher(): void {
  if (!process.channel) return
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  // What this rank says went through that process: nobody reads it any more.
  process.stderr.on('error', () => undefined)
  process.channel.unref()
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}
