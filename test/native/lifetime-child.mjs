// Ends in the way that its argument names, with ops still queued. Run by lifetime.test.ts.
import { setTimeout as pause } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import * as torch from 'landmark-diffusion/torch'

function queueWork(count) {
  const x = torch.randn([256, 256])
  let y = x
  for (let i = 0; i < count; i++) y = x.matmul(y).mul(0.01)
  return y.sum()
}

/** Operators that keep objects of libtorch's own from their first call to the end of the process. */
function queuePasses(count) {
  const w = torch.randn([64, 64], { requiresGrad: true })
  const x = torch.randn([1, 4, 32, 32])
  const kernel = torch.randn([4, 4, 3, 3])
  for (let i = 0; i < count; i++) {
    w.matmul(w).tanh().mean().backward()
    if (i % 10 === 0) torch.conv2d(x, kernel).dispose()
  }
}

async function workers(terminate) {
  const started = [0, 1, 2].map(
    () => new Worker(new URL(import.meta.url), { workerData: { terminate } }),
  )
  const ended = started.map((worker) => new Promise((resolve) => worker.on('exit', resolve)))
  queueWork(20)
  await pause(150)
  if (terminate) for (const worker of started) worker.terminate()
  await Promise.all(ended)
  if ((await torch.ones([2]).sum().item()) !== 2) process.exitCode = 9
}

/** Its thread waits for the result of a call that stands behind minutes of work. */
async function busyWorker() {
  const worker = new Worker(new URL(import.meta.url), { workerData: { waits: true } })
  await new Promise((resolve) => worker.once('message', resolve))
  await pause(200)
  return worker
}

function waitBehindMuch() {
  const x = torch.randn([768, 768])
  x.matmul(x).dispose()
  parentPort.postMessage('about to wait')
  for (let i = 0; i < 8000; i++) x.matmul(x).dispose()
  torch.ones([17, 19]).cumsum(0)
}

const endings = {
  end: () => queueWork(200),
  exit: () => {
    queueWork(200)
    process.exit(3)
  },
  'exit-among-passes': async () => {
    queuePasses(1)
    await torch.synchronize()
    queuePasses(3000)
    process.exit(3)
  },
  'exit-with-open-promise': () => {
    queueWork(200).item()
    process.exit(4)
  },
  'exit-while-a-worker-waits': async () => {
    await busyWorker()
    process.exit(6)
  },
  'terminate-a-worker-that-waits': async () => {
    const worker = await busyWorker()
    await worker.terminate()
    if ((await torch.ones([2]).sum().item()) !== 2) process.exitCode = 9
  },
  uncaught: () => {
    queueWork(200)
    throw new Error('uncaught on purpose')
  },
  rejection: () => {
    queueWork(200)
    Promise.reject(new Error('rejected on purpose'))
  },
  'workers-terminated': () => workers(true),
  'workers-that-end': () => workers(false),
}

if (isMainThread) await endings[process.argv[2]]()
else if (workerData.waits) waitBehindMuch()
else if (workerData.terminate) for (;;) await queueWork(100).item()
else await queueWork(100).item()
