// Tensors of ordinary and odd kinds for one call: mostly of shapes that go together, so that calls pass the
// first checks of an operator and reach its kernel.
import * as torch from 'landmark-diffusion/torch'
import * as values from './values.mjs'

const indexTypes = ['int64', 'int64', 'int32', 'bool', 'uint8']

/** Shapes that share their lengths. */
class Shapes {
  constructor(random) {
    this.random = random
    this.batch = random.int(1, 3)
    this.channels = random.int(1, 4)
    this.side = random.int(1, 5)
    this.base = random.list(0, 5, () => random.pick([1, 2, 3, 4, 5]))
  }

  any() {
    const { random, batch, channels: c, side, base } = this
    if (random.chance(0.5)) return base
    return random.pick([
      [],
      [c],
      [batch],
      [side],
      [1],
      [0],
      [batch, c],
      [c, c],
      [side, side],
      [batch, c, side],
      [batch, c, side, side],
      [batch, c, side, side, side],
      [c, c, 3, 3],
      [c, 1, 1, 1],
      [2, 0, 3],
      [0, c, side, side],
      base.map(() => 1),
      [...base, 2],
      base.slice(1),
      base.toReversed(),
      random.list(1, 9, () => 1),
    ])
  }
}

/** Tensors that are not plain, each made of a plain one; not every dtype and shape has each. */
const layouts = {
  sparse: (plain) => torch.call('aten::to_sparse', [plain]),
  csr: (plain) => torch.call('aten::to_sparse_csr', [plain]),
  onednn: (plain) => torch.call('aten::to_mkldnn', [plain]),
  quantized: (plain) =>
    torch.call('aten::_make_per_tensor_quantized_tensor', [plain.to('uint8'), 0.1, 3]),
  nested: (plain) => {
    const last = plain.ndim - 1
    const shorter = torch.call('aten::narrow', [plain, last, 0, Math.max(plain.shape[last] - 1, 1)])
    return torch.call('aten::_nested_tensor_from_tensor_list', [[plain, shorter]])
  },
}

export class Tensors {
  #random
  #shapes
  #dtype
  #layout
  #made = []

  /** `layout`: one of `layouts`, that most tensors get; by default few have any. */
  constructor(random, layout) {
    this.#random = random
    this.#layout = layout
    this.#shapes = new Shapes(random)
    this.#dtype = random.chance(0.7)
      ? random.pick(['float32', 'float32', 'float64', 'int64'])
      : values.dtype(random)
  }

  /** Whether the next tensor is to be of the layout. */
  hasLayout() {
    return this.#layout !== undefined && this.#random.chance(0.6)
  }

  laidOut(plain) {
    return layouts[this.#layout](plain)
  }

  /** Values that fit the dtype; int64 ones are wild indices at times. */
  #plain(shape, dtype) {
    const random = this.#random
    if (dtype === 'bool') return torch.call('aten::gt.Scalar', [torch.randn(shape), 0])
    if (dtype.startsWith('float') || dtype === 'bfloat16' || dtype.startsWith('complex')) {
      if (random.chance(0.04))
        return torch.full(shape, random.pick([NaN, Infinity, -1e30]), { dtype })
      return torch.randn(shape, { dtype: dtype === 'complex32' ? 'complex64' : dtype })
    }
    if (random.chance(0.15)) {
      return torch
        .full(shape, random.pick([-1, 2 ** 40, -(2 ** 40), 127, 255, 1e6]), { dtype: 'int64' })
        .to(dtype)
    }
    const low = dtype.startsWith('u') || random.chance(0.7) ? 0 : -3
    return torch.randint(low, random.pick([1, 2, 4, 8]), shape).to(dtype)
  }

  /** A tensor of any kind. Some kinds come as promises. */
  async make() {
    const random = this.#random
    if (this.#made.length > 0 && random.chance(0.12)) return random.pick(this.#made)
    const dtype = random.chance(0.75)
      ? this.#dtype
      : random.pick([...indexTypes, values.dtype(random)])
    let tensor
    try {
      const plain = this.#plain(this.#shapes.any(), dtype)
      tensor = this.hasLayout() ? this.laidOut(plain) : await this.#odd(plain)
    } catch {
      // Not every kind exists for every dtype and shape.
      tensor = torch.ones(this.#shapes.any())
    }
    this.#made.push(tensor)
    return tensor
  }

  async #odd(plain) {
    const random = this.#random
    if (random.chance(0.62)) return plain
    const { shape, ndim } = plain
    switch (random.int(0, 15)) {
      case 0:
        return torch.call('aten::requires_grad_', [plain])
      case 1: {
        const leaf = torch.call('aten::requires_grad_', [plain])
        return torch.call('aten::mul.Scalar', [leaf, 2])
      }
      case 2:
        return ndim > 1 ? torch.call('aten::transpose.int', [plain, 0, ndim - 1]) : plain
      case 3:
        return torch.call('aten::expand', [torch.ones(shape.map(() => 1)), [500, ...shape]])
      case 4:
        return torch.call('aten::as_strided', [
          torch.ones([4]),
          [1, 2, 1],
          [random.pick([2 ** 40, 2 ** 53 - 1, 0]), 1, 7],
        ])
      case 5:
        return torch.call('aten::to.device', [plain, 'meta', plain.dtype])
      case 6:
        return layouts.sparse(plain)
      case 7:
        return layouts.csr(plain)
      case 8:
        return layouts.onednn(plain)
      case 9:
        return layouts.quantized(plain)
      case 10:
        return torch.call('aten::_conj', [plain])
      case 11:
        return torch.call('aten::_neg_view', [plain])
      case 12:
        plain.dispose()
        return plain
      case 13:
        return torch.call('aten::_nested_tensor_from_mask', [
          torch.randn([2, 3, 4]),
          torch.ones([2, 3], { dtype: 'bool' }),
        ])
      case 14:
        return torch.call('aten::slice.Tensor', [torch.randn([8, 9]), 1, 1, 8, 2])
      default:
        return torch.empty(random.pick([[0], [0, 3], [2, 0, 4], [2 ** 40, 0]]))
    }
  }
}
