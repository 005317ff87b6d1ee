/**
 * Finds and loads the native addon, at the first tensor and not before: `import` loads no libtorch.
 * Each way in which loading fails becomes one error that says what was looked at and which command mends it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LandmarkDiffusionError } from '../errors.js'
import { type MakeError, type Native, type RunCallback, scratch } from './native.js'

const require = createRequire(import.meta.url)

/** Folder of the package: this file is dist/torch/addon.js. */
const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

export interface Addon {
  readonly native: Native
  readonly words: Uint32Array
  readonly numbers: Float64Array
}

let loaded: Addon | undefined
let makeError: MakeError = (_kind, op, inputs, message) => new Error(`${op}(${inputs}): ${message}`)

/** Sets how a failed op becomes an error; called once by the module that keeps the traces. */
export function onFailure(make: MakeError): void {
  makeError = make
}

interface Callbacks {
  readonly run: RunCallback
  readonly release: (callbacks: readonly number[]) => void
}

let callbacks: Callbacks | undefined

/** Sets how callbacks are run and let go; called once by the module that keeps them. */
export function onCallback(keeper: Callbacks): void {
  callbacks = keeper
}

/** The addon, loaded on the first call. Throws ERR_ADDON_LOAD or ERR_LIBTORCH_MISMATCH. */
export function addon(): Addon {
  loaded ??= open()
  return loaded
}

function open(): Addon {
  const native = load()
  refuseOtherLibtorch(native)
  native.start(
    (...failure) => makeError(...failure),
    (...call) => (callbacks as Callbacks).run(...call),
    (released) => callbacks?.release(released),
  )
  return { native, words: new Uint32Array(native.words), numbers: new Float64Array(native.numbers) }
}

function load(): Native {
  try {
    const { resolve } = require('node-gyp-build') as { resolve(folder: string): string }
    // Not by require: its cache would give a second copy of this module, in the same thread, the same
    // queue and tensor ids. Loaded like this, each copy has its own.
    const module = { exports: {} }
    process.dlopen(module, resolve(packageRoot))
    return module.exports as Native
  } catch (cause) {
    throw new LandmarkDiffusionError('ERR_ADDON_LOAD', explain(String(cause)), { cause })
  }
}

function explain(reason: string): string {
  const looked = ['build/Release', 'build/Debug', `prebuilds/${process.platform}-${process.arch}`]
    .map((folder) => join(packageRoot, folder))
    .join(', ')
  let remedy = 'Run `npm run build` in the package (after `npm run setup`, which fetches libtorch).'
  if (/libtorch|libc10|cannot open shared object file/.test(reason)) {
    remedy =
      'The libtorch that it was built with is gone or incomplete: run `npm run setup` and `npm run build` again.'
  } else if (/GLIBCXX|GLIBC_/.test(reason)) {
    remedy =
      'It was built on a newer system: run `npm run build` on this one (Linux with glibc is supported).'
  } else if (/undefined symbol/.test(reason)) {
    remedy =
      'It was built for another libtorch version: run `npm run build` for the one that is here.'
  } else if (/static TLS/.test(reason)) {
    remedy = 'Another library used up the static TLS: load landmark-diffusion first.'
  }
  return `the native addon did not load. Looked in ${looked}. ${remedy} Reason: ${firstLine(reason)}`
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text
}

/** One build belongs to one minor version; the library found at run time must be of it. */
function refuseOtherLibtorch(native: Native): void {
  const built = native.versions().libtorch
  const stamp = join(packageRoot, 'build', 'libtorch.txt')
  if (!existsSync(stamp)) return
  const versionFile = join(readFileSync(stamp, 'utf8').trim(), 'version.py')
  if (!existsSync(versionFile)) return
  const found = /__version__ = '([^'+]+)/.exec(readFileSync(versionFile, 'utf8'))?.[1]
  const minor = (version: string) => version.split('.').slice(0, 2).join('.')
  if (found !== undefined && minor(found) !== minor(built)) {
    throw new LandmarkDiffusionError(
      'ERR_LIBTORCH_MISMATCH',
      `the addon was built with libtorch ${built}, but ${dirname(versionFile)} now holds ${found}. Run \`npm run build\` again.`,
    )
  }
}

/**
 * Counts who wrote to the scratch memory. Reading an argument may run JavaScript of others (a getter, a proxy)
 * that calls operators itself: a changed count tells a half-written op that its words are not its own any more.
 */
export const scratchUse = { count: 0 }

/** Writes the head of an op into the memory shared with the addon; ids follow at `scratch.ids`. */
export function writeHead(
  words: Uint32Array,
  site: number,
  mode: number,
  trace: number,
  inputs: number,
  numbers: number,
  outputs: number,
): void {
  words[scratch.site] = site
  words[scratch.mode] = mode
  words[scratch.trace] = trace
  words[scratch.inputs] = inputs
  words[scratch.numbers] = numbers
  words[scratch.outputs] = outputs
}
