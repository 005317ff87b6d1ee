// Makes, uses and drops tensors in every way, round after round: scopes, dispose, interleaved async tasks, exceptions,
// failed ops, training steps, reads, worker threads. After each round as many tensors are alive as before the first
// one, and resident memory stays flat.
import { EventEmitter, once } from 'node:events'
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import * as torch from 'landmark-diffusion/torch'
import { Random } from '#lib/data/random.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    rounds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean' },
  },
})
if (values.help) {
  console.log(`node scripts/stress/leak-loop.mjs [--minutes 30 | --rounds N] [--seed 1]

Exit status 1 when a round leaves a tensor behind, or when resident memory at the end is more than 5 % and 32 MiB
above what it was after the first fifth of the time. With --rounds only the tensors count: a short run is warming up.`)
  process.exit(0)
}

const random = new Random(Number(values.seed))
const size = () => 8 * (1 + random.int(12))
const MiB = 2 ** 20

function chain(n) {
  return torch.scope(() => {
    const x = torch.randn([n, n])
    let y = x
    for (let i = 0; i < 10; i++) y = y.matmul(x).mul(0.1)
    return y
  })
}

const model = new torch.nn.Sequential(
  new torch.nn.Conv2d(1, 4, 3, { padding: 1 }),
  new torch.nn.SiLU(),
  new torch.nn.Conv2d(4, 1, 3, { padding: 1 }),
)
const optimizer = new torch.optim.AdamW([...model.parameters()], { lr: 1e-3 })
const emitter = new EventEmitter()
emitter.on('tensor', (x) => x.add(1).mul(2))

/** A worker that adds one to what it gets, and sends the sum back as a tensor. */
const echo = `
  const { parentPort } = require('node:worker_threads')
  import('landmark-diffusion/torch').then((torch) => {
    parentPort.on('message', (message) =>
      torch.scope(() => {
        const [x, y] = torch.fromShared(message)
        x.add_(1)
        parentPort.postMessage(torch.share(x.add(y).sum()))
        return undefined
      }))
    parentPort.postMessage('ready')
  })`
async function startWorker() {
  const worker = new Worker(echo, { eval: true })
  await once(worker, 'message')
  return worker
}
let worker = await startWorker()
let deaths = 0

