// Measures one binding, in a process of its own: node measure.mjs NAME FOLDER, FOLDER holding its node_modules.
// Prints one line of JSON. compare.mjs runs it for all.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { adapters } from './adapters.mjs'

const [name, folder] = process.argv.slice(2)
const adapter = adapters[name]
const main = createRequire(join(folder, 'package.json')).resolve(adapter.module)
const loaded = await import(pathToFileURL(main).href)
const binding = await adapter.of(loaded.default ?? loaded)
const collect = globalThis.gc
const mebibytes = () => process.memoryUsage().rss / 2 ** 20

/** Length of a heavy op, and the longest time for which no timer ran meanwhile, in ms. */
async function blocking() {
  await binding.prepare()
  let last = performance.now()
  let longest = 0
  const beat = () => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }
  const timer = setInterval(beat, 1)
  await new Promise((resolve) => setTimeout(resolve, 20))
  longest = 0
  const start = performance.now()
  await binding.heavy()
  beat()
  const whole = performance.now() - start
  clearInterval(timer)
  return { whole, longest }
}

/** MiB that stay after 500 tensors of one MiB, made one after another, with garbage collections at the end. */
async function growth(make) {
  for (let i = 0; i < 20; i++) await make()
  collect()
  const before = mebibytes()
  for (let i = 0; i < 500; i++) await make()
  for (let i = 0; i < 3; i++) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return mebibytes() - before
}

/** Whether three worker threads can load the binding besides, use it, and end. */
async function workers() {
  const script = `
    const { parentPort, workerData } = require('node:worker_threads')
    ;(async () => {
      const { adapters } = await import(workerData.adapters)
      const loaded = await import(workerData.main)
      const binding = await adapters[workerData.name].of(loaded.default ?? loaded)
      await binding.drop()
      parentPort.postMessage('done')
    })()`
  const workerData = {
    adapters: new URL('./adapters.mjs', import.meta.url).href,
    main: pathToFileURL(main).href,
    name,
  }
  const run = () =>
    new Promise((resolve) => {
      const worker = new Worker(script, { eval: true, workerData })
      worker.once('error', (error) => resolve(error.message.split('\n')[0]))
      worker.once('message', async () => {
        await worker.terminate()
        resolve('works')
      })
    })
  return [...new Set(await Promise.all([run(), run(), run()]))].join('; ')
}

const result = {
  name,
  blocking: await blocking(),
  growthFreed: await growth(binding.drop),
  growthDropped: await growth(binding.dropFreely),
  operators: binding.operators(),
}
// The workers last: where they take the process down, the rest is known.
console.log(JSON.stringify(result))
console.log(JSON.stringify({ workers: await workers() }))
