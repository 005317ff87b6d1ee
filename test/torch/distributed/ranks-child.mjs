// One rank of a group: runs the task that its argument names.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import * as torch from 'landmark-diffusion/torch'
import { gradientsOf, network } from './network.mjs'

const { distributed } = torch
const rank = Number(process.env.RANK)
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const forever = () => new Promise((resolve) => setTimeout(resolve, 600_000))

/** What became of a promise, as something to print. */
async function outcome(promise) {
  try {
    await promise
    return 'done'
  } catch ({ code, message }) {
    return { code, message }
  }
}

const tasks = {
  async reductions() {
    for (const dtype of ['float32', 'float64', 'int64', 'uint8', 'bfloat16']) {
      for (const op of ['sum', 'product', 'min', 'max']) {
        const tensor = torch.tensor([rank + 1, 3 - rank, 2], { dtype })
        await distributed.allReduce(tensor, { op })
        print({ dtype, op, values: await tensor.to('float64').tolist() })
      }
    }
    const mean = torch.tensor([rank, 1])
    await distributed.allReduce(mean, { op: 'avg' })
    print({ op: 'avg', values: await mean.tolist() })
  },

  /** Nothing is awaited in between: what comes after an operation sees its result. */
  async order() {
    const x = torch.full([1000], rank + 1, { dtype: 'float32' })
    x.mul_(10)
    distributed.allReduce(x)
    x.add_(1)
    const y = x.mul(2)
    distributed.broadcast(y.mul_(rank + 1), { src: 1 })
    distributed.barrier()
    print([await x.max().item(), await y.min().item()])
  },

  async asynchronous() {
    const x = torch.full([4], rank + 1, { dtype: 'float32' })
    const work = distributed.allReduce(x, { asyncOp: true, op: 'avg' })
    const meanwhile = await torch.ones([3]).sum().item()
    await work.wait()
    print({ meanwhile, values: await x.tolist() })
  },

  /** Rank 1 comes late: rank 0's event loop and another thread's tensors go on meanwhile. */
  async late() {
    const tensor = torch.ones([4])
    if (rank === 1) {
      const timer = setInterval(() => undefined, 1000)
      await once(process, 'SIGUSR2')
      clearInterval(timer)
      await distributed.allReduce(tensor)
      return
    }
    let done = false
    const reduced = distributed.allReduce(tensor).then(() => {
      done = true
    })
    const code = `
      const { parentPort } = require('node:worker_threads')
      import('landmark-diffusion/torch').then(async (torch) => {
        parentPort.postMessage(await torch.ones([10]).sum().item())
      })`
    const [sum] = await once(new Worker(code, { eval: true }), 'message')
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 5))
    print({ sum, done })
    await reduced
    print(await tensor.tolist())
  },

  async reducer() {
    const { parameters, loss } = network()
    // Buckets of a few bytes: every parameter has its own.
    const reducer = new distributed.Reducer(parameters, { bucketCapMb: 1e-5 })
    for (const pass of [0, 1]) {
      // Two batches a rank; only the second is followed by an exchange.
      loss(10 * pass + 2 * rank).backward()
      reducer.prepare()
      loss(10 * pass + 2 * rank + 1).backward()
      await reducer.finish()
      print(await gradientsOf(parameters))
      torch.clearGradients(parameters)
    }
    reducer.dispose()
    loss(rank).backward()
    print({ own: await gradientsOf(parameters), strides: parameters[0].grad.stride() })
  },

  async unusedParameter() {
    const used = torch.ones([2], { requiresGrad: true })
    const unused = torch.ones([2], { requiresGrad: true })
    const reducer = new distributed.Reducer([used, unused])
    reducer.prepare()
    used.sum().backward()
    print(await outcome(reducer.finish()))
  },

  async refused() {
    // 2^20 elements that are one: a backend would write far behind it.
    const wide = torch.ones([1]).expand([1 << 20])
    print(await outcome(distributed.allReduce(wide)))
    print(await outcome(wide.data()))
    // The group is none the worse for it.
    const tensor = torch.ones([1])
    await distributed.allReduce(tensor)
    print(await tensor.item())
    const tries = [
      () => distributed.allReduce('tensor'),
      () => distributed.allReduce(tensor, { op: 'mean' }),
      () => distributed.allReduce(torch.ones([1], { dtype: 'int64' }), { op: 'avg' }),
      () => distributed.broadcast(tensor, { src: 2 }),
      () => distributed.initProcessGroup(),
      () => new distributed.Reducer([]),
    ]
    for (const attempt of tries) print(await outcome((async () => attempt())()))
  },

  /** Operations that do not fit together; then one that does. */
  async mismatches() {
    const pairs = [
      [
        () => distributed.allReduce(torch.ones([4])),
        () => distributed.allReduce(torch.ones([1000])),
      ],
      [
        () => distributed.allReduce(torch.ones([6])),
        () => distributed.allReduce(torch.ones([2, 3])),
      ],
      [
        () => distributed.allReduce(torch.ones([4])),
        () => distributed.allReduce(torch.ones([4], { dtype: 'float64' })),
      ],
      [() => distributed.broadcast(torch.ones([4])), () => distributed.allReduce(torch.ones([4]))],
      [() => distributed.barrier(), () => distributed.broadcast(torch.ones([1 << 20]), { src: 1 })],
    ]
    for (const pair of pairs) print(await outcome(pair[rank]()))
    const tensor = torch.ones([3])
    await distributed.allReduce(tensor)
    print(await tensor.tolist())
  },

  /** Waits in an operation that one rank never joins. */
  async waitForOther() {
    const tensor = torch.ones([4])
    await distributed.allReduce(tensor)
    print('ready')
    if (rank === Number(process.env.SLEEPER)) await forever()
    const began = performance.now()
    print(await outcome(distributed.allReduce(tensor)))
    print({ seconds: (performance.now() - began) / 1000, after: await outcome(tensor.data()) })
    process.exit(3)
  },

  async failWithReason() {
    if (rank === 1) {
      await distributed.destroyProcessGroup({ reason: 'its disk is full' })
      return
    }
    print(await outcome(distributed.allReduce(torch.ones([1]))))
    await distributed.destroyProcessGroup()
  },

  async leaveAndMeetAgain() {
    const tensor = torch.ones([1])
    await distributed.allReduce(tensor)
    await distributed.destroyProcessGroup()
    print(distributed.isInitialized())
  },

  /** Ends without a word of farewell, while an operation is under way. */
  async exitInTheMiddle() {
    distributed.allReduce(torch.ones([1 << 20])).catch(() => undefined)
    setTimeout(() => process.exit(rank + 5), 50)
  },
}

try {
  await distributed.initProcessGroup('gloo', { timeout: Number(process.env.TIMEOUT ?? 60) })
  await tasks[process.argv[2]]()
} catch ({ code, message }) {
  print({ code, message })
  process.exitCode = 1
}
