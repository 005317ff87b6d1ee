// Brings a bare clone to the point where the package runs: npm packages, libtorch, native build, TypeScript.
// Plain Node without dependencies, because nothing is installed when it starts. Each step is skipped when its
// inputs have not changed since it last ran, so `npm test` and `npm run quickstart` call it every time.
//
//   node scripts/bootstrap.mjs              everything
//   node scripts/bootstrap.mjs build        native and TypeScript: what `npm run build` means
//   node scripts/bootstrap.mjs packages typescript

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compareVersions, findLibtorch } from './libtorch/find.mjs'
import { findPip } from './libtorch/pip.mjs'
import { SetupError, setupLibtorch } from './libtorch/setup.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const oldestNode = '20.17.0'
const oldestCmake = '3.21'

/** A step failed; the message is for the user. */
export class BootstrapError extends Error {}

const read = (...parts) => readFileSync(join(root, ...parts))
const json = (...parts) => JSON.parse(read(...parts).toString())

/** Files below a folder of the clone, sorted, as paths relative to the clone; [] where there is no such folder. */
function filesBelow(folder) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
    .sort()
}

/** SHA-256 over names and contents of files, and over further words. */
function fingerprint(files, words) {
  const hash = createHash('sha256')
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(existsSync(join(root, file)) ? read(file) : '')
      .update('\0')
  for (const word of words) hash.update(`${word}\0`)
  return hash.digest('hex')
}

function stampIs(stamp, value) {
  return existsSync(join(root, stamp)) && read(stamp).toString().trim() === value
}

function writeStamp(stamp, value) {
  mkdirSync(dirname(join(root, stamp)), { recursive: true })
  writeFileSync(join(root, stamp), `${value}\n`)
}

/** Runs a program in the clone with its output shown; throws when it fails. */
function run(command, words, env = {}) {
  const result = spawnSync(command, words, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  if (result.error)
    throw new BootstrapError(`'${command}' could not be started: ${result.error.message}`)
  if (result.status !== 0)
    throw new BootstrapError(
      `'${command} ${words.join(' ')}' failed${result.status === null ? '' : ` with status ${result.status}`}; its own message is above.`,
    )
}

/** First line of `command --version`, or null where it cannot be run. */
function versionLine(command) {
  const result = spawnSync(command, ['--version'], { encoding: 'utf8', timeout: 30_000 })
  return result.status === 0 ? result.stdout.split('\n', 1)[0] : null
}

/** What the machine lacks for the steps ahead; one sentence each. */
function missingTools({ native, libtorch }) {
  const missing = []
  if (native) {
    const cmake = versionLine('cmake')?.match(/(\d+\.\d+)/)?.[1]
    if (!cmake)
      missing.push(`CMake ${oldestCmake} or newer is missing (Debian, Ubuntu: apt install cmake).`)
    else if (compareVersions(cmake, oldestCmake) < 0)
      missing.push(`CMake ${cmake} is too old; ${oldestCmake} or newer is needed.`)
    const compilers = [process.env.CXX, 'c++', 'g++', 'clang++'].filter(Boolean)
    const compiler = compilers
      .map((name) => versionLine(name.split(' ')[0]))
      .find((line) => line !== null)
    const gcc = compiler?.match(/^(?:g\+\+|c\+\+).*?(\d+)\.\d+\.\d+/)?.[1]
    if (!compiler) missing.push('A C++20 compiler is missing (Debian, Ubuntu: apt install g++).')
    else if (gcc && Number(gcc) < 11)
      missing.push(`g++ ${gcc} is too old for C++20; 11 or newer is needed.`)
    if (!['make', 'ninja', 'gmake'].some((name) => versionLine(name) !== null))
      missing.push('make or ninja is missing (Debian, Ubuntu: apt install make).')
  }
  if (libtorch && !findPip())
    missing.push(
      'Python 3 with pip is missing, and there is no libtorch yet (Debian, Ubuntu: apt install python3-pip; or set LIBTORCH to a libtorch folder).',
    )
  return missing
}

/** True when node_modules holds exactly what package-lock.json asks for, by npm's own record of what it installed. */
function packagesAreCurrent() {
  const record = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(record)) return false
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages
  const locked = json('package-lock.json').packages
  return Object.entries(locked).every(
    ([path, { version, optional, link }]) =>
      path === '' || link || installed[path]?.version === version || (optional && !installed[path]),
  )
}

function nativeFingerprint(libtorch) {
  const sources = [...filesBelow('native'), 'CMakeLists.txt']
  const words = [
    libtorch.root,
    libtorch.fullVersion,
    JSON.stringify(json('package.json').binary ?? {}),
    process.arch,
  ]
  return fingerprint(sources, words)
}

