import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { runRanks, startRanks } from './ranks.js'

test('three ranks reduce by sum, product, minimum, maximum and average, in every dtype', async () => {
  const all = await runRanks('reductions', 3)
  // Ranks hold [1, 3, 2], [2, 2, 2] and [3, 1, 2].
  const expected = { sum: [6, 6, 6], product: [6, 6, 8], min: [1, 1, 2], max: [3, 3, 2] }
  for (const { lines, status, stderr } of all) {
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(lines).toHaveLength(5 * 4 + 1)
    for (const { op, values } of lines.slice(0, -1))
      expect(values).toEqual(expected[op as keyof typeof expected])
    expect(lines.at(-1)).toEqual({ op: 'avg', values: [1, 1] })
  }
})

test('operations keep their order among ops, though nothing is awaited', async () => {
  const all = await runRanks('order', 2)
  // (1 + 2) * 10 + 1, and twice that times (1 + 1) from rank 1.
  for (const { lines } of all) expect(lines).toEqual([[31, 124]])
})

test('an asynchronous operation lets the queue go on, and is there after wait()', async () => {
  const all = await runRanks('asynchronous', 2)
  for (const { lines } of all)
    expect(lines).toEqual([{ meanwhile: 3, values: [1.5, 1.5, 1.5, 1.5] }])
})

test('a rank that waits for a late one blocks neither its event loop nor other threads', async () => {
  const [first, second] = await startRanks('late', 2)
  await first?.printed(1)
  second?.child.kill('SIGUSR2')
  const end = await first?.ended
  expect(end?.lines).toEqual([{ sum: 10, done: false }, [2, 2, 2, 2]])
})

test('misuse is refused with its reason, and the group goes on', async () => {
  const all = await runRanks('refused', 2)
  for (const { lines, stderr } of all) {
    expect(stderr).toBe('')
    expect(lines[0]).toMatchObject({
      code: 'ERR_OP',
      message: expect.stringContaining('allReduce'),
    })
    expect(lines[1]).toMatchObject({ code: 'ERR_OP' })
    expect(lines[2]).toBe(2)
    const messages = lines.slice(3).map(({ code, message }) => [code, message])
    const told = [/Tensor/, /'mean'/, /int64/, /0 to 1, not 2/, /already/, /no parameters/]
    expect(messages).toHaveLength(told.length)
    for (const [i, pattern] of told.entries())
      expect(messages[i]).toEqual(['ERR_DISTRIBUTED', expect.stringMatching(pattern)])
  }
})

test('operations that do not fit together fail on all ranks, and the group goes on', async () => {
  for (const { lines, status } of await runRanks('mismatches', 2)) {
    expect(lines).toHaveLength(6)
    for (const line of lines.slice(0, 5))
      expect(line).toMatchObject({
        code: 'ERR_OP',
        message: expect.stringContaining('do not call the same operation'),
      })
    expect(lines[5]).toEqual([2, 2, 2])
    expect(status).toBe(0)
  }
})

test('a killed rank ends what others wait for, and is named', async () => {
  const ranks = await startRanks('waitForOther', 3, { env: { SLEEPER: '1' } })
  await Promise.all(ranks.map(({ printed }) => printed(1)))
  ranks[1]?.child.kill('SIGKILL')
  const all = await Promise.all(ranks.map(({ ended }) => ended))
  for (const { lines, status } of [all[0], all[2]].flatMap((end) => end ?? [])) {
    expect(lines[1]).toEqual({
      code: 'ERR_DISTRIBUTED',
      message: expect.stringMatching(/^rank 1 died/),
    })
    expect(lines[2].seconds).toBeLessThan(30)
    expect(lines[2].after).toMatchObject({ code: 'ERR_DISTRIBUTED' })
    expect(status).toBe(3)
  }
})

test('so does rank 0, which keeps the store', async () => {
  const ranks = await startRanks('waitForOther', 2, { env: { SLEEPER: '0' } })
  await Promise.all(ranks.map(({ printed }) => printed(1)))
  ranks[0]?.child.kill('SIGKILL')
  const [, second] = await Promise.all(ranks.map(({ ended }) => ended))
  expect(second?.lines[1]).toEqual({
    code: 'ERR_DISTRIBUTED',
    message: expect.stringMatching(/^rank 0/),
  })
  expect(second?.lines[2].seconds).toBeLessThan(30)
  expect(second?.status).toBe(3)
})

test('a rank that fails tells the others why', async () => {
  const [first] = await runRanks('failWithReason', 2)
  expect(first?.lines[0]).toEqual({
    code: 'ERR_DISTRIBUTED',
    message: 'rank 1 failed: its disk is full',
  })
  expect(first?.status).toBe(0)
})

test('ranks leave in peace, and end in the middle of an operation without a crash', async () => {
  for (const { lines, status } of await runRanks('leaveAndMeetAgain', 3)) {
    expect(lines).toEqual([false])
    expect(status).toBe(0)
  }
  const ends = await runRanks('exitInTheMiddle', 2)
  expect(ends.map(({ status, signal }) => [status, signal])).toEqual([
    [5, null],
    [6, null],
  ])
})

test('a rank that never comes is named when the time is up', async () => {
  const [only] = await startRanks('order', 2, { started: [0], env: { TIMEOUT: '2' } })
  const { lines, status } = await (only as NonNullable<typeof only>).ended
  expect(lines[0].message).toContain('rank 1 of 2 did not come')
  expect(lines[0].code).toBe('ERR_DISTRIBUTED')
  expect(status).toBe(1)
})

test('a port in use is told as that', async () => {
  const server = createServer()
  server.listen(0)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const [only] = await startRanks('order', 2, { started: [0], port })
  const { lines } = await (only as NonNullable<typeof only>).ended
  server.close()
  expect(lines[0].message).toMatch(/port is in use; choose another MASTER_PORT/)
})
