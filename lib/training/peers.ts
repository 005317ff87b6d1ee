/**
 * The processes that train one model together. Only the first one touches the disk: it reads configuration, data and
 * checkpoint and writes the run's folder; the others get all of it through the group. A process that trains alone
 * is a group of one, which exchanges nothing.
 */

import * as torch from '../torch/index.js'

const { distributed } = torch

/** As PyTorch's default. A lost rank is noticed long before; this is for slow disks and long validations. */
const timeout = 30 * 60

export class Peers {
  readonly rank: number
  readonly size: number
  /** Whether leaving is up to us. */
  readonly #own: boolean

  private constructor(rank: number, size: number, own: boolean) {
    this.rank = rank
    this.size = size
    this.#own = own
  }

  /**
   * Meets the others, where the variables of `torchrun` name a group of several (WORLD_SIZE); takes the group that
   * this process is in already; else trains alone. @throws ERR_DISTRIBUTED
   */
  static async join(): Promise<Peers> {
    const own = !distributed.isInitialized()
    if (own) {
      if ((process.env.WORLD_SIZE ?? '1') === '1') return new Peers(0, 1, false)
      await distributed.initProcessGroup(undefined, { timeout })
    }
    return new Peers(distributed.getRank(), distributed.getWorldSize(), own)
  }

  /** In peace, or with the reason that the others are told. */
  async leave(reason = ''): Promise<void> {
    if (this.#own) await distributed.destroyProcessGroup({ reason })
  }

  get isFirst(): boolean {
    return this.rank === 0
  }

  get isAlone(): boolean {
    return this.size === 1
  }

  /** What `make` gives on the first rank, as JSON, on all of them. */
  async fromFirst<T>(make: () => T | Promise<T>): Promise<T> {
    if (this.isAlone) return make()
    const own = this.isFirst ? Buffer.from(JSON.stringify(await make())) : Buffer.alloc(0)
    const bytes = await this.bytesFromFirst(own)
    return JSON.parse(Buffer.from(bytes).toString()) as T
  }

  async bytesFromFirst(own: Uint8Array): Promise<Uint8Array> {
    if (this.isAlone) return own
    return torch.scopeAsync(async () => {
      const length = torch.tensor(BigInt64Array.of(BigInt(own.length)))
      await distributed.broadcast(length)
      const count = Number(await length.item())
      if (count === 0) return new Uint8Array(0)
      const bytes = this.isFirst
        ? torch.tensor(own, { shape: [count], dtype: 'uint8' })
        : torch.empty([count], { dtype: 'uint8' })
      await distributed.broadcast(bytes)
      return this.isFirst ? own : ((await bytes.data()) as Uint8Array)
    })
  }

  /** The first rank's values into everyone's tensors. */
  async copyFromFirst(tensors: Iterable<torch.Tensor>): Promise<void> {
    if (this.isAlone) return
    await Promise.all([...tensors].map((tensor) => distributed.broadcast(tensor)))
  }

  /** The sum over all ranks, element by element. */
  async sum(values: Float64Array): Promise<Float64Array> {
    if (this.isAlone) return values
    return torch.scopeAsync(async () => {
      const tensor = torch.tensor(values)
      await distributed.allReduce(tensor)
      return (await tensor.data()) as Float64Array
    })
  }

  /**
   * Begins to average a tensor in place; what it returns makes the ops after it see the result. Its promise rejects
   * where a rank is lost.
   */
  average(tensor: torch.Tensor): () => Promise<void> {
    if (this.isAlone) return async () => undefined
    const work = distributed.allReduce(tensor, { op: 'avg', asyncOp: true })
    return () => work.wait()
  }

  /** As `average`, of a tensor whose exchange a program has begun. */
  averaged(tensor: torch.Tensor): () => Promise<void> {
    const work = distributed.exchanged(tensor)
    return () => work.wait()
  }

  /** Averages gradients; null where there is nobody to average with. */
  reducer(parameters: Iterable<torch.Tensor>): torch.distributed.Reducer | null {
    return this.isAlone ? null : new distributed.Reducer(parameters)
  }

  async meet(): Promise<void> {
    if (!this.isAlone) await distributed.barrier()
  }
}
