// The other thread of sharing.test.ts: does what each message asks for and posts the result.
import { parentPort } from 'node:worker_threads'
import * as torch from 'landmark-diffusion/torch'

const held = new Map()

const tasks = {
  /** Values of what was shared. */
  async values({ shared }) {
    const tensor = torch.fromShared(shared)
    const values = await tensor.tolist()
    const { shape, dtype, requiresGrad } = tensor
    const strides = tensor.stride()
    tensor.dispose()
    return { values, shape, dtype, requiresGrad, strides }
  },
  async hold({ name, shared }) {
    held.set(name, torch.fromShared(shared))
  },
  async add({ name, value }) {
    held.get(name).add_(value)
    await torch.synchronize()
  },
  async read({ name }) {
    return held.get(name).tolist()
  },
  /** Gradient of sum(w * x) at the shared weights: x. */
  async gradient({ shared, x }) {
    return torch.scopeAsync(async () => {
      const w = torch.fromShared(shared).requiresGrad_()
      w.mul(torch.tensor(x)).sum().backward()
      return w.grad.tolist()
    })
  },
  /** A handle whose tensor takes a while to be computed, and the end of the thread at once. */
  async resultAndEnd() {
    const result = torch.scope(() => {
      let y = torch.eye(200)
      for (let i = 0; i < 300; i++) y = y.matmul(torch.eye(200))
      return y.sum()
    })
    parentPort.unref()
    return torch.share(result)
  },
  async refused({ shared }) {
    try {
      torch.fromShared(shared)
      return 'received'
    } catch (error) {
      return error.code
    }
  },
  async live() {
    return torch.memory().tensors
  },
}

parentPort.on('message', async ({ task, ...details }) => {
  try {
    parentPort.postMessage({ result: await tasks[task](details) })
  } catch (error) {
    parentPort.postMessage({ error: error.message })
  }
})
