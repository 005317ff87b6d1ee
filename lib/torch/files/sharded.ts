/**
 * Safetensors in several files, as Hugging Face lays them out: `NAME-00001-of-00003.safetensors` and so on, and
 * `NAME.safetensors.index.json`, which says which tensor is in which file.
 */
import { open } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { LandmarkDiffusionError } from '../../errors.js'
import { writeAtomically, writeFully } from './atomic-write.js'
import { readSafetensors, type SafetensorsEntries, writeSafetensors } from './safetensors.js'
import type { TensorData } from './tensor-data.js'

export const indexSuffix = '.safetensors.index.json'

/** As much as a header of the largest single file may have. */
const maxIndexBytes = 100_000_000

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) })

function fail(path: string, reason: string, cause?: unknown): LandmarkDiffusionError {
  const message = `'${path}' is not a usable index of sharded safetensors: ${reason}.`
  return new LandmarkDiffusionError('ERR_CHECKPOINT', message, { cause })
}

async function readIndex(path: string): Promise<Map<string, string>> {
  let text: string
  try {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      if (size > maxIndexBytes) throw fail(path, `it has ${size} bytes, more than any index needs`)
      text = await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (cause instanceof LandmarkDiffusionError) throw cause
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw fail(path, missing ? 'there is no such file' : String(cause), cause)
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw fail(path, `it is no JSON (${(cause as Error).message})`, cause)
  }
  const parsed = indexSchema.safeParse(json)
  if (!parsed.success) throw fail(path, 'it has no weight_map of names to files')
  return new Map(Object.entries(parsed.data.weight_map))
}

/**
 * All tensors of all files that the index names. Throws ERR_CHECKPOINT when one is missing, or is not
 * where the index says.
 */
export async function readSharded(path: string): Promise<Map<string, TensorData>> {
  const index = await readIndex(path)
  const tensors = new Map<string, TensorData>()
  for (const file of new Set(index.values())) {
    // A name with a folder in it could point anywhere.
    if (basename(file) !== file || !file.endsWith('.safetensors')) {
      throw fail(path, `it names '${file}', which is no safetensors file beside it`)
    }
    const shard = await readSafetensors(join(dirname(path), file))
    for (const [name, data] of shard.tensors) {
      if (index.get(name) === file) tensors.set(name, data)
    }
  }
  const missing = [...index].find(([name]) => !tensors.has(name))
  if (missing)
    throw fail(path, `tensor '${missing[0]}' is not in '${missing[1]}', where it should be`)
  return tensors
}

type Entry = SafetensorsEntries extends Iterable<infer E> ? E : never

/** Groups of entries of at most `most` bytes each, in order; a tensor larger than that gets a file of its own. */
function divide(entries: readonly Entry[], most: number): Entry[][] {
  const groups: Entry[][] = []
  let room = 0
  for (const entry of entries) {
    const size = entry[1].data.byteLength
    const group = groups.at(-1)
    if (group === undefined || size > room) {
      groups.push([entry])
      room = most - size
    } else {
      group.push(entry)
      room -= size
    }
  }
  return groups
}

/**
 * Writes the files, and the index after them: before it is there, the old one still holds. `path` ends in
 * `.safetensors.index.json`. An index that is there already is not replaced, as its files would be
 * overwritten one by one.
 */
export async function writeSharded(
  path: string,
  entries: readonly Entry[],
  {
    metadata = {},
    maxShardBytes,
  }: { metadata?: Readonly<Record<string, string>>; maxShardBytes: number },
): Promise<void> {
  if (!(maxShardBytes > 0))
    throw new RangeError(`maxShardBytes must be positive, not ${maxShardBytes}.`)
  const taken = await open(path, 'r').then(
    (file) => file.close().then(() => true),
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return false
      throw fail(path, String(cause), cause)
    },
  )
  if (taken) {
    throw new LandmarkDiffusionError(
      'ERR_CHECKPOINT',
      `'${path}' is there already; remove it and its files, or save under another name.`,
    )
  }
  const groups = divide(entries, maxShardBytes)
  const stem = path.slice(0, -indexSuffix.length)
  const number = (value: number) => String(value).padStart(5, '0')
  const weightMap: [string, string][] = []
  for (const [i, group] of groups.entries()) {
    const file = `${stem}-${number(i + 1)}-of-${number(groups.length)}.safetensors`
    await writeSafetensors(file, group, metadata)
    for (const [name] of group) weightMap.push([name, basename(file)])
  }
  const total = entries.reduce((sum, [, { data }]) => sum + data.byteLength, 0)
  const index = {
    metadata: { ...metadata, total_size: total },
    weight_map: Object.fromEntries(weightMap),
  }
  await writeAtomically(path, (file) =>
    writeFully(file, Buffer.from(`${JSON.stringify(index, null, 2)}\n`)),
  )
}
