/**
 * The stages of a reproduction, each a command of the command line in a process of its own. A stage that ended well is
 * remembered in `stages.json` under what it was done with, so that it is not done again; one that was interrupted, or
 * whose settings have changed, is.
 */

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { LandmarkDiffusionError } from '../../errors.js'
import { replaceFile } from '../../evaluation/files.js'
import { makeFolder } from '../../output-folder.js'
import { describeIssues, type FileKind, parseJson, readTextFile } from '../../outside-file.js'
import { say } from '../command.js'

const program = fileURLToPath(new URL('../index.js', import.meta.url))

/** What is done: a command line, and the file that is there when it has been done. */
export interface Stage {
  readonly words: readonly string[]
  readonly makes: string
  /** Everything that the result depends on beside the words. */
  readonly dependsOn: readonly string[]
}

const stagesFile = z.record(z.string().max(1000), z.string().max(100))
const kind: FileKind = {
  what: 'list of finished stages',
  remedy: 'Delete it to do all stages again.',
  limit: 2 ** 20,
}

export class Stages {
  readonly #file: string
  readonly #done: Map<string, string>
  readonly #signal: AbortSignal

  private constructor(file: string, done: Map<string, string>, signal: AbortSignal) {
    this.#file = file
    this.#done = done
    this.#signal = signal
  }

  /** @throws ERR_DATA where the folder's list of stages cannot be read */
  static async open(folder: string, signal: AbortSignal): Promise<Stages> {
    await makeFolder(folder)
    const file = join(folder, 'stages.json')
    if (!existsSync(file)) return new Stages(file, new Map(), signal)
    const parsed = stagesFile.safeParse(parseJson(await readTextFile(file, kind), file, kind.what))
    if (!parsed.success)
      throw new LandmarkDiffusionError(
        'ERR_DATA',
        `${file}: ${describeIssues(parsed.error).join('; ')}. ${kind.remedy}`,
      )
    return new Stages(file, new Map(Object.entries(parsed.data)), signal)
  }

  /**
   * Does a stage unless it is done, and returns what identifies its result, for stages that depend on it.
   * @throws ERR_ABORTED when interrupted; ERR_DATA when the command fails
   */
  async run({ words, makes, dependsOn }: Stage): Promise<string> {
    const key = createHash('sha256')
      .update(JSON.stringify([words, dependsOn]))
      .digest('hex')
      .slice(0, 16)
    const line = `landmark-diffusion ${words.map(quoted).join(' ')}`
    if (this.#done.get(makes) === key && existsSync(makes)) {
      say(`Done already: ${line}`)
      return key
    }
    say(`$ ${line}`)
    await this.#spawn(words)
    this.#done.set(makes, key)
    const text = `${JSON.stringify(Object.fromEntries(this.#done), null, 2)}\n`
    await replaceFile(this.#file, text, kind.what)
    return key
  }

  #spawn(words: readonly string[]): Promise<void> {
    const signal = this.#signal
    return new Promise((resolve, reject) => {
      // A group of its own, so that ctrl-C reaches it once, through this process: a second one would end it unsaved.
      const child = spawn(process.execPath, [program, ...words], {
        stdio: ['ignore', 2, 2],
        detached: true,
      })
      const interrupt = () => child.kill('SIGINT')
      if (signal.aborted) interrupt()
      signal.addEventListener('abort', interrupt, { once: true })
      child.on('error', reject)
      child.on('close', (status, ending) => {
        signal.removeEventListener('abort', interrupt)
        if (signal.aborted)
          reject(
            new LandmarkDiffusionError(
              'ERR_ABORTED',
              'Interrupted; the same command goes on from here.',
            ),
          )
        else if (status === 0) resolve()
        else
          reject(
            new LandmarkDiffusionError(
              'ERR_DATA',
              `'${words[0]}' ended with ${ending ? `signal ${ending}` : `status ${status}`}; its own message is above. The same command goes on from here.`,
            ),
          )
      })
    })
  }
}

/** A word as a shell would want it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
