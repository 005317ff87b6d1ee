// Finds libtorch: the LIBTORCH variable, then a Python on the PATH that has torch, then the cache that
// `npm run setup` fills. Plain Node without dependencies, because CMake asks it before anything is built:
// `node scripts/libtorch/find.mjs` prints the folder, with `--json` all about it, or fails with one sentence a place.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The version that `setup` fetches and that every test runs against. */
export const preferredVersion = '2.13.0'
/** Versions whose wheel on PyPI is a CUDA one, best first: the first that pip can get is what `setup --cuda` fetches. */
export const cudaVersions = [preferredVersion, '2.12.1', '2.11.0']
/** The oldest minor version that the native sources compile with. */
export const oldestVersion = '2.11'

/**
 * @typedef {object} Libtorch
 * @property {string} root      folder that holds lib/, include/ and share/cmake/Torch
 * @property {string} version   e.g. '2.13.0', without the local part
 * @property {string} fullVersion  e.g. '2.13.0+cpu'
 * @property {string} flavour   'cpu', 'cu130', 'rocm6.4', ...
 * @property {'LIBTORCH' | 'python' | 'cache'} source
 * @property {string} detail    the variable, interpreter or cache folder that led here
 * @property {string} lib
 * @property {string} include
 * @property {string} cmake     folder of TorchConfig.cmake
 * @property {boolean} cxx11abi whether it was compiled with the new libstdc++ ABI
 */

/**
 * @typedef {object} Search
 * @property {Libtorch | null} found
 * @property {{ source: string, place: string, reason: string }[]} looked  the places that held none, and why
 */

/** Where downloaded libtorch folders live; outside the clone, so that every clone shares them. */
export function cacheFolder(env = process.env) {
  if (env.LANDMARK_DIFFUSION_CACHE) return resolve(env.LANDMARK_DIFFUSION_CACHE)
  const base = env.XDG_CACHE_HOME ? resolve(env.XDG_CACHE_HOME) : join(homedir(), '.cache')
  return join(base, 'landmark-diffusion')
}

/** -1, 0 or 1; compares dotted numbers and ignores anything after '+'. */
export function compareVersions(a, b) {
  const numbers = (text) =>
    text
      .split('+')[0]
      .split('.')
      .map((part) => Number.parseInt(part, 10) || 0)
  const [x, y] = [numbers(a), numbers(b)]
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0)
    if (difference !== 0) return Math.sign(difference)
  }
  return 0
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

/** '2.13.0+cpu' of a libtorch folder: a wheel says it in version.py, an official archive in build-version. */
function readVersion(root) {
  const python = readText(join(root, 'version.py'))?.match(/^__version__\s*=\s*['"]([^'"]+)['"]/m)
  return python?.[1] ?? readText(join(root, 'build-version'))?.trim() ?? null
}

function readFlavour(root, fullVersion) {
  const local = fullVersion.split('+')[1]
  if (local && /^(cpu|cu\d+|rocm[\d.]+|xpu)/.test(local))
    return local.match(/^(cpu|cu\d+|rocm[\d.]+|xpu)/)[0]
  const cuda = readText(join(root, 'version.py'))?.match(/^cuda\b[^=]*=\s*['"](\d+)\.(\d+)/m)
  if (cuda) return `cu${cuda[1]}${cuda[2]}`
  return existsSync(join(root, 'lib', 'libtorch_cuda.so')) ? 'cuda' : 'cpu'
}

/**
 * Describes the libtorch in a folder.
 * @returns {Omit<Libtorch, 'source' | 'detail'> | { problem: string }}
 */
export function inspect(folder) {
  if (!existsSync(folder)) return { problem: 'the folder does not exist' }
  if (!statSync(folder).isDirectory()) return { problem: 'it is not a folder' }
  const root = realpathSync(folder)
  const needed = [
    ['lib', ['libtorch_cpu.so', 'libtorch_cpu.dylib', 'torch_cpu.dll']],
    ['lib', ['libc10.so', 'libc10.dylib', 'c10.dll']],
    ['include', ['ATen/ATen.h']],
    ['share/cmake/Torch', ['TorchConfig.cmake']],
  ]
  for (const [part, names] of needed)
    if (!names.some((name) => existsSync(join(root, part, name))))
      return { problem: `it has no ${part}/${names[0]}, so it is not a (complete) libtorch` }
  const fullVersion = readVersion(root)
  if (!fullVersion)
    return { problem: 'it has neither version.py nor build-version, so its version is unknown' }
  const version = fullVersion.split('+')[0]
  if (compareVersions(version, oldestVersion) < 0)
    return { problem: `it is version ${fullVersion}; ${oldestVersion} or newer is needed` }
  const flags = readText(join(root, 'share/cmake/Torch/TorchConfig.cmake')) ?? ''
  return {
    root,
    version,
    fullVersion,
    flavour: readFlavour(root, fullVersion),
    lib: join(root, 'lib'),
    include: join(root, 'include'),
    cmake: join(root, 'share', 'cmake', 'Torch'),
    cxx11abi: !/_GLIBCXX_USE_CXX11_ABI=0/.test(flags),
  }
}

/** Asks an interpreter where its torch lies, without importing it (an import takes seconds). */
function pythonTorch(interpreter) {
  const script =
    "import importlib.util as u; s = u.find_spec('torch'); " +
    "print(list(s.submodule_search_locations or [''])[0] if s else '')"
  const run = spawnSync(interpreter, ['-c', script], {
    encoding: 'utf8',
    timeout: 20_000,
    stdio: ['ignore', 'pipe', 'ignore'],
    // A folder named torch beside the caller is not an installed torch.
    env: { ...process.env, PYTHONSAFEPATH: '1' },
  })
  return run.status === 0 ? run.stdout.trim() : ''
}

function pythonsOnPath(env) {
  const found = []
  for (const name of ['python3', 'python'])
    for (const folder of (env.PATH ?? '').split(delimiter)) {
      const candidate = join(folder, name)
      if (folder && existsSync(candidate)) {
        found.push(candidate)
        break
      }
    }
  return found
}

/** Folders of the cache that hold a finished libtorch, best first: preferred version, newest, CUDA before CPU. */
function cached(env) {
  const folder = join(cacheFolder(env), 'libtorch')
  if (!existsSync(folder)) return { folder, entries: [] }
  const entries = readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'manifest.json')))
    .map((name) => ({ name, torch: inspect(join(folder, name, 'torch')) }))
  const preference = ({ torch }) => (torch.version === preferredVersion ? 1 : 0)
  entries.sort((a, b) => {
    if (a.torch.problem || b.torch.problem)
      return (a.torch.problem ? 1 : 0) - (b.torch.problem ? 1 : 0)
    return (
      preference(b) - preference(a) ||
      compareVersions(b.torch.version, a.torch.version) ||
      (a.torch.flavour === 'cpu' ? 1 : 0) - (b.torch.flavour === 'cpu' ? 1 : 0)
    )
  })
  return { folder, entries }
}

