/** The addon at every end of a process: no abort, no hang, the exit status that was asked for. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const child = fileURLToPath(new URL('./lifetime-child.mjs', import.meta.url))

function end(how: string): Promise<{ code: number | null; signal: string | null; output: string }> {
  return new Promise((resolve, reject) => {
    const running = spawn(process.execPath, [child, how], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    running.stdout.on('data', (text) => {
      output += text
    })
    running.stderr.on('data', (text) => {
      output += text
    })
    running.on('error', reject)
    running.on('close', (code, signal) => resolve({ code, signal, output }))
  })
}

describe('a process with queued work', () => {
  test.each([
    ['end', 0],
    ['exit', 3],
    ['exit-among-passes', 3],
    ['exit-among-passes', 3],
    ['exit-among-passes', 3],
    ['exit-with-open-promise', 4],
    ['exit-while-a-worker-waits', 6],
    ['terminate-a-worker-that-waits', 0],
    ['uncaught', 1],
    ['rejection', 1],
    ['workers-terminated', 0],
    ['workers-that-end', 0],
  ])('leaves cleanly by %s', async (how, status) => {
    const { code, signal, output } = await end(how)
    expect({ code, signal }, output).toEqual({ code: status, signal: null })
  })
})
