/**
 * A run's folder and what is known about the run besides its weights:
 *
 *     config.yaml        the effective configuration
 *     environment.json   versions, machine, commit, data and its fingerprint
 *     metrics.jsonl      figures as training went on
 *     checkpoints/       last.safetensors, best.safetensors
 *     cache/             decoded training images
 */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Sample } from '../data/isbi2015.js'
import { LandmarkDiffusionError } from '../errors.js'
import { makeFolder } from '../output-folder.js'
import { writeAtomically } from '../torch/files/atomic-write.js'
import * as torch from '../torch/index.js'
import { type Config, formatConfig, loadConfig } from './config.js'

export class RunFolder {
  readonly path: string

  constructor(path: string) {
    this.path = resolve(path)
  }

  get configFile(): string {
    return join(this.path, 'config.yaml')
  }

  get environmentFile(): string {
    return join(this.path, 'environment.json')
  }

  get metricsFile(): string {
    return join(this.path, 'metrics.jsonl')
  }

  checkpoint(name: 'last' | 'best'): string {
    return join(this.path, 'checkpoints', `${name}.safetensors`)
  }

  cacheFile(name: string): string {
    return join(this.path, 'cache', `${name}.bin`)
  }

  /** Whether a run was begun here. */
  get exists(): boolean {
    return existsSync(this.configFile)
  }

  async create(): Promise<void> {
    await makeFolder(join(this.path, 'checkpoints'))
  }

  /** @throws ERR_CONFIG when the folder holds no readable configuration */
  readConfig(): Config {
    if (!this.exists) {
      throw new LandmarkDiffusionError(
        'ERR_CONFIG',
        `${this.path}: this is not a run folder (it has no config.yaml); give the --out folder of a training run`,
      )
    }
    return loadConfig({ config: this.configFile })
  }

  async writeConfig(config: Config): Promise<void> {
    await writeAtomically(this.configFile, (file) => file.writeFile(formatConfig(config)))
  }

  /** What `train` noted about the data of this run; null before the first session. */
  async readData(): Promise<RunData | null> {
    try {
      const { data } = JSON.parse(await readFile(this.environmentFile, 'utf8')) as {
        data?: RunData
      }
      return data ?? null
    } catch {
      return null
    }
  }

  async writeEnvironment(data: RunData): Promise<void> {
    const environment = { ...(await describeEnvironment()), data }
    const text = `${JSON.stringify(environment, null, 2)}\n`
    await writeAtomically(this.environmentFile, (file) => file.writeFile(text))
  }
}

/** Which images and annotations a run was trained on. */
export interface RunData {
  /** Absolute path of the data set. */
  folder: string
  images: number
  /** SHA-256 over ids, sizes and points, the same wherever the data set lies. */
  fingerprint: string
}

export function fingerprint(samples: readonly Sample[]): string {
  const hash = createHash('sha256')
  for (const { id, file, width, height, pixelSize, points } of samples) {
    hash.update(JSON.stringify([id, basename(file), width, height, pixelSize, points]))
  }
  return hash.digest('hex')
}

async function describeEnvironment(): Promise<Record<string, unknown>> {
  const processors = cpus()
  return {
    package: packageVersion(),
    commit: await gitCommit(),
    node: process.version,
    ...torch.versions(),
    platform: `${process.platform} ${process.arch}`,
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    threads: await torch.getNumThreads(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    written: new Date().toISOString(),
  }
}

const packageFolder = fileURLToPath(new URL('../..', import.meta.url))

function packageVersion(): string {
  const text = readFileSync(join(packageFolder, 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** The commit of the package's own clone; null when it is installed without one. */
async function gitCommit(): Promise<string | null> {
  if (!existsSync(join(packageFolder, '.git'))) return null
  const git = (...words: string[]) => promisify(execFile)('git', words, { cwd: packageFolder })
  try {
    const { stdout: commit } = await git('rev-parse', 'HEAD')
    const { stdout: changes } = await git('status', '--porcelain', '--untracked-files=no')
    return commit.trim() + (changes.trim() ? ' with changes' : '')
  } catch {
    return null
  }
}
