/**
 * A model's gradients in a few long tensors. Ranks exchange these between the two programs of a step: the pass, which
 * writes them, and the update, which reads them. What `distributed.Reducer` does by hooks on the backward pass cannot
 * be replayed, so the exchange begins where the pass has ended; and as nothing stays in `.grad`, both programs can be
 * graphs of a GPU.
 */

import * as torch from '../torch/index.js'

type Tensor = torch.Tensor

/** As in PyTorch's DistributedDataParallel. */
const bucketBytes = 25 * 2 ** 20

export class GradientBuckets implements Disposable {
  readonly #parameters: readonly Tensor[]
  /** float32, one-dimensional */
  readonly #buckets: readonly Tensor[]
  /** Of the buckets, one a parameter, with its shape and strides. */
  readonly #views: readonly Tensor[]

  /** parameters: float32 and dense, on one device */
  constructor(parameters: Iterable<Tensor>) {
    this.#parameters = [...parameters]
    const buckets: Tensor[] = []
    const views: Tensor[] = []
    for (const members of inBuckets(this.#parameters)) {
      const length = members.reduce((sum, { numel }) => sum + numel, 0)
      const bucket = torch.keep(torch.zeros([length], { device: (members[0] as Tensor).device }))
      let offset = 0
      for (const { shape, numel, ...member } of members.map(placeOf)) {
        const place = [bucket, shape, member.strides, offset]
        views.push(torch.keep(torch.call('aten::as_strided', place) as Tensor))
        offset += numel
      }
      buckets.push(bucket)
    }
    this.#buckets = buckets
    this.#views = views
  }

  /** The gradients of `loss` instead of what is there, or on top of it. Fit for a program. Returns the buckets. */
  collect(loss: Tensor, { add }: { add: boolean }): readonly Tensor[] {
    torch.scope(() => {
      const gradients = torch.grad([loss], this.#parameters)
      const name = add ? 'aten::_foreach_add_.List' : 'aten::_foreach_copy_'
      torch.noGrad(() => torch.call(name, [[...this.#views], gradients]))
    })
    return this.#buckets
  }

  /** Makes them the parameters' gradients. Fit for a program. */
  give(): void {
    for (const [i, parameter] of this.#parameters.entries())
      parameter.grad = this.#views[i] as Tensor
  }

  [Symbol.dispose](): void {
    for (const tensor of [...this.#views, ...this.#buckets]) tensor.dispose()
  }
}

function placeOf(parameter: Tensor) {
  return { shape: parameter.shape, numel: parameter.numel, strides: parameter.stride() }
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
