/** Beginning a run or going on with one: which configuration and which data count, and what may not change in between. */

import { existsSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { LandmarkDiffusionError } from '../errors.js'
import { type Config, loadConfig } from './config.js'
import type { RunFolder } from './run-folder.js'
import type { TrainOptions } from './trainer.js'

/** What a run is to be done with. */
export interface OpenedRun {
  config: Config
  /** Folder of the data set. */
  data: string
  /** Whether there is a checkpoint to go on from. */
  resume: boolean
}

/** Keys whose change does not make the steps already done others than they were. */
const changeable = [
  'sampling',
  'train.epochs',
  'train.steps',
  'train.minutes',
  'train.logEvery',
  'train.checkpointEvery',
  'train.validation.every',
  'train.validation.steps',
]

/** @throws ERR_CONFIG when `out` holds another run, or the configuration does not fit the run there */
export async function openRun(folder: RunFolder, options: TrainOptions): Promise<OpenedRun> {
  const { seed } = options
  const set = [...(options.set ?? []), ...(seed === undefined ? [] : [`train.seed=${seed}`])]
  const begun = existsSync(folder.checkpoint('last'))
  if (begun && !options.resume) {
    throw new LandmarkDiffusionError(
      'ERR_CONFIG',
      `${folder.path} holds a run already: go on with it by --resume, or choose another --out`,
    )
  }
  const resume = begun && options.resume === true
  // A run that ended before its first checkpoint is begun again, and is still the one that its folder tells of.
  const again = options.resume === true && folder.exists
  const named = options.preset !== undefined || options.config !== undefined
  if (options.resume === true && !again && !named) {
    throw new LandmarkDiffusionError(
      'ERR_CONFIG',
      `${folder.path}: there is no run to go on with; begin one by --preset or --config`,
    )
  }
  const config = loadConfig(
    named || !again
      ? { preset: options.preset, config: options.config, set }
      : { config: folder.configFile, set },
  )
  if (resume) {
    const changed = changedKeys(folder.readConfig(), config).filter(
      (path) => !changeable.some((key) => path === key || path.startsWith(`${key}.`)),
    )
    if (changed.length > 0) {
      throw new LandmarkDiffusionError(
        'ERR_CONFIG',
        `${folder.path}: a resumed run cannot change ${changed.join(', ')}; leave --config, --preset and --set out to go on as it was begun, or choose another --out`,
      )
    }
  }
  const data = options.data ?? (again ? (await folder.readData())?.folder : undefined)
  if (data === undefined) {
    throw new LandmarkDiffusionError(
      'ERR_CONFIG',
      'no data: give the folder of a data set in the ISBI layout (--data DIR)',
    )
  }
  return { config, data, resume }
}

/** Paths at which two configurations differ. */
function changedKeys(a: unknown, b: unknown, path = ''): string[] {
  if (isDeepStrictEqual(a, b)) return []
  if (!isSection(a) || !isSection(b)) return [path]
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...keys].flatMap((key) => changedKeys(a[key], b[key], path ? `${path}.${key}` : key))
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
