/** Each example run as a reader would run it: as a process of its own, with its own command line. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
// @ts-expect-error: the examples are plain JavaScript
import { draw } from '../examples/digits.mjs'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'examples-'))
const weights = join(folder, 'digits.safetensors')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let trained = ''
beforeAll(async () => {
  trained = (await run('node', ['examples/train-digits.mjs', weights])).stdout
})

describe('train-digits', () => {
  it('reads at least 97 % of unseen digits', () => {
    const shares = [...trained.matchAll(/unseen (\S+) %/g)].map(([, share]) => Number(share))
    expect(shares.length).toBe(4)
    expect(shares.at(-1)).toBeGreaterThan(97)
  })
})

describe('share-among-workers', () => {
  it('gives three workers the weights, and shows them what the main thread writes', async () => {
    const { stdout } = await run('node', ['examples/share-among-workers.mjs', weights])
    const shares = [...stdout.matchAll(/worker \d: (\S+) %/g)].map(([, share]) => Number(share))
    expect(shares.length).toBe(3)
    for (const share of shares) expect(share).toBeGreaterThan(95)
    expect(stdout).toContain('10.0 %, 10.0 %, 10.0 %')
  })
})

describe('serve', () => {
  let server: ChildProcess
  let address = ''

  beforeAll(async () => {
    server = spawn('node', ['examples/serve.mjs', weights], {
      env: { ...process.env, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for await (const line of createInterface(server.stdout as NodeJS.ReadableStream)) {
      address = line.replace('listening on ', '')
      break
    }
  })
  afterAll(async () => {
    const ended = new Promise((resolve) => server.once('exit', resolve))
    server.kill('SIGTERM')
    expect(await ended).toBe(0)
  })

  /** Pictures as JSON would carry them: two decimals do. */
  const picturesOf = (digits: number[]) =>
    digits.map((digit) =>
      Array.from(draw(digit) as Float32Array, (grey) => Math.round(100 * grey) / 100),
    )
  const post = (body: unknown, signal: AbortSignal | null = null) =>
    fetch(`${address}/digits`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal,
    })
  const health = async () =>
    (await (await fetch(`${address}/health`)).json()) as Record<
      'done' | 'cancelled' | 'batches' | 'tensors',
      number
    >
  const right = (found: number[], wanted: number[]) =>
    found.filter((digit, i) => digit === wanted[i]).length / wanted.length

  it('reads the digits of requests that come side by side, and keeps none of their tensors', async () => {
    const before = await health()
    const requests = Array.from({ length: 6 }, (_, i) =>
      Array.from({ length: 40 }, (_, k) => (i + k) % 10),
    )
    const answers = await Promise.all(
      requests.map(async (digits) => (await post({ pictures: picturesOf(digits) })).json()),
    )
    for (const [i, answer] of answers.entries()) {
      const { digits } = answer as { digits: number[] }
      expect(right(digits, requests[i] as number[])).toBeGreaterThan(0.9)
    }
    const after = await health()
    expect(after.done).toBe(before.done + 6)
    expect(after.tensors).toBe(before.tensors)
  })

  it('refuses a body that is no picture', async () => {
    const answer = await post({ pictures: [[1, 2, 3]] })
    expect(answer.status).toBe(400)
  })

  it('answers others during a long request, and stops it when its client hangs up', async () => {
    const pictures = picturesOf(Array.from({ length: 10 }, (_, i) => i))
    const many = Array.from({ length: 4000 }, (_, i) => pictures[i % 10])
    const before = await health()
    const hangUp = new AbortController()
    const long = post({ pictures: many }, hangUp.signal)
    const refused = expect(long).rejects.toThrow(/abort/)
    let seen = await health()
    while (seen.batches < before.batches + 3) seen = await health()
    hangUp.abort()
    await refused
    while (seen.cancelled === before.cancelled) seen = await health()
    expect(seen.done).toBe(before.done)
    expect(seen.batches - before.batches).toBeLessThan(4000 / 16)
    expect(seen.tensors).toBe(before.tensors)
  })
})
