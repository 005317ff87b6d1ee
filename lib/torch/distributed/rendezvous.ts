/** Where the processes of a group meet: from options, or from the environment variables that `torchrun` sets. */
import { LandmarkDiffusionError, shown } from '../../errors.js'

export interface Rendezvous {
  /** Where rank 0's store listens. */
  readonly host: string
  readonly port: number
  readonly rank: number
  readonly worldSize: number
  /** Whether this process keeps the store: rank 0 does, unless the launcher has one. */
  readonly serve: boolean
}

export interface RendezvousOptions {
  /** `env://` (default) reads MASTER_ADDR and MASTER_PORT; `tcp://host:port` names them. */
  initMethod?: string
  /** Default: RANK. */
  rank?: number
  /** Default: WORLD_SIZE. */
  worldSize?: number
}

type Environment = Readonly<Record<string, string | undefined>>

/** @throws ERR_DISTRIBUTED that names the option or variable that is missing or wrong */
export function findRendezvous(
  { initMethod = 'env://', rank, worldSize }: RendezvousOptions = {},
  environment: Environment = process.env,
): Rendezvous {
  const size =
    worldSize === undefined
      ? integer('WORLD_SIZE', environment.WORLD_SIZE, 1, mostRanks)
      : integer('worldSize', worldSize, 1, mostRanks)
  const own =
    rank === undefined
      ? integer('RANK', environment.RANK, 0, size - 1)
      : integer('rank', rank, 0, size - 1)
  const place = initMethod === 'env://' ? fromEnvironment(environment) : fromAddress(initMethod)
  // Under torchrun the agent keeps a store already, at the very address that it hands down.
  const agent = initMethod === 'env://' && environment.TORCHELASTIC_USE_AGENT_STORE === 'True'
  return { ...place, rank: own, worldSize: size, serve: own === 0 && !agent }
}

/** Place of this process among those on its machine, from LOCAL_RANK; 0 where nothing says it. */
export function localRank(environment: Environment = process.env): number {
  const { LOCAL_RANK } = environment
  return LOCAL_RANK === undefined ? 0 : integer('LOCAL_RANK', LOCAL_RANK, 0, mostRanks)
}

const mostRanks = 4096

function fromEnvironment({ MASTER_ADDR, MASTER_PORT }: Environment) {
  if (!MASTER_ADDR) throw wrong('MASTER_ADDR', MASTER_ADDR, 'the host of rank 0')
  return { host: MASTER_ADDR, port: integer('MASTER_PORT', MASTER_PORT, 1, 65535) }
}

function fromAddress(initMethod: string) {
  const [, host, port] = /^tcp:\/\/(\[[^\]]+\]|[^:/]+):(\d+)$/.exec(initMethod) ?? []
  if (host === undefined) throw wrong('initMethod', initMethod, 'env:// or tcp://host:port')
  return {
    host: host.replace(/^\[|\]$/g, ''),
    port: integer('the port of initMethod', port, 1, 65535),
  }
}

function integer(
  name: string,
  given: string | number | undefined,
  least: number,
  most: number,
): number {
  const value = typeof given === 'string' && /^\d{1,9}$/.test(given.trim()) ? Number(given) : given
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most)
    return value
  throw wrong(name, given, `a whole number from ${least} to ${most}`)
}

function wrong(name: string, given: unknown, wanted: string): LandmarkDiffusionError {
  const got = given === undefined ? 'is not set' : `is ${shown(given)}`
  return new LandmarkDiffusionError(
    'ERR_DISTRIBUTED',
    `${name} ${got}; it must be ${wanted}. torchrun and \`train --processes N\` set MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE`,
  )
}
