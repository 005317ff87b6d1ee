/** `landmark-diffusion synthesize DIR`: a data set of synthetic cephalograms in the ISBI layout. Needs no libtorch. */

import type { Command } from 'commander'
import { synthesize } from '../data/synthetic/index.js'
import {
  defineCommand,
  imageSize,
  interruptSignal,
  Progress,
  positiveInteger,
  say,
  usageError,
  wholeNumber,
} from './command.js'

interface Options {
  count: number
  size: { width: number; height: number }
  seed: number
}

export function synthesizeCommand(): Command {
  return defineCommand({
    name: 'synthesize',
    summary:
      'write a data set of synthetic cephalograms in the ISBI 2015 layout, with two observers and a dataset.json that tells the pixel size',
    examples: ['landmark-diffusion synthesize data/synthetic --count 400 --size 484x600 --seed 1'],
  })
    .argument('<dir>', 'folder to write to; an unfinished set of the same kind is completed')
    .option(
      '--count <n>',
      'images, 3/8 train, 3/8 test1, 2/8 test2; at most 400',
      positiveInteger,
      400,
    )
    .option('--size <WxH>', 'pixels of an image (default: "1935x2400")', imageSize, undefined)
    .option('--seed <n>', 'equal seeds write equal data sets', wholeNumber, 0)
    .action(async (dir: string, { count, size, seed }: Options) => {
      if (count > 400) throw usageError(`--count ${count}: at most 400.`)
      const progress = new Progress('Synthesizing', { total: count })
      try {
        await synthesize(dir, {
          count,
          size,
          seed,
          onProgress: ({ done }) => progress.update(done),
          signal: interruptSignal(),
        })
      } finally {
        progress.finish()
      }
      say(`${count} synthetic cephalograms in ${dir}`)
    })
}
