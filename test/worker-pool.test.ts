import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { workerPool } from '#lib/worker-pool.js'

const run = promisify(execFile)
let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ld-pool-'))
})
afterEach(() => rm(dir, { recursive: true }))

async function moduleOf(text: string): Promise<URL> {
  const file = join(dir, 'task.mjs')
  await writeFile(file, text)
  return pathToFileURL(file)
}

test('runs the default export of a module in threads', async () => {
  const module = await moduleOf(
    "import { threadId } from 'node:worker_threads'\nexport default (n) => [n + 1, threadId]",
  )
  const pool = workerPool<number, [number, number]>(module, { minThreads: 0, maxThreads: 2 })
  const [sum, thread] = await pool.run(4)
  expect(sum).toBe(5)
  expect(thread).toBeGreaterThan(0)
  await pool.destroy()
})

test('a module that does not load fails the task with its reason', async () => {
  const module = await moduleOf("throw new Error('no such model')")
  const pool = workerPool(module, { minThreads: 0, maxThreads: 1 })
  await expect(pool.run(null)).rejects.toThrow('no such model')
  await pool.destroy()
})

// Two of three such processes were aborted by Node when threads loaded ES modules by `require`.
test('may be destroyed at any moment while its threads load their module', {
  timeout: 120_000,
}, async () => {
  const pool = new URL('../dist/data/canvas-pool.js', import.meta.url).href
  const script = `
    import { CanvasPool } from '${pool}'
    const image = { pixels: new Uint8Array(64 * 80), width: 64, height: 80 }
    for (let i = 0; i < 40; i++) {
      const pool = new CanvasPool(4)
      for (let thread = 0; thread < 4; thread++) pool.fit(image, { width: 16, height: 20 }).catch(() => {})
      await new Promise((done) => setTimeout(done, 3 * i))
      await pool.destroy()
    }`
  await run(process.execPath, ['--input-type=module', '--eval', script])
})