function typescriptFingerprint() {
  const sources = [...filesBelow('lib'), 'tsconfig.json']
  return fingerprint(sources, [json('node_modules', 'typescript', 'package.json').version])
}

/** Compilers at once. A translation unit with libtorch's headers takes about 2 GB of memory. */
export function buildJobs() {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / 2 ** 31)))
}

/** Compiled files whose source is gone would hide a broken import. */
function removeOrphans() {
  for (const file of filesBelow('dist')) {
    const source = file.replace(/^dist/, 'lib').replace(/(\.d)?\.[mc]?[jt]s(\.map)?$/, '.ts')
    if (source.endsWith('.ts') && !existsSync(join(root, source))) rmSync(join(root, file))
  }
}

const nativeStamp = join('build', 'bootstrap.stamp')
const typescriptStamp = join('dist', 'bootstrap.stamp')

/** Every step: is it done already, and how it is done. In this order. */
const steps = {
  packages: {
    title: 'npm packages',
    isDone: packagesAreCurrent,
    perform: () => run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']),
  },
  libtorch: {
    title: 'libtorch',
    isDone: () => findLibtorch().found !== null,
    perform: async (say) => {
      const { libtorch } = await setupLibtorch({ say })
      say(`libtorch ${libtorch.fullVersion} is in ${libtorch.root}`)
    },
  },
  native: {
    title: 'native build',
    isDone: () => {
      const { found } = findLibtorch()
      const built = filesBelow(join('build', 'Release')).some((file) => file.endsWith('.node'))
      return found !== null && built && stampIs(nativeStamp, nativeFingerprint(found))
    },
    perform: () => {
      const { found } = findLibtorch()
      if (!found)
        throw new BootstrapError("There is no libtorch to build with; run 'npm run setup' first.")
      run('npm', ['run', '--silent', 'build:native'], {
        CMAKE_BUILD_PARALLEL_LEVEL: String(buildJobs()),
      })
      writeStamp(nativeStamp, nativeFingerprint(found))
    },
  },
  typescript: {
    title: 'TypeScript',
    isDone: () => stampIs(typescriptStamp, typescriptFingerprint()),
    perform: () => {
      const value = typescriptFingerprint()
      removeOrphans()
      run('npm', ['run', '--silent', 'build:ts'])
      writeStamp(typescriptStamp, value)
    },
  },
}

/**
 * Performs the named steps that are not done yet.
 * @param {(keyof typeof steps)[]} names
 * @param {(line: string) => void} say
 */
export async function bootstrap(names = Object.keys(steps), say = (line) => console.error(line)) {
  if (compareVersions(process.versions.node, oldestNode) < 0)
    throw new BootstrapError(
      `Node ${process.versions.node} is too old; ${oldestNode} or newer is needed.`,
    )
  const needsLibtorch = names.includes('libtorch') && !steps.libtorch.isDone()
  const needsNative = names.includes('native') && !steps.native.isDone()
  const missing = missingTools({ native: needsNative, libtorch: needsLibtorch })
  if (missing.length > 0) throw new BootstrapError(missing.join('\n'))
  const ordered = Object.keys(steps).filter((name) => names.includes(name))
  for (const [index, name] of ordered.entries()) {
    const { title, isDone, perform } = steps[name]
    if (isDone()) continue
    const began = performance.now()
    say(`[${index + 1}/${ordered.length}] ${title} ...`)
    await perform(say)
    say(
      `[${index + 1}/${ordered.length}] ${title}: done in ${((performance.now() - began) / 1000).toFixed(0)} s`,
    )
  }
}

const usage = `Usage: node scripts/bootstrap.mjs [step...]

Steps: ${Object.keys(steps).join(', ')}; 'build' means native and typescript. Default: all of them.
A step whose inputs have not changed is skipped.

Example:
  node scripts/bootstrap.mjs packages typescript`

async function main(words) {
  if (words.includes('--help') || words.includes('-h')) {
    console.log(usage)
    return 0
  }
  const names = words.flatMap((word) => (word === 'build' ? ['native', 'typescript'] : [word]))
  const unknown = names.find((name) => !Object.hasOwn(steps, name))
  if (unknown !== undefined) {
    console.error(`There is no step '${unknown}'.\n\n${usage}`)
    return 2
  }
  try {
    await bootstrap(names.length > 0 ? names : undefined)
    return 0
  } catch (error) {
    const expected = error instanceof BootstrapError || error instanceof SetupError
    console.error(expected ? error.message : error)
    return 1
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  process.exitCode = await main(process.argv.slice(2))
