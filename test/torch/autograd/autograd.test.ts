import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'

const leaf = (values: number[]) => torch.tensor(values, { requiresGrad: true })

describe('autograd', () => {
  test('gradients accumulate until they are cleared', async () => {
    const x = leaf([1, 2, 3])
    expect(x.grad).toBeNull()
    x.square().sum().backward()
    expect(await x.grad?.tolist()).toEqual([2, 4, 6])
    x.sum().backward()
    expect(await x.grad?.tolist()).toEqual([3, 5, 7])
    torch.clearGradients([x])
    expect(x.grad).toBeNull()
    x.sum().backward()
    expect(await x.grad?.tolist()).toEqual([1, 1, 1])
  })

  test('a vector needs a gradient of its shape', async () => {
    const x = leaf([1, 2])
    expect(() => x.mul(2).backward()).toThrow(/gradient can be left out only for a single value/)
    x.mul(2).backward({ gradient: torch.tensor([1, 10]) })
    expect(await x.grad?.tolist()).toEqual([2, 20])
  })

  test('grad() gives first and second derivatives', async () => {
    const x = leaf([2])
    const y = x.pow(3).sum()
    const [first] = torch.grad(y, x, { createGraph: true })
    expect(first?.requiresGrad).toBe(true)
    const [second] = torch.grad((first as torch.Tensor).sum(), x)
    expect(await first?.item()).toBe(12)
    expect(await second?.item()).toBe(12)
  })

  test('a leaf that took no part has no gradient, and says so', async () => {
    const x = leaf([1])
    const y = leaf([1])
    x.sum().backward()
    await expect(y.grad?.data()).rejects.toThrow(/no backward\(\) reached/)
  })

  test('a second backward through a freed graph rejects at the next await', async () => {
    const loss = leaf([1, 2]).square().sum()
    loss.backward()
    loss.backward()
    await expect(torch.synchronize()).rejects.toMatchObject({ code: 'ERR_OP', op: 'backward' })
  })

  test('what noGrad makes requires no gradient, also after an await', async () => {
    const x = leaf([1])
    expect(torch.noGrad(() => x.mul(2)).requiresGrad).toBe(false)
    const y = await torch.noGrad(async () => {
      await Promise.resolve()
      return x.mul(2)
    })
    expect(y.requiresGrad).toBe(false)
    expect(x.mul(2).requiresGrad).toBe(true)
    expect(() => y.backward()).toThrow(/does not require a gradient/)
  })

  test('the gradient mode of one task does not leak into another', async () => {
    const x = leaf([1])
    const off = torch.noGrad(async () => {
      await new Promise((resolve) => setTimeout(resolve, 2))
      return x.mul(2).requiresGrad
    })
    expect(x.mul(2).requiresGrad).toBe(true)
    expect(await off).toBe(false)
  })

  test('inference mode and autocast reach the executor', async () => {
    const x = torch.ones([4, 4])
    const y = torch.autocast('cpu', 'bfloat16', () => x.matmul(x))
    expect(y.dtype).toBe('bfloat16')
    expect(x.matmul(x).dtype).toBe('float32')
    const frozen = torch.inferenceMode(() => leaf([1]).mul(2))
    expect(frozen.requiresGrad).toBe(false)
  })

  test('requiresGrad_ turns a tensor into a leaf', async () => {
    const x = torch.ones([2])
    expect(x.requiresGrad_()).toBe(x)
    expect(x.requiresGrad).toBe(true)
    x.mul(3).sum().backward()
    expect(await x.grad?.tolist()).toEqual([3, 3])
    expect(x.detach().requiresGrad).toBe(false)
  })
})
