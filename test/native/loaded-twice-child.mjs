// Uses two copies of the package, whose folders its arguments name, in one thread and in workers. Run by
// loaded-twice.test.ts.
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'

const [first, second] = process.argv.slice(2)
const load = (folder) => import(join(folder, 'dist/torch.js'))
const copies = [await load(first), await load(second)]

// Ids count from one in each copy; a queue in common would mix them up.
async function values() {
  const chains = copies.map((torch, i) => {
    let y = torch.full([4], i + 1)
    for (let k = 0; k < 200; k++) y = y.add(i + 1)
    return y.data()
  })
  return (await Promise.all(chains)).map(([value]) => Number(value))
}

if (!isMainThread) {
  parentPort.postMessage(await values())
} else {
  const result = { main: await values(), workers: [] }
  for (let i = 0; i < 2; i++) {
    const worker = new Worker(new URL(import.meta.url), { argv: [first, second] })
    result.workers.push((await once(worker, 'message'))[0])
    await once(worker, 'exit')
  }
  const handle = copies[0].share(copies[0].ones([1]))
  try {
    const received = copies[1].fromShared(handle)
    result.shared = (await received.tolist())[0]
  } catch (error) {
    result.shared = error.code
  }
  // The addon itself, twice through require.
  const require = createRequire(import.meta.url)
  const file = join(first, 'build/Release/landmark_diffusion.node')
  const native = require(file)
  delete require.cache[require.resolve(file)]
  result.sameExports = require(file) === native
  result.again = await values()
  console.log(JSON.stringify(result))
  // Ends with work queued in both.
  for (const torch of copies) torch.ones([500, 500]).matmul(torch.ones([500, 500]))
}
