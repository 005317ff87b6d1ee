// One process of life-cycle.mjs: up to five threads that keep ops queued, promises open, shapes unseen, backward
// passes and shared tensors in flight, until the process ends in the way and at the moment that its plan names.
import { setImmediate as turn } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Random } from '#lib/data/random.js'

const plan = isMainThread ? JSON.parse(process.argv[2]) : workerData
const random = new Random(plan.seed, plan.thread)
// Not the start of the process: a signal may come while the addon is being loaded.
let torch
let ending = false
/** Other threads, to which tensors are sent. */
const peers = []

function chain() {
  return torch.scope(() => {
    const x = torch.randn([96, 96])
    let y = x
    for (let i = 5 + random.int(55); i > 0; i--) y = y.matmul(x).mul(0.1)
    return y
  })
}

/** An op that libtorch refuses while it runs. */
async function impossible() {
  const [factor] = torch.scope(() => [
    torch.call('aten::linalg_cholesky', [torch.ones([3, 3]).neg()]),
  ])
  await factor.data()
}

const activities = {
  queue: () => chain().dispose(),
  openPromise: () =>
    void chain()
      .item()
      .catch(() => {}),
  unseenShape: () =>
    torch
      .ones([1 + random.int(999), 1 + random.int(99)])
      .cumsum(0)
      .dispose(),
  backward() {
    const w = torch.randn([64, 64], { requiresGrad: true })
    for (let i = 1 + random.int(8); i > 0; i--) w.matmul(w).tanh().mean().backward()
  },
  /** So many that the end may meet a full queue. */
  burst() {
    const w = torch.randn([64, 64], { requiresGrad: true })
    const [x, kernel] = [torch.randn([1, 4, 32, 32]), torch.randn([4, 4, 3, 3])]
    for (let i = random.int(1000); i > 0; i--) {
      w.matmul(w).tanh().mean().backward()
      if (i % 10 === 0) torch.conv2d(x, kernel).dispose()
    }
  },
  bigRead: () =>
    void torch
      .ones([1000 * (1 + random.int(2000))])
      .data()
      .catch(() => {}),
  failure: () => void impossible().catch(() => {}),
  scope: () =>
    torch.scopeAsync(async () => {
      const loss = chain().sum()
      await turn()
      return (await loss.item()) * 2
    }),
  value: () => torch.nonzero(torch.ones([1 + random.int(50), 3])),
  share() {
    const peer = peers[random.int(peers.length)]
    peer?.postMessage(torch.share([chain(), torch.ones([1000])]))
  },
}

function receive(message) {
  if (torch === undefined || ending) return
  const [x, ones] = torch.fromShared(message)
  x.add(1)
  void ones
    .sum()
    .item()
    .then(
      (sum) => {
        if (sum !== 1000)
          process._rawDebug(`wrong value: a shared tensor's sum is ${sum}, not 1000`)
      },
      () => {},
    )
}

async function work() {
  if (plan.idle) return
  torch = await import('landmark-diffusion/torch')
  if (isMainThread && plan.afterLoading) {
    torch.ones([1]).dispose()
    endLater()
  }
  const names = Object.keys(activities)
  while (!ending) {
    await activities[names[random.int(names.length)]]()
    if (random.uniform() < 0.3) await turn()
  }
}

function startWorkers() {
  for (let thread = 1; thread <= plan.workers; thread++) {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { ...plan, thread, idle: false },
    })
    worker.on('message', receive)
    peers.push(worker)
  }
}

const endings = {
  async natural() {
    ending = true
    for (const peer of peers) peer.postMessage('end')
  },
  async terminate() {
    await Promise.all(peers.map((peer) => peer.terminate()))
    await endings.natural()
  },
  async workersExit() {
    for (const peer of peers) peer.postMessage('exit')
    await endings.natural()
  },
  async workerThrows() {
    for (const peer of peers) peer.postMessage('throw')
  },
  async exit() {
    process.exit(plan.status)
  },
  async exitInPromise() {
    await torch
      ?.ones([2])
      .item()
      .catch(() => {})
    process.exit(plan.status)
  },
  async throws() {
    setImmediate(() => {
      throw new Error('on purpose')
    })
  },
  async rejects() {
    void Promise.reject(new Error('on purpose'))
  },
  // The parent sends a signal.
  async signal() {},
}

function endLater() {
  setTimeout(() => {
    process._rawDebug('ending')
    void endings[plan.ending]()
  }, plan.after)
}

if (isMainThread) {
  startWorkers()
  if (!plan.afterLoading) endLater()
} else {
  peers.push(parentPort)
  parentPort.on('message', (message) => {
    if (message === 'exit') process.exit(5)
    if (message === 'throw') throw new Error('on purpose')
    if (message !== 'end') return receive(message)
    ending = true
    parentPort.close()
  })
}
await work()
