// Reading mutated files: each must give a result or a short error of this package, without a crash, a hang or much memory.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { Random } from './random.mjs'

/** Reading one small file takes milliseconds; seconds would be a loop that the input controls. */
const hangMilliseconds = 10_000
const longestMessage = 4000

/** Options of these programs: `--count`, `--seed`, and `--from` to begin at one file of an earlier run. */
export function fuzzOptions() {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '100000' },
      seed: { type: 'string', default: '1' },
      from: { type: 'string', default: '0' },
    },
  })
  return { count: Number(values.count), seed: Number(values.seed), from: Number(values.from) }
}

/**
 * @param examples each with the files of a small valid example, by name; the first one is mutated
 * @param mutate (contents, random) => contents, which may be a promise
 * @param read (example, folder) => the result; rejects with an error
 * @param isClear whether an error is one that the package promises
 */
export async function fuzzFiles({ examples, mutate, read, isClear }, { count, seed, from }) {
  const folder = await mkdtemp(join(tmpdir(), 'fuzz-files-'))
  const put = (name, contents) => writeFile(join(folder, name), contents)
  let [results, refusals, slowest, peak] = [0, 0, 0, 0]
  const measure = () => {
    peak = Math.max(peak, process.memoryUsage().rss)
  }
  const watchdog = setInterval(measure, 250)
  try {
    for (const { files } of examples)
      for (const [name, contents] of Object.entries(files)) {
        await mkdir(dirname(join(folder, name)), { recursive: true })
        await put(name, contents)
      }
    for (let i = from; i < from + count; i++) {
      const random = new Random(seed, i)
      const example = random.pick(examples)
      const [[name, contents]] = Object.entries(example.files)
      let changed = contents
      for (let change = random.int(1, 4); change > 0; change--)
        changed = await mutate(changed, random, example)
      await put(name, changed)
      const begin = performance.now()
      try {
        await read(example, folder)
        results++
      } catch (error) {
        if (!isClear(error) || error.message.length > longestMessage) {
          console.error(`File ${i}, ${name}; again: --seed ${seed} --from ${i} --count 1`)
          throw error
        }
        refusals++
      }
      slowest = Math.max(slowest, performance.now() - begin)
      if (slowest > hangMilliseconds) throw new Error(`file ${i}, ${name}, took ${slowest} ms`)
      await put(name, contents)
      if ((i + 1 - from) % 10_000 === 0)
        console.log(`${i + 1 - from} files: ${results} read, ${refusals} refused`)
    }
  } finally {
    clearInterval(watchdog)
    await rm(folder, { recursive: true })
  }
  measure()
  console.log(
    `${count} mutated files: ${results} read, ${refusals} refused with a clear error; slowest ${slowest.toFixed(0)} ms; resident memory at most ${Math.round(peak / 2 ** 20)} MiB`,
  )
}