/**
 * Looks at every place in order. A LIBTORCH that is set and wrong ends the search: the user asked for that one.
 * @returns {Search}
 */
export function findLibtorch(env = process.env) {
  const looked = []
  if (env.LIBTORCH) {
    const torch = inspect(resolve(env.LIBTORCH))
    if (!('problem' in torch))
      return { found: { ...torch, source: 'LIBTORCH', detail: env.LIBTORCH }, looked }
    looked.push({ source: 'LIBTORCH', place: env.LIBTORCH, reason: torch.problem })
    return { found: null, looked }
  }
  looked.push({ source: 'LIBTORCH', place: 'environment variable', reason: 'it is not set' })

  const pythons = pythonsOnPath(env)
  if (pythons.length === 0)
    looked.push({ source: 'python', place: 'PATH', reason: 'there is no python3 and no python' })
  const seen = new Set()
  for (const interpreter of pythons) {
    const root = pythonTorch(interpreter)
    if (root && seen.has(root)) continue
    seen.add(root)
    if (!root) {
      looked.push({ source: 'python', place: interpreter, reason: 'it has no torch' })
      continue
    }
    const torch = inspect(root)
    if (!('problem' in torch))
      return { found: { ...torch, source: 'python', detail: interpreter }, looked }
    looked.push({ source: 'python', place: root, reason: torch.problem })
  }

  const { folder, entries } = cached(env)
  for (const { name, torch } of entries) {
    if (!('problem' in torch))
      return { found: { ...torch, source: 'cache', detail: join(folder, name) }, looked }
    looked.push({ source: 'cache', place: join(folder, name), reason: torch.problem })
  }
  if (entries.length === 0)
    looked.push({ source: 'cache', place: folder, reason: 'nothing has been set up there' })
  return { found: null, looked }
}

/** One sentence a place that was tried, and the command that mends it. */
export function explainMissing(looked) {
  const explicit = looked.length === 1 && looked[0].place !== 'environment variable'
  const lines = looked.map(({ source, place, reason }) => `  ${source}: ${place}: ${reason}`)
  const remedy = explicit
    ? 'Set LIBTORCH to a folder with lib, include and share, or unset it.'
    : "Run 'npm run setup' to fetch one, or set LIBTORCH to a folder with lib, include and share."
  return `No usable libtorch was found. Looked at:\n${lines.join('\n')}\n${remedy}`
}

const usage = `Usage: node scripts/libtorch/find.mjs [--json]

Prints the folder of the libtorch that the build will use, or all about it as JSON. Order: LIBTORCH, a Python with torch on the PATH, the cache.

Examples:
  node scripts/libtorch/find.mjs --json
  LIBTORCH=/path/to/libtorch node scripts/libtorch/find.mjs`

function main(argv) {
  if (argv.includes('--help') || argv.includes('-h')) {
    console.log(usage)
    return 0
  }
  const unknown = argv.find((word) => word !== '--json')
  if (unknown !== undefined) {
    console.error(`Unknown argument '${unknown}'.\n\n${usage}`)
    return 2
  }
  const { found, looked } = findLibtorch()
  if (!found) {
    console.error(explainMissing(looked))
    return 1
  }
  console.log(argv.includes('--json') ? JSON.stringify(found) : found.root)
  return 0
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  process.exitCode = main(process.argv.slice(2))
