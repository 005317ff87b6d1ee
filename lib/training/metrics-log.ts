/** `metrics.jsonl` of a run folder: one JSON object a line, appended as training goes on, cut back to the checkpoint's step when a run is resumed. */

import { type FileHandle, open, readFile } from 'node:fs/promises'
import { writeAtomically } from '../torch/files/atomic-write.js'

/** A line: what it is about, the step after which it was written, and any figures. */
export interface MetricsLine {
  type: 'train' | 'validation'
  step: number
  [figure: string]: unknown
}

export class MetricsLog implements AsyncDisposable {
  readonly #file: FileHandle

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Opens the file for appending; lines after `step` belong to steps that will be done again, and go. */
  static async open(path: string, step: number): Promise<MetricsLog> {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
    const kept = text
      .split('\n')
      .filter((line) => stepOf(line) <= step)
      .map((line) => `${line}\n`)
      .join('')
    if (kept !== text) await writeAtomically(path, (file) => file.writeFile(kept))
    return new MetricsLog(await open(path, 'a'))
  }

  async append(line: MetricsLine): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify(line)}\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}

/** A line that was cut off when the process was killed has no step, and is dropped. */
function stepOf(line: string): number {
  try {
    const { step } = JSON.parse(line) as Partial<MetricsLine>
    return typeof step === 'number' ? step : Number.POSITIVE_INFINITY
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
