// Replays the cases of a file, from one on, and writes a line of JSON to the file OUT before and after each:
// the line before tells run.mjs which case killed the process. (libtorch itself prints to stdout.)
import { openSync, writeSync } from 'node:fs'
import { readCases } from './frames.mjs'
import { replay } from './replay.mjs'

const [file, from, out] = process.argv.slice(2)
const lines = openSync(out, 'w')
const say = (message) => writeSync(lines, `${JSON.stringify(message)}\n`)
let index = 0
for (const one of readCases(file)) {
  if (index >= Number(from)) {
    const { op, from: source, determined = false } = one.header
    say({ start: index, op, from: source })
    say({ op, from: source, determined, ...(await replay(one)) })
  }
  index++
}
