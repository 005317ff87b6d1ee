/**
 * The process group and its collective operations: `torch.distributed`. They are queued like every op. All ranks
 * must call the same ones in the same order, with tensors of one shape and dtype.
 */
import { LandmarkDiffusionError } from '../../errors.js'
import { addon } from '../addon.js'
import { call } from '../call.js'
import { noGrad } from '../context.js'
import { type Opaque, reductions } from '../native.js'
import { refuseInProgram } from '../recording.js'
import { Tensor } from '../tensor.js'
import { findRendezvous, type RendezvousOptions } from './rendezvous.js'

export interface ProcessGroupOptions extends RendezvousOptions {
  /** Seconds to wait for the others, when the group meets and in each operation. Default 600. */
  timeout?: number
}

export type Reduction = keyof typeof reductions | 'avg'

interface Membership {
  readonly rank: number
  readonly worldSize: number
}

let membership: Membership | null = null
let joining = false

/**
 * Meets the other processes: `torch.distributed.init_process_group`. One group a process. `backend` is `gloo` (CPU),
 * `nccl` (CUDA builds) or nothing: whatever there is, chosen by each tensor's device.
 *
 * @throws ERR_DISTRIBUTED (a promise) for wrong settings, a port in use, or ranks that do not come in time
 */
export async function initProcessGroup(
  backend?: 'gloo' | 'nccl',
  options: ProcessGroupOptions = {},
): Promise<void> {
  if (membership || joining) throw problem('this process is in a group already')
  if (backend !== undefined && backend !== 'gloo' && backend !== 'nccl')
    throw problem(`there is no backend '${backend}'; choose gloo or nccl`)
  const { timeout = 600 } = options
  if (!(timeout > 0 && timeout <= longest))
    throw problem(`timeout must be from 0 to ${longest} seconds, not ${timeout}`)
  const { host, port, rank, worldSize, serve } = findRendezvous(options)
  const { native } = addon()
  joining = true
  try {
    const milliseconds = Math.ceil(timeout * 1000)
    await native.joinGroup(backend ?? '', host, port, serve, rank, worldSize, milliseconds)
    membership = { rank, worldSize }
  } catch (cause) {
    throw problem(explain(String((cause as Error).message), rank, `${host}:${port}`), cause)
  } finally {
    joining = false
  }
}

const longest = 30 * 24 * 3600

function explain(reason: string, rank: number, place: string): string {
  const first = reason.split('\n', 1)[0] ?? reason
  if (/EADDRINUSE|address already in use/i.test(reason))
    return `rank ${rank} cannot keep the store at ${place}: the port is in use; choose another MASTER_PORT, or end the process that has it`
  return `rank ${rank} did not get into the group at ${place}: ${first}. Check that all ranks were started, with the same MASTER_ADDR, MASTER_PORT and WORLD_SIZE`
}

/**
 * Leaves the group; await your last operations first. With a `reason` the others learn that this rank failed, and
 * their operations reject with it at once.
 */
export async function destroyProcessGroup({
  reason = '',
}: {
  reason?: string
} = {}): Promise<void> {
  memberOf()
  membership = null
  await addon().native.leaveGroup(reason.slice(0, longestReason))
}

const longestReason = 2000

export function isInitialized(): boolean {
  return membership !== null
}

/** This process among all, from 0. */
export function getRank(): number {
  return memberOf().rank
}

export function getWorldSize(): number {
  return memberOf().worldSize
}

function memberOf(): Membership {
  if (membership) return membership
  throw problem('this process is in no group; await torch.distributed.initProcessGroup() first')
}

export interface AllReduceOptions {
  /** Default `sum`; `avg` divides the sum by the number of ranks. */
  op?: Reduction
  /** Returns a `Work` that the queue does not wait for. */
  asyncOp?: boolean
}

/**
 * Replaces the tensor on every rank by the reduction over all ranks. Ops that are queued after it see the result;
 * the promise tells when it is there, and rejects with ERR_DISTRIBUTED where a rank is lost.
 */
