// Reads files of conformance cases; README.md describes the format.
import { readFileSync } from 'node:fs'
import { brotliDecompressSync } from 'node:zlib'

/** The cases of a file (`.bin`, or compressed `.bin.br`): { header, body }, and `frame`, the whole as it stands. */
export function* readCases(path) {
  const stored = readFileSync(path)
  const file = path.endsWith('.br') ? brotliDecompressSync(stored) : stored
  for (let at = 0; at < file.length; ) {
    const start = at + 16
    const middle = start + file.readUInt32LE(at)
    const end = middle + file.readUInt32LE(at + 4)
    const header = JSON.parse(file.subarray(start, middle).toString())
    yield { header, body: file.subarray(middle, end), frame: file.subarray(at, end) }
    at = end
  }
}

/** The bytes at a place [start, length] of a body. */
export function bytesAt(body, [start, length]) {
  return body.subarray(start, start + length)
}
