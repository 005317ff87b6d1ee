/** Calls made before: remembered rightly, within bounds, and not to be deceived by odd arguments. */
import * as torch from 'landmark-diffusion/torch'
import { afterEach, describe, expect, test } from 'vitest'
import { onForget } from '#lib/torch/tree.js'

afterEach(() => torch.synchronize().catch(() => {}))

/** Shape and strides as the executor's tensor has them. */
function real(x: torch.Tensor): { shape: unknown[]; strides: unknown[] } {
  const dims = x.shape.map((_, dim) => dim)
  return {
    shape: dims.map((dim) => torch.call('aten::size.int', [x, dim])),
    strides: dims.map((dim) => torch.call('aten::stride.int', [x, dim])),
  }
}

describe('slices', () => {
  const x = torch.arange(30).view([5, 6]).transpose(0, 1)
  const ends = [null, 0, 2, 5, 9, -1, -4, -9]

  test.each([1, 2, 4])(
    'with step %i have the shape and strides that libtorch gives them',
    (step) => {
      for (const dim of [0, -1]) {
        for (const start of ends) {
          for (const end of ends) {
            const part = x.slice(dim, start, end, step)
            expect({ shape: part.shape, strides: part.stride() }, `${dim} ${start} ${end}`).toEqual(
              real(part),
            )
          }
        }
      }
    },
  )

  test('select and narrow do, too', () => {
    const parts = [x.select(0, 3), x.select(1, -5), x.narrow(1, 0, 0), x.narrow(-1, -2, 2)]
    for (const part of parts) {
      expect({ shape: part.shape, strides: part.stride() }).toEqual(real(part))
    }
  })

  test.each([
    ['an index', () => x.select(0, 6)],
    ['an index before the first', () => x.select(0, -7)],
    ['a dimension', () => x.select(2, 0)],
    ['a length', () => x.narrow(0, 3, 4)],
    ['a negative length', () => x.narrow(0, 0, -1)],
    ['a step', () => x.slice(0, 0, 2, 0)],
  ])('refuse %s out of range at the line of the call', (_, run) => {
    for (let i = 0; i < 2; i++) expect(run).toThrow(expect.objectContaining({ code: 'ERR_OP' }))
  })

  test('record gradients as their source does, but not in noGrad', () => {
    const leaf = torch.zeros([4], { requiresGrad: true })
    const source = leaf.mul(1)
    expect(source.narrow(0, 1, 2).requiresGrad).toBe(true)
    expect(torch.noGrad(() => source.narrow(0, 1, 2)).requiresGrad).toBe(false)
    expect(source.detach().narrow(0, 1, 2).requiresGrad).toBe(false)
  })

  test('of bounds never seen are queued, not waited for', async () => {
    const big = torch.randn([300, 300])
    big.matmul(big).narrow(0, 0, 1)
    await torch.synchronize()
    let y = big
    for (let i = 0; i < 40; i++) y = y.matmul(big)
    y.narrow(0, 7, 11)
    expect(torch.memory().queued).toBeGreaterThan(0)
    await torch.synchronize()
  })
})

