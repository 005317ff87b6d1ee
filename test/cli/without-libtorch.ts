/** Runs the command line where no libtorch can be found, as on a machine that only evaluates. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../dist/cli/index.js', import.meta.url))

export interface Ended {
  status: number
  out: string
  err: string
}

export function runWithoutLibtorch(...words: string[]): Promise<Ended> {
  const nowhere = '/nonexistent'
  const env = { ...process.env, LIBTORCH: nowhere, PATH: nowhere, XDG_CACHE_HOME: nowhere }
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], { env }, (error, out, err) => {
      resolve({ status: error === null ? 0 : Number(error.code), out, err })
    })
  })
}
