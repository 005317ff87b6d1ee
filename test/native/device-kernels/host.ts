/** Compiles a file of this folder, which runs device code on the host, and talks to it in raw arrays. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { DType, Tensor } from '#lib/torch/index.js'
import * as torch from '#lib/torch/index.js'

/** Whether to take the sizes of the paper's canvas, which takes minutes; else a word about it for a test's name. */
export const fullCanvas = process.env.LANDMARK_DIFFUSION_FULL_CANVAS === '1'
export const whyNot = fullCanvas
  ? ''
  : ' (skipped: it takes minutes; LANDMARK_DIFFUSION_FULL_CANVAS=1 runs it)'

export interface HostProgram extends Disposable {
  /** Runs the program on `inputs`, one after the other, and cuts its output into pieces of these lengths in bytes. */
  run(words: readonly string[], inputs: readonly Uint8Array[], lengths: readonly number[]): Buffer[]
}

/** With the compiler that builds the addon, as C++17, which is what nvcc is given. */
export function compileForHost(source: string): HostProgram {
  const folder = mkdtempSync(join(tmpdir(), 'landmark-diffusion-kernel-'))
  const program = join(folder, 'host')
  const native = fileURLToPath(new URL('../../../native', import.meta.url))
  const file = fileURLToPath(new URL(source, import.meta.url))
  const options = ['-std=c++17', '-O2', '-Wall', '-Wextra', '-Werror']
  const compiler = process.env.CXX ?? 'c++'
  execFileSync(compiler, [...options, `-I${native}`, file, '-o', program])
  return {
    run(words, inputs, lengths) {
      const { status, stdout } = spawnSync(program, words, {
        input: Buffer.concat(inputs),
        maxBuffer: 1 << 30,
      })
      if (status !== 0) throw new Error(`${source} ended with status ${status}`)
      let from = 0
      return lengths.map((length) => {
        from += length
        // A copy, so that it is aligned for any typed array.
        return Buffer.from(new Uint8Array(stdout.subarray(from - length, from)).buffer)
      })
    },
    [Symbol.dispose]() {
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export async function bytesOf(x: Tensor): Promise<Uint8Array> {
  const values = await x.data()
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

/** [N, C, H, W] -> its bytes as [N, H * W, C]. */
export function pixelsLast(x: Tensor): Promise<Uint8Array> {
  return bytesOf(x.permute([0, 2, 3, 1]))
}

/** The reverse: bytes of [N, H * W, C] -> float64 [N, C, H, W]. */
export function restored(buffer: Buffer, shape: readonly number[], dtype: DType): Tensor {
  const [n, c, h, w] = shape as [number, number, number, number]
  const laid = torch.fromBuffer(buffer, { dtype, shape: [n, h, w, c] })
  return laid.permute([0, 3, 1, 2]).to('float64')
}