describe('constants', () => {
  test.each([
    ['whole numbers, texts and booleans', [1, '1', true]],
    ['fractions', [0.5, 0.75]],
    ['NaN and NaN', [Number.NaN, Number.NaN]],
  ])('%s are not taken for each other', async (_, values) => {
    const results = []
    for (const value of [...values, ...values]) {
      try {
        const [made] = torch.call('aten::_foreach_mul.ScalarList', [
          [torch.ones([1])],
          [value],
        ]) as torch.Tensor[]
        results.push((await made?.data())?.[0])
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_SCHEMA' })
        results.push('refused')
      }
    }
    const expected = values.map((value) => (typeof value === 'string' ? 'refused' : Number(value)))
    expect(results).toEqual([...expected, ...expected])
  })

  describe('that never come again', () => {
    const tensors = Array.from({ length: 64 }, () => torch.ones([1]))
    let forgotten = 0
    onForget(() => forgotten++)
    const scale = (factors: readonly number[]) =>
      torch.call('aten::_foreach_mul.ScalarList', [tensors, factors]) as torch.Tensor[]

    test('are forgotten before they fill the memory, and calls stay right', async () => {
      const before = forgotten
      torch.scope(() => {
        for (let i = 0; i < 2100; i++) scale(tensors.map((_, k) => i + k / 64))
      })
      expect(forgotten).toBeGreaterThan(before)
      const [first, second] = scale(tensors.map((_, k) => k + 1))
      expect([await first?.item(), await second?.item()]).toEqual([1, 2])
    })

    test('are not remembered at all where libtorch refuses them', () => {
      const before = forgotten
      for (let i = 0; i < 2100; i++) {
        expect(() => scale(tensors.slice(1).map((_, k) => i + k / 64))).toThrow()
      }
      expect(forgotten).toBe(before)
    })
  })
})

describe('arguments with a life of their own', () => {
  const x = torch.tensor([1, 2])

  test('a getter that calls operators does not disturb the call that reads it', async () => {
    for (let i = 0; i < 3; i++) {
      const options = {
        get alpha() {
          x.mul(100).add(x)
          return 2
        },
      }
      expect(await torch.add(x, x, options).tolist()).toEqual([3, 6])
    }
  })

  test('a list that calls operators and frees tensors while it is read does not, either', async () => {
    for (let i = 0; i < 3; i++) {
      const other = torch.zeros([2])
      const list = new Proxy([x, x], {
        get(target, key) {
          if (key === '1') {
            other.dispose()
            x.neg()
          }
          return Reflect.get(target, key) as unknown
        },
      })
      expect(await torch.cat(list).tolist()).toEqual([1, 2, 1, 2])
    }
  })

  test('a tensor that is freed while the call reads its options is missed', () => {
    for (let i = 0; i < 3; i++) {
      const gone = torch.zeros([2])
      const options = {
        get alpha() {
          gone.dispose()
          return 2
        },
      }
      expect(() => torch.add(gone, x, options)).toThrow(torch.TensorDisposedError)
    }
  })

  test('a list that tells another content each time is read once', async () => {
    for (let i = 0; i < 3; i++) {
      let reads = 0
      const dims = new Proxy([0], {
        get(target, key) {
          return key === '0' ? reads++ % 2 : (Reflect.get(target, key) as unknown)
        },
      })
      const sum = torch.tensor([[1, 2, 3]]).sum(dims)
      expect([[3], [1]]).toContainEqual(sum.shape)
      expect(real(sum).shape).toEqual(sum.shape)
    }
  })

  test('what stands on Object.prototype is no option', async () => {
    const results: unknown[] = []
    Object.defineProperty(Object.prototype, 'alpha', {
      value: 5,
      configurable: true,
      enumerable: true,
      writable: true,
    })
    try {
      for (let i = 0; i < 3; i++) results.push(await torch.add(x, x, {}).tolist())
    } finally {
      Reflect.deleteProperty(Object.prototype, 'alpha')
    }
    expect(results).toEqual([
      [2, 4],
      [2, 4],
      [2, 4],
    ])
  })

  test.each([
    [
      'an object that only looks like a tensor',
      () => torch.relu(Object.create(torch.Tensor.prototype)),
    ],
    ['a proxy of a tensor', () => torch.relu(new Proxy(x, {}))],
    ['an endless list', () => x.sum(new Array(2 ** 32 - 1))],
    ['a list within a list', () => x.sum([[0]] as never)],
    ['a symbol', () => x.add(Symbol('one') as never)],
    ['a function', () => x.add((() => 1) as never)],
  ])('%s is refused', (_, run) => {
    for (let i = 0; i < 2; i++) {
      expect(run).toThrow(
        expect.toSatisfy((error) => error instanceof TypeError || error.code === 'ERR_SCHEMA'),
      )
    }
  })
})
