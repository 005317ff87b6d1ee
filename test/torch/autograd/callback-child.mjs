// Programs that end while the executor waits for a hook; run by lifetime.test.ts with the way as argument.
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import * as torch from 'landmark-diffusion/torch'

function hooked(hook) {
  const x = torch.tensor([1, 2], { requiresGrad: true })
  x.registerHook(hook)
  const loss = x.square().sum()
  loss.backward()
  return loss
}

/** Work behind a pass whose hook is called in the middle of it. */
const queue = (hook) => {
  const loss = hooked(hook)
  for (let i = 0; i < 1000; i++) loss.mul(i)
  return loss
}

const inMain = {
  // Nobody awaits, so nobody runs the hook.
  end: () => queue((g) => g),
  exit: () => {
    queue((g) => g)
    process.exit(3)
  },
  'exit-in-hook': async () => {
    await queue(() => process.exit(4)).item()
  },
  'exit-in-a-hook-that-is-waited-for': () => {
    queue(() => process.exit(5))
    torch.ones([3, 1, 4]).cumsum(1)
  },
  'error-in-hook': async () => {
    await queue(() => {
      throw new Error('from the hook')
    }).item()
  },
  'workers-terminated': async () => {
    for (const way of ['wait', 'spin', 'blocked', 'exit']) {
      const worker = new Worker(new URL(import.meta.url), { argv: [way] })
      await new Promise((resolve) => worker.once('message', resolve))
      // Meanwhile this thread's own passes and hooks go on.
      const x = torch.tensor([3], { requiresGrad: true })
      x.registerHook((g) => g.mul(2))
      x.square().sum().backward()
      const gradient = await x.grad.item()
      if (gradient !== 12) throw new Error(`gradient ${gradient}`)
      await worker.terminate()
    }
  },
}

const inWorker = {
  // The hook is due while nobody serves it, runs for ever, runs while an op is waited for, or ends its thread.
  wait: () => {
    hooked((g) => g)
    parentPort.postMessage('queued')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  },
  spin: async () => {
    await hooked(() => {
      parentPort.postMessage('in the hook')
      for (;;);
    }).item()
  },
  blocked: () => {
    hooked(() => {
      parentPort.postMessage('in the hook')
      for (let i = 0; ; i++) torch.ones([1 + (i % 1000)]).sum()
    })
    torch.ones([3, 1, 4, 1]).cumsum(1)
  },
  exit: async () => {
    await hooked(() => {
      parentPort.postMessage('in the hook')
      process.exit(0)
    }).item()
  },
}

await (isMainThread ? inMain : inWorker)[process.argv[2]]()
