/** `landmark-diffusion setup`: puts a libtorch in the cache, verified by hash. The work is in scripts/libtorch. */

import type { Command } from 'commander'
import { LandmarkDiffusionError } from '../errors.js'
import { defineCommand, printJson, say } from './command.js'
import { setupScript } from './libtorch-scripts.js'

interface Options {
  version?: string
  cuda?: boolean
  from?: string
  sha256?: string
  force?: boolean
  json?: boolean
}

export function setupCommand(): Command {
  return defineCommand({
    name: 'setup',
    summary: 'put a libtorch in the cache, verified by hash',
    examples: [
      'landmark-diffusion setup',
      'landmark-diffusion setup --cuda',
      'landmark-diffusion setup --version 2.11.0 --cuda',
      'landmark-diffusion setup --from torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl',
    ],
  })
    .option('--version <x.y.z>', 'which version of torch (default: the one that is tested most)')
    .option(
      '--cuda',
      'the CUDA flavour, with the NVIDIA libraries that it needs (several GB); without --version the newest that pip can get',
    )
    .option('--from <file>', 'a local wheel of torch, or an official libtorch zip, instead of pip')
    .option('--sha256 <hex>', 'the hash that the file of --from must have')
    .option('--force', 'fetch even if one is there')
    .option('--json', 'print the result as JSON')
    .action(setup)
}

async function setup(options: Options): Promise<void> {
  const { setupLibtorch, precedenceNote, SetupError } = await setupScript()
  try {
    const { libtorch, fetched } = await setupLibtorch({ ...options, say })
    if (options.json) printJson({ ...libtorch, fetched })
    else {
      const where = fetched ? 'is now in' : 'is already in'
      process.stdout.write(
        `libtorch ${libtorch.version} (${libtorch.flavour}) ${where} ${libtorch.root}\n`,
      )
    }
    const note = precedenceNote(libtorch)
    if (note) say(note)
  } catch (cause) {
    if (cause instanceof SetupError)
      throw new LandmarkDiffusionError('ERR_ADDON_LOAD', cause.message, { cause })
    throw cause
  }
}
