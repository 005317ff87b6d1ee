/**
 * A model's gradients in a few long tensors, where they wait between the two programs of a step: the pass, which writes
 * them or adds to them, and the update, which reads them. Ranks exchange these in between, or already during the pass,
 * which then begins the exchange of each bucket that is full, as PyTorch's DistributedDataParallel does. Nothing stays
 * in `.grad`, so that both programs can be graphs of a GPU.
 */

import * as torch from '../torch/index.js'

type Tensor = torch.Tensor

/** As in DistributedDataParallel. */
const bucketBytes = 25 * 2 ** 20

export interface CollectOptions {
  /** On top of what is there, instead of it. */
  add: boolean
  /** Begins the exchange of each bucket as soon as it is complete: `torch.distributed.exchanged` is its end. */
  exchange?: boolean
}

interface Bucket {
  /** float32, one-dimensional */
  readonly all: Tensor
  readonly members: readonly Tensor[]
  /** Of `all`, one a member, with its shape and strides. */
  readonly views: readonly Tensor[]
}

export class GradientBuckets implements Disposable {
  /** The last ones first: about the order in which their gradients come. */
  readonly #parameters: readonly Tensor[]
  readonly #buckets: readonly Bucket[]

  /** parameters: float32 and dense, on one device */
  constructor(parameters: Iterable<Tensor>) {
    this.#parameters = [...parameters].reverse()
    this.#buckets = inBuckets(this.#parameters).map(bucketOf)
  }

  /** The gradients of `loss`. Fit for a program. Returns the buckets. */
  collect(loss: Tensor, { add, exchange = false }: CollectOptions): readonly Tensor[] {
    torch.scope(() => {
      const hooks = exchange ? this.#sendWhenFull(add) : []
      const gradients = torch.grad([loss], this.#parameters)
      for (const hook of hooks) hook.remove()
      if (exchange) return
      const name = add ? 'aten::_foreach_add_.List' : 'aten::_foreach_copy_'
      torch.noGrad(() => torch.call(name, [this.#views, gradients]))
    })
    return this.#buckets.map(({ all }) => all)
  }

  /** For the pass to come. */
  #sendWhenFull(add: boolean): torch.autograd.HookHandle[] {
    const missing = this.#buckets.map(({ members }) => members.length)
    let next = 0
    const put = (gradient: Tensor, place: number, view: Tensor) => {
      torch.noGrad(() => (add ? view.add_(gradient) : view.copy_(gradient)))
      missing[place] = (missing[place] as number) - 1
      // In the same order on all ranks.
      for (; missing[next] === 0; next++)
        torch.distributed.beginExchange((this.#buckets[next] as Bucket).all)
    }
    return this.#buckets.flatMap(({ members, views }, place) =>
      members.map((parameter, i) =>
        parameter.registerHook((gradient) => put(gradient, place, views[i] as Tensor)),
      ),
    )
  }

  get #views(): Tensor[] {
    return this.#buckets.flatMap(({ views }) => views)
  }

  /** Makes them the parameters' gradients. Fit for a program. */
  give(): void {
    for (const { members, views } of this.#buckets)
      for (const [i, parameter] of members.entries()) parameter.grad = views[i] as Tensor
  }

  [Symbol.dispose](): void {
    for (const { all, views } of this.#buckets)
      for (const tensor of [...views, all]) tensor.dispose()
  }
}

function bucketOf(members: readonly Tensor[]): Bucket {
  const length = members.reduce((sum, { numel }) => sum + numel, 0)
  const all = torch.keep(torch.zeros([length], { device: (members[0] as Tensor).device }))
  let offset = 0
  const views = members.map((member) => {
    const place = [all, member.shape, member.stride(), offset]
    offset += member.numel
    return torch.keep(torch.call('aten::as_strided', place) as Tensor)
  })
  return { all, members, views }
}

function inBuckets(parameters: readonly Tensor[]): Tensor[][] {
  const buckets: Tensor[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const parameter of parameters) {
    if (bytes >= bucketBytes) {
      buckets.push([])
      bytes = 0
    }
    buckets.at(-1)?.push(parameter)
    bytes += parameter.numel * 4
  }
  return buckets
}
