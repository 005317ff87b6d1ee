/** Ends of a process and of its threads while a backward pass waits for JavaScript. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const child = fileURLToPath(new URL('./callback-child.mjs', import.meta.url))

describe('a process whose backward pass waits for a hook', () => {
  test.each([
    ['end', 0],
    ['exit', 3],
    ['exit-in-hook', 4],
    ['exit-in-a-hook-that-is-waited-for', 5],
    ['error-in-hook', 1],
    ['workers-terminated', 0],
  ])('leaves cleanly by %s', async (how, status) => {
    let output = ''
    const running = spawn(process.execPath, [child, how], { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [running.stdout, running.stderr]) {
      stream.on('data', (text) => {
        output += text
      })
    }
    const ended = await new Promise((resolve) => {
      running.on('close', (code, signal) => resolve({ code, signal }))
    })
    expect(ended, output).toEqual({ code: status, signal: null })
    if (how === 'error-in-hook') expect(output).toMatch(/from the hook/)
  })
})
