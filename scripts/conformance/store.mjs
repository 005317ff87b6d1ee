// Chooses the cases that the repository keeps: for each overload the smallest ones, of different dtypes.
//
//   node scripts/conformance/store.mjs FOLDER     FOLDER was filled by generate.py
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants } from 'node:zlib'
import { readCases } from './frames.mjs'

const perOverload = 3
const largest = 6000
const files = 4

const [folder] = process.argv.slice(2)
if (folder === undefined) {
  console.error(
    'usage: node scripts/conformance/store.mjs FOLDER   (a folder that generate.py filled)',
  )
  process.exit(2)
}
const target = fileURLToPath(new URL('../../test/fixtures/conformance/', import.meta.url))

const byOverload = new Map()
for (const name of readdirSync(folder)
  .filter((file) => /^cases.*\.bin$/.test(file))
  .sort()) {
  for (const { header, frame } of readCases(join(folder, name))) {
    const dtype = header.refused ? 'refused' : (header.tensors[0]?.dtype ?? '')
    const cases = byOverload.get(header.op) ?? []
    cases.push({
      dtype,
      determined: header.determined === true,
      size: frame.length,
      frame: Buffer.from(frame),
    })
    byOverload.set(header.op, cases)
  }
}

/** Small ones first, those with values to compare before the others, each dtype once as far as there are several. */
function choose(cases) {
  const sorted = cases.sort((a, b) => b.determined - a.determined || a.size - b.size)
  const dtypes = new Set()
  const [different, rest] = [[], []]
  for (const one of sorted) {
    if (dtypes.has(one.dtype)) rest.push(one)
    else different.push(one)
    dtypes.add(one.dtype)
  }
  const [first, ...others] = [...different, ...rest].slice(0, perOverload)
  return [first, ...others.filter((one) => one.size <= largest)]
}

rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
const names = [...byOverload.keys()].sort()
const length = Math.ceil(names.length / files)
let total = 0
for (let i = 0; i < files; i++) {
  const chosen = names
    .slice(i * length, (i + 1) * length)
    .flatMap((name) => choose(byOverload.get(name)))
  const plain = Buffer.concat(chosen.map(({ frame }) => frame))
  const packed = brotliCompressSync(plain, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_LGWIN]: 24 },
  })
  writeFileSync(join(target, `cases-${i}.bin.br`), packed)
  total += packed.length
  console.log(`cases-${i}.bin.br: ${chosen.length} cases, ${packed.length} bytes`)
}
console.log(`${names.length} overloads, ${total} bytes`)