export function allReduce(tensor: Tensor, options: AllReduceOptions & { asyncOp: true }): Work
export function allReduce(
  tensor: Tensor,
  options?: AllReduceOptions & { asyncOp?: false },
): Promise<void>
export function allReduce(
  tensor: Tensor,
  { op = 'sum', asyncOp = false }: AllReduceOptions = {},
): Work | Promise<void> {
  const { worldSize } = memberOf()
  checkTensor('allReduce', tensor)
  if (op === 'avg' && !/float/.test(tensor.dtype))
    throw problem(`allReduce: 'avg' needs floating-point numbers, not ${tensor.dtype}`)
  const reduction = op === 'avg' ? reductions.sum : reductions[op]
  if (reduction === undefined)
    throw problem(`allReduce: there is no reduction '${op}'; choose sum, avg, product, min or max`)
  noCollective('allReduce()')
  const flight = addon().native.startCollective('allReduce', tensor.id, reduction)
  const work = new Work(flight, tensor, op === 'avg' ? worldSize : 1)
  return asyncOp ? work : work.wait()
}

/** Replaces the tensor on every rank by that of rank `src`. Waits as `allReduce` does. */
export function broadcast(tensor: Tensor, { src = 0 }: { src?: number } = {}): Promise<void> {
  const { worldSize } = memberOf()
  checkTensor('broadcast', tensor)
  if (!(Number.isInteger(src) && src >= 0 && src < worldSize))
    throw problem(`broadcast: src must be a rank, 0 to ${worldSize - 1}, not ${src}`)
  noCollective('broadcast()')
  const { native } = addon()
  return native.endCollective(native.startCollective('broadcast', tensor.id, src), tensor.id)
}

/** Collectives run beside the queue, where programs do not see them. */
function noCollective(name: string): void {
  refuseInProgram(`${name} was called`, 'Call it between programs.')
}

/**
 * Begins to sum the tensor over all ranks, as an operator: a program that is recorded begins it at the same place each
 * time. Until the `exchanged()` of it has been waited for, the tensor may not be touched.
 */
export function beginExchange(tensor: Tensor): void {
  memberOf()
  noGrad(() => call('landmark_diffusion::begin_exchange', [tensor]))
}

/** The end of what `beginExchange()` began with this tensor, which then holds the average over the ranks. */
export function exchanged(tensor: Tensor): Work {
  const { worldSize } = memberOf()
  noCollective('exchanged()')
  return new Work(addon().native.startCollective('begun', tensor.id, 0), tensor, worldSize)
}

/** Resolves when every rank has come here; what is queued after it waits too. */
export function barrier(): Promise<void> {
  memberOf()
  noCollective('barrier()')
  const { native } = addon()
  return native.endCollective(native.startCollective('barrier', 0, 0), 0)
}

/** An operation that the queue does not wait for. Until `wait()` its tensor may not be touched. */
export class Work {
  readonly #tensor: Tensor
  readonly #divisor: number
  #flight: Opaque | null

  /** @internal */
  constructor(flight: Opaque, tensor: Tensor, divisor: number) {
    this.#flight = flight
    this.#tensor = tensor
    this.#divisor = divisor
  }

  /** Ops queued from now on see the result; the promise tells when it is there. Once. */
  wait(): Promise<void> {
    if (this.#flight === null) throw problem('wait() was called before on this operation')
    const flight = this.#flight
    this.#flight = null
    const gone = this.#tensor.disposed
    const done = addon().native.endCollective(flight, gone ? 0 : this.#tensor.id)
    if (this.#divisor !== 1 && !gone)
      noGrad(() => call('aten::div_.Scalar', [this.#tensor, this.#divisor]))
    return done
  }
}

function checkTensor(name: string, tensor: unknown): asserts tensor is Tensor {
  if (!(tensor instanceof Tensor)) throw problem(`${name}: expected a Tensor, got ${typeof tensor}`)
}

export function problem(message: string, cause?: unknown): LandmarkDiffusionError {
  return new LandmarkDiffusionError('ERR_DISTRIBUTED', message, { cause })
}
