// Puts a libtorch into the cache: fetched by pip or taken from a local file, verified by SHA-256, unpacked beside
// its final place and renamed, so that an interrupted run leaves nothing half done. Used by `npm run setup` before
// anything is built, and by the command `landmark-diffusion setup`.

import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  cacheFolder,
  compareVersions,
  cudaVersions,
  findLibtorch,
  inspect,
  oldestVersion,
  preferredVersion,
} from './find.mjs'
import { fetchWheels, findPip, makeCacheFolder, SetupError, sha256 } from './pip.mjs'

export { SetupError } from './pip.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

/** SHA-256 of wheels whose hash is known beforehand, by file name. */
const pinned = JSON.parse(readFileSync(join(here, 'known-hashes.json'), 'utf8'))

/**
 * @typedef {object} SetupOptions
 * @property {string} [version]  default: the preferred version; with `cuda` the newest that pip can get
 * @property {boolean} [cuda]    the CUDA flavour
 * @property {string} [from]     a local wheel of torch, or an official libtorch zip
 * @property {string} [sha256]   the hash that the file of `from` must have
 * @property {boolean} [force]   fetch even if one is there
 * @property {NodeJS.ProcessEnv} [env]
 * @property {(line: string) => void} [say]
 */

/** Runs unpack.py; rejects with its sentence. */
function unpack(archives, target, say) {
  const python = findPip()?.python ?? 'python3'
  return new Promise((done, fail) => {
    const child = spawn(python, [join(here, 'unpack.py')], { stdio: ['pipe', 'pipe', 'pipe'] })
    let complaint = ''
    let shown = 0
    child.stdout.on('data', (text) => {
      const [written, total] = String(text).trim().split('\n').at(-1).split(' ').map(Number)
      const percent = Math.floor((100 * written) / total)
      if (percent >= shown + 25) {
        shown = percent - (percent % 25)
        say(`Unpacking: ${shown}% of ${Math.round(total / 2 ** 20)} MiB`)
      }
    })
    child.stderr.on('data', (text) => {
      complaint += text
    })
    child.on('error', () =>
      fail(
        new SetupError(
          'Python 3 is needed to unpack libtorch, and there is no python3 on the PATH.',
        ),
      ),
    )
    child.on('close', (status) => {
      const names = archives.map((path) => basename(path)).join(', ')
      if (status === 0) done()
      else
        fail(new SetupError(`${names} cannot be unpacked: ${complaint.trim().split('\n').at(-1)}.`))
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(JSON.stringify({ archives, target }))
  })
}

/** What killed runs left behind; an hour is longer than any unpacking takes. */
function removeAbandoned(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const old = Date.now() - statSync(path).mtimeMs > 3_600_000
    if (name.startsWith('.unpacking-') && old) rmSync(path, { recursive: true, force: true })
  }
}

/** Unpacks into a temporary folder of the cache, checks what came out, and renames it to its place. */
async function install(files, expected, env, say) {
  const folder = join(cacheFolder(env), 'libtorch')
  makeCacheFolder(folder)
  removeAbandoned(folder)
  const temporary = mkdtempSync(join(folder, '.unpacking-'))
  try {
    await unpack(
      files.map(({ path }) => path),
      temporary,
      say,
    )
    const torch = inspect(join(temporary, 'torch'))
    if ('problem' in torch)
      throw new SetupError(`${files[0].name} holds no usable libtorch: ${torch.problem}.`)
    if (expected.version && compareVersions(torch.version, expected.version) !== 0)
      throw new SetupError(
        `${files[0].name} is version ${torch.version}, but ${expected.version} was asked for.`,
      )
    if (expected.cuda && !/^cu/.test(torch.flavour))
      throw new SetupError(
        `${files[0].name} is the ${torch.flavour} flavour, but CUDA was asked for. Name a CUDA wheel, or leave out --cuda.`,
      )
    const manifest = {
      version: torch.version,
      flavour: torch.flavour,
      files: files.map(({ name, sha256, verifiedBy }) => ({ name, sha256, verifiedBy })),
    }
    writeFileSync(join(temporary, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
    const place = join(folder, `${torch.version}-${torch.flavour}`)
    rmSync(place, { recursive: true, force: true })
    renameSync(temporary, place)
    return join(place, 'torch')
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}

async function localFile(path, wanted) {
  const file = resolve(path)
  if (!existsSync(file) || !statSync(file).isFile())
    throw new SetupError(`There is no file '${path}' to take libtorch from.`)
  const name = basename(file)
  const actual = await sha256(file)
  const expected = wanted ?? pinned[name]
  if (expected && expected.toLowerCase() !== actual)
    throw new SetupError(
      `${name} is not the file it should be: its SHA-256 is ${actual}, expected was ${expected.toLowerCase()}.`,
    )
  return {
    path: file,
    name,
    sha256: actual,
    verifiedBy: wanted ? 'argument' : expected ? 'pinned' : 'none',
  }
}

/** What is in the cache already of these versions, the first before the others, or null. */
function inCache({ versions, cuda, env }) {
  const folder = join(cacheFolder(env), 'libtorch')
  const names = existsSync(folder) ? readdirSync(folder) : []
  for (const version of versions) {
    const start = `${version}-${cuda ? 'cu' : 'cpu'}`
    for (const name of names.filter((other) => other.startsWith(start))) {
      const place = join(folder, name)
      if (!existsSync(join(place, 'manifest.json'))) continue
      const torch = inspect(join(place, 'torch'))
      if (!('problem' in torch)) return { ...torch, source: 'cache', detail: place }
    }
  }
  return null
}

/**
 * Makes sure that a libtorch is there. Without a version, any that the build would find is enough; with `cuda`, any
 * that is a CUDA one.
 * @param {SetupOptions} options
 * @returns {Promise<{ libtorch: import('./find.mjs').Libtorch, fetched: boolean }>}
 */
export async function setupLibtorch(options = {}) {
  const { cuda = false, from, force = false, env = process.env, say = () => undefined } = options
  if (options.version !== undefined && !/^\d+\.\d+\.\d+$/.test(options.version))
    throw new SetupError(`'${options.version}' is not a version such as ${preferredVersion}.`)
  if (options.version !== undefined && compareVersions(options.version, oldestVersion) < 0)
    throw new SetupError(
      `Version ${options.version} is too old; ${oldestVersion} or newer is needed.`,
    )
  if (cuda && process.platform === 'darwin')
    throw new SetupError('There is no torch with CUDA for macOS; leave out --cuda.')
  if (options.version === undefined && from === undefined && !force) {
    const { found, looked } = findLibtorch(env)
    if (found && (!cuda || /^cu/.test(found.flavour))) return { libtorch: found, fetched: false }
    // A LIBTORCH that is wrong would hide whatever is fetched.
    if (!found && env.LIBTORCH)
      throw new SetupError(
        `LIBTORCH is set to '${env.LIBTORCH}', but ${looked[0].reason}. Correct it or unset it.`,
      )
  }
  const versions = options.version ? [options.version] : cuda ? cudaVersions : [preferredVersion]
  const downloads = join(cacheFolder(env), 'downloads')
  let root
  if (from !== undefined) {
    const file = await localFile(from, options.sha256)
    if (file.verifiedBy === 'none')
      say(`No hash is known for ${file.name}; its SHA-256 is ${file.sha256}.`)
    root = await install([file], { version: options.version, cuda }, env, say)
  } else {
    const present = force ? null : inCache({ versions, cuda, env })
    if (present) return { libtorch: present, fetched: false }
    const flavour = cuda ? 'cuda' : 'cpu'
    const files = await fetchWheels({ versions, flavour, folder: downloads, pinned, say })
    for (const { name, sha256: hash, verifiedBy } of files)
      say(`Verified ${name}: SHA-256 ${hash} (${verifiedBy})`)
    root = await install(files, { version: options.version, cuda }, env, say)
    for (const { path } of files) rmSync(path, { force: true })
  }
  const torch = inspect(root)
  return { libtorch: { ...torch, source: 'cache', detail: resolve(root, '..') }, fetched: true }
}

/** A sentence for the case that the build will use another libtorch than the one that was just fetched. */
export function precedenceNote(libtorch, env = process.env) {
  const { found } = findLibtorch(env)
  if (!found || found.root === libtorch.root) return null
  const why =
    found.source === 'cache'
      ? 'it comes first in the cache'
      : `${found.source} comes before the cache`
  return `Note: the build takes ${found.root} (${found.fullVersion}), because ${why}. Set LIBTORCH=${libtorch.root} for this one.`
}

export const usage = `Usage: npm run setup -- [options]

Makes sure that a libtorch is there. Looks at LIBTORCH, at a Python on the PATH that has torch, and at the
cache; where there is none, pip fetches the wheel of torch and its libraries are unpacked into the cache
(${'~/.cache/landmark-diffusion'}, or XDG_CACHE_HOME, or LANDMARK_DIFFUSION_CACHE).

Options:
  --version X.Y.Z  which torch (default ${preferredVersion})
  --cuda           the CUDA flavour, with the NVIDIA libraries that it needs (several GB); without --version the
                   first that pip can get of ${cudaVersions.join(', ')}
  --from FILE      a local wheel of torch, or an official libtorch zip, instead of pip
  --sha256 HEX     the hash that the file of --from must have
  --force          fetch even if one is there
  --json           print the result as JSON
  -h, --help       show this help

Examples:
  npm run setup
  npm run setup -- --cuda
  npm run setup -- --version 2.11.0 --cuda
  npm run setup -- --from ~/Downloads/torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl`

/** The command line of `npm run setup`; returns the exit status. */
export async function main(words) {
  let values
  try {
    values = parseArgs({
      args: words,
      options: {
        version: { type: 'string' },
        cuda: { type: 'boolean' },
        from: { type: 'string' },
        sha256: { type: 'string' },
        force: { type: 'boolean' },
        json: { type: 'boolean' },
        debug: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`)
    return 2
  }
  if (values.help) {
    console.log(usage)
    return 0
  }
  try {
    const { libtorch, fetched } = await setupLibtorch({
      ...values,
      say: (line) => console.error(line),
    })
    if (values.json) console.log(JSON.stringify({ ...libtorch, fetched }, null, 2))
    else
      console.log(
        `libtorch ${libtorch.version} (${libtorch.flavour}) ${fetched ? 'is now in' : 'is already in'} ${libtorch.root}`,
      )
    const note = precedenceNote(libtorch)
    if (note) console.error(note)
    return 0
  } catch (error) {
    console.error(error instanceof SetupError && !values.debug ? error.message : error)
    return 1
  }
}
