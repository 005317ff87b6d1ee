/** Processes that end while replays are queued, and worker threads with programs of their own. */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import * as torch from 'landmark-diffusion/torch'

torch.setNumThreads(1)

/** w <- w + the mean over many rounds of x w, whose value is 1: counts its calls. */
function counter() {
  const w = torch.zeros([1])
  const run = torch.program((x) => {
    let sum = torch.zeros([64, 64])
    for (let i = 0; i < 30; i++) sum = sum.add(x.matmul(x)).mul(0.5)
    return w.add_(sum.mean().mul(0).add(1)).clone()
  })
  return { w, run, x: torch.randn([64, 64]) }
}

async function count(calls) {
  const { run, x } = counter()
  let last
  for (let i = 0; i < calls; i++) last = await run(x)
  return Number(await last.item())
}

async function queueWithoutEnd() {
  const { run, x } = counter()
  await run(x)
  for (;;) await run(x)
}

const modes = {
  end: async () => {
    const { run, x } = counter()
    await run(x)
    for (let i = 0; i < 20; i++) run(x)
  },
  exit: async () => {
    const { run, x } = counter()
    await run(x)
    for (let i = 0; i < 20; i++) run(x)
    process.exit(0)
  },
  'exit-while-recording': async () => {
    const { run, x } = counter()
    run(x)
    process.exit(0)
  },
  'workers-at-once': async () => {
    const workers = [1, 2].map(() => new Worker(import.meta.filename, { workerData: 'count' }))
    const counts = await Promise.all([count(40), ...workers.map((one) => once(one, 'message'))])
    if (counts.flat().join() !== '40,40,40') throw new Error(`counted ${counts.flat()}`)
  },
  'workers-terminated': async () => {
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(import.meta.filename, { workerData: 'forever' })
      await once(worker, 'online')
      await new Promise((resolve) => setTimeout(resolve, 150))
      await worker.terminate()
    }
    if ((await count(10)) !== 10) throw new Error('the main thread counts otherwise')
  },
}

if (isMainThread) {
  await modes[process.argv[2]]()
  console.log('done')
} else if (workerData === 'count') {
  parentPort.postMessage(await count(40))
} else {
  await queueWithoutEnd()
}