const ways = {
  disposed() {
    const x = torch.ones([size(), size()])
    const y = x.relu()
    x.dispose()
    y[Symbol.dispose]()
  },
  scopes() {
    torch.scope(() => {
      const kept = torch.scope(() => [chain(size()), torch.keep(torch.ones([3]))])
      kept[1].dispose()
    })
  },
  async interleaved() {
    const task = (n) =>
      torch.scopeAsync(async () => {
        const x = chain(size())
        await (n % 2 ? turn() : pause(random.int(3)))
        const sum = x.add(torch.ones([x.shape[0]])).sum()
        return [await sum.item(), x]
      })
    const results = await Promise.all([0, 1, 2, 3, 4].map(task))
    for (const [, x] of results) x.dispose()
  },
  async exceptions() {
    const failing = async () => {
      chain(size())
      await turn()
      torch.ones([2, 3]).matmul(torch.ones([2, 3]))
    }
    await Promise.allSettled([1, 2, 3].map(() => torch.scopeAsync(failing)))
    try {
      torch.scope(() => {
        torch.ones([4])
        throw new Error('on purpose')
      })
    } catch {}
  },
  /** Fails on the executor: its result and what is made of it are poisoned. */
  async failedOps() {
    await torch
      .scopeAsync(() =>
        torch
          .call('aten::linalg_cholesky', [torch.eye(3).neg()])
          .add(1)
          .data(),
      )
      .catch(() => {})
    await torch.synchronize().catch(() => {})
  },
  async training() {
    await torch.scopeAsync(async () => {
      const x = torch.randn([2, 1, 16, 16])
      const loss = model.forward(x).sub(x).square().mean()
      optimizer.zeroGrad()
      loss.backward()
      optimizer.step()
      return loss.item()
    })
  },
  async gradients() {
    await torch.scopeAsync(async () => {
      const w = torch.randn([8, 8], { requiresGrad: true })
      const [first] = torch.grad(w.pow(3).sum(), w, { createGraph: true })
      first.sum().backward()
      return (await w.grad.data()).length
    })
  },
  async reads() {
    const x = torch.ones([random.int(4) * 100_000])
    const array = await x.data()
    x.dispose()
    torch.tensor(array).dispose()
    torch.fromBuffer(array.buffer, { dtype: 'float32', shape: [array.length] }).dispose()
  },
  async dataDependent() {
    const x = torch.ones([5, 5])
    const found = await torch.nonzero(x)
    x.dispose()
    found.dispose()
  },
  async generatorsAndEvents() {
    async function* batches() {
      for (let i = 0; i < 4; i++) {
        await turn()
        yield torch.full([size()], i)
      }
    }
    await torch.scopeAsync(async () => {
      for await (const x of batches()) emitter.emit('tensor', x)
    })
  },
  randomStreams() {
    const generator = new torch.Generator('cpu', random.int(1000))
    torch.randn([10], { generator }).dispose()
    generator.dispose()
  },
  async shared() {
    const x = torch.ones([1000])
    worker.postMessage(torch.share([x, x]))
    const [message] = await once(worker, 'message')
    const sum = torch.fromShared(message)
    if ((await sum.item()) !== 4000) throw new Error('a shared tensor came with wrong values')
    sum.dispose()
    x.dispose()
  },
  takenBack() {
    const x = torch.ones([10])
    torch.unshare(torch.share({ x }))
    x.dispose()
  },
  /** A worker dies with work queued and a message on its way. */
  async workerDies() {
    if (random.int(200) !== 0) return
    deaths++
    const x = torch.ones([10])
    const message = torch.share([x, x])
    // Its answer may be on its way; nobody will receive what is in it.
    worker.on('message', torch.unshare)
    worker.postMessage(message)
    await pause(random.int(3))
    await worker.terminate()
    torch.unshare(message)
    x.dispose()
    worker = await startWorker()
  },
}

async function round() {
  for (const way of Object.values(ways)) await way()
  await torch.synchronize()
}

const start = performance.now()
const whole = values.rounds === undefined ? Number(values.minutes) * 60_000 : Infinity
const last = Number(values.rounds ?? Infinity)
const samples = []
const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
const rssBetween = (from, to) =>
  median(samples.filter(({ at }) => at >= from * whole && at <= to * whole).map(({ rss }) => rss))

await round()
const { tensors } = torch.memory()
let rounds = 1
let nextLine = 0
let lost = 0
for (let at = 0; at < whole && rounds <= last; at = performance.now() - start) {
  await round()
  rounds++
  const memory = torch.memory()
  const { rss, heapUsed } = process.memoryUsage()
  samples.push({ at, rss })
  lost = memory.tensors - tensors
  if (lost !== 0) break
  if (at >= nextLine) {
    nextLine += whole / 30
    const text = (bytes) => `${(bytes / MiB).toFixed(1)} MiB`
    console.log(
      `${(at / 60_000).toFixed(2)} min, round ${rounds}: ${memory.tensors} tensors, ${text(memory.bytes)} in them, ` +
        `${memory.shared} shared, rss ${text(rss)}, JavaScript heap ${text(heapUsed)}`,
    )
  }
}
await worker.terminate()

if (lost !== 0) {
  console.error(`round ${rounds} left ${lost} tensors behind`)
  process.exitCode = 1
} else if (values.rounds !== undefined) {
  console.log(`${rounds} rounds left no tensor behind; ${deaths} workers died in them`)
} else {
  const early = rssBetween(0.2, 0.4)
  const late = rssBetween(0.8, 1)
  const growth = late - early
  console.log(
    `${rounds} rounds left no tensor behind, ${deaths} workers died in them; rss after the warm-up ${(early / MiB).toFixed(1)} MiB, at the end ${(late / MiB).toFixed(1)} MiB`,
  )
  if (growth > Math.max(32 * MiB, 0.05 * early)) {
    console.error(`resident memory grew by ${(growth / MiB).toFixed(1)} MiB`)
    process.exitCode = 1
  }
}
