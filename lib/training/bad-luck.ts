/** What a run says when the machine, not the training, is at fault: what is kept, and how to go on. */

import { LandmarkDiffusionError } from '../errors.js'
import { OpError } from '../torch/index.js'

/** Settings that hold most of the memory, in the order in which they are worth changing. */
const reduce =
  'With the same settings it needs a machine with more memory free; else begin again with a smaller train.batchSize (train.accumulate keeps the effective one), data.width and data.height, fewer levels in model.attention, or train.precision=bfloat16'

/** An error in the middle of a run, with what it means for the run; others as they are. */
export function explainLoss(
  error: unknown,
  { step, folder }: { step: number; folder: string },
): unknown {
  if (!(error instanceof OpError)) return error
  const kept = `The run stopped at step ${step}; the checkpoints in ${folder} are of earlier steps and untouched`
  switch (error.code) {
    case 'ERR_OUT_OF_MEMORY': {
      const { device, wanted, free } = error.outOfMemory ?? {}
      const figures =
        wanted && free !== null && free !== undefined
          ? ` on ${device}: ${mebibytes(wanted)} were wanted, ${mebibytes(free)} were free`
          : device
            ? ` on ${device}`
            : ''
      return new LandmarkDiffusionError(
        'ERR_OUT_OF_MEMORY',
        `Out of memory${figures} (${error.op}). ${kept}: go on with --resume. ${reduce}.`,
        { cause: error },
      )
    }
    case 'ERR_DEVICE':
      return new LandmarkDiffusionError(
        'ERR_DEVICE',
        `The GPU failed: ${error.message} ${kept}: go on with --resume in a new process, on this device once it works again or on another one (--device).`,
        { cause: error },
      )
    default:
      return error
  }
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`
}
