/**
 * Mutates files of tensors (stored heatmaps, safetensors, PyTorch archives and the pickles in them) and reads them: each
 * must give a result or an error of this package, without a crash, a hang or much memory.
 *
 *     node scripts/fuzz/tensor-files.mjs [--count 100000] [--seed 1] [--from 0]
 *
 * Needs a clone with the compiled package (`npm run build:ts`), for the fixtures of its tests; no libtorch.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { fromBuffer } from 'yauzl'
import { ZipFile } from 'yazl'
import { fuzzFiles, fuzzOptions } from './mutated-files.mjs'

const library = (path) => import(new URL(`../../dist/${path}`, import.meta.url).href)
const { LandmarkDiffusionError } = await library('errors.js')
const { Density } = await library('evaluation/uncertainty/density.js')
const { readHeatmaps } = await library('evaluation/uncertainty/heatmap-file.js')
const { readSafetensors } = await library('torch/files/safetensors.js')
const { readPytorch } = await library('torch/files/pytorch.js')

const fixture = (name) => readFile(new URL(`../../test/${name}`, import.meta.url))

/** The entries of a zip archive by name. */
async function unzip(bytes) {
  const archive = await promisify(fromBuffer)(bytes, { lazyEntries: true })
  const entries = new Map()
  await new Promise((resolve, reject) => {
    archive.on('error', reject)
    archive.on('end', resolve)
    archive.on('entry', (entry) => {
      archive.openReadStream(entry, async (error, stream) => {
        if (error) return reject(error)
        entries.set(entry.fileName, await buffer(stream))
        archive.readEntry()
      })
    })
    archive.readEntry()
  })
  return entries
}

/** A valid archive with right checksums, so that what is inside is looked at. */
function zip(entries) {
  const archive = new ZipFile()
  for (const [name, bytes] of entries) archive.addBuffer(bytes, name, { compress: false })
  archive.end()
  return buffer(archive.outputStream)
}

const heatmaps = async (path) => {
  const maps = await readHeatmaps(path)
  return maps.landmarks.map((_, i) => Density.of(maps, i))
}

const archives = [
  'torch/files/fixtures/plain-2.pt',
  'torch/files/fixtures/views.pt',
  'fixtures/state.pt',
]
const examples = [
  {
    files: { 'heatmaps.safetensors': await fixture('fixtures/uncertainty.safetensors') },
    open: heatmaps,
  },
  {
    files: { 'state.safetensors': await fixture('fixtures/state.safetensors') },
    open: readSafetensors,
  },
  {
    files: { 'optim.safetensors': await fixture('fixtures/optim.safetensors') },
    open: readSafetensors,
  },
]
for (const [i, name] of archives.entries()) {
  const bytes = await fixture(name)
  examples.push({ files: { [`${i}.pt`]: bytes }, open: readPytorch })
  examples.push({ files: { [`inside-${i}.pt`]: bytes }, open: readPytorch, inside: true })
}

/** Numbers at which sizes and offsets overflow. */
const numbers = [0, 1, 0x7f, 0x80, 0xff, 0x7fffffff, 0x80000000, 0xffffffff]
const words = [
  'null',
  '-1',
  '1e99',
  '[[[[',
  '9'.repeat(30),
  '"F64"',
  '"__proto__"',
  '{}',
  '0,0,0,0',
].map((word) => Buffer.from(word))

/** One change of bytes: cut, removed, repeated, overwritten by a number or a word, or one bit turned. */
function mutateBytes(bytes, random) {
  if (bytes.length === 0) return bytes
  const at = random.int(0, bytes.length - 1)
  const length = random.int(1, 16)
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
  switch (random.int(0, 6)) {
    case 0:
      return Buffer.from(before)
    case 1:
      return Buffer.concat([before, after.subarray(length)])
    case 2:
      return Buffer.concat([
        before,
        ...Array(random.int(1, 20)).fill(after.subarray(0, length)),
        after,
      ])
    case 3: {
      const number = Buffer.alloc(4)
      number.writeUInt32LE(random.pick(numbers))
      return Buffer.concat([before, number.subarray(0, random.pick([1, 2, 4])), after.subarray(4)])
    }
    case 4: {
      const word = random.pick(words)
      return Buffer.concat([before, word, after.subarray(random.chance(0.5) ? word.length : 0)])
    }
    default: {
      const turned = Buffer.from(bytes)
      turned[at] ^= 1 << random.int(0, 7)
      return turned
    }
  }
}

/** Of an archive whose inside is meant, one entry is changed, mostly the pickle. */
async function mutate(bytes, random, { inside = false }) {
  if (!inside) return mutateBytes(bytes, random)
  const entries = await unzip(bytes)
  const pickle = [...entries.keys()].find((name) => name.endsWith('data.pkl'))
  const name = random.chance(0.8) ? pickle : random.pick([...entries.keys()])
  return zip(new Map(entries).set(name, mutateBytes(entries.get(name), random)))
}

await fuzzFiles(
  {
    examples,
    mutate,
    read: ({ open, files }, folder) => open(join(folder, Object.keys(files)[0])),
    isClear: (error) =>
      error instanceof LandmarkDiffusionError &&
      (error.code === 'ERR_DATA' || error.code === 'ERR_CHECKPOINT'),
  },
  fuzzOptions(),
)
