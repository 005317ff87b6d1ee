// Asks pip which wheels a libtorch needs, and has pip download them. pip brings the user's own mirrors,
// certificates and proxies, and checks every file against the hash that the index gives.

import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeFolder } from '../make-folder.mjs'

/** Where the CPU wheels live that PyPI does not have. */
export const cpuIndex = 'https://download.pytorch.org/whl/cpu'
/** Where every CUDA wheel lives. */
const cudaIndex = 'https://download.pytorch.org/whl/cu130'

/** An error whose message is meant for the user. */
export class SetupError extends Error {}

/** Makes a folder of the cache. @throws SetupError */
export function makeCacheFolder(folder) {
  try {
    makeFolder(folder)
  } catch (error) {
    throw new SetupError(
      `The folder '${folder}' cannot be made (${error.code}); name another cache with LANDMARK_DIFFUSION_CACHE.`,
    )
  }
}

/** SHA-256 of a file, in hex, read as a stream. */
export async function sha256(file) {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}

/** The first Python on the PATH that has pip: { python, pip: [major, minor] }, or null. */
export function findPip() {
  for (const python of ['python3', 'python']) {
    const run = spawnSync(python, ['-m', 'pip', '--version'], { encoding: 'utf8', timeout: 30_000 })
    const version = run.status === 0 ? run.stdout.match(/^pip (\d+)\.(\d+)/) : null
    if (version) return { python, pip: [Number(version[1]), Number(version[2])] }
  }
  return null
}

function requirePip() {
  const found = findPip()
  if (!found)
    throw new SetupError(
      'Python 3 with pip is needed to fetch libtorch, and neither python3 nor python has it. ' +
        'Install python3-pip, or give a wheel or archive with --from FILE, or set LIBTORCH to a folder.',
    )
  if (found.pip[0] < 22 || (found.pip[0] === 22 && found.pip[1] < 2))
    throw new SetupError(
      `pip ${found.pip.join('.')} is too old; 22.2 or newer is needed. Run '${found.python} -m pip install --upgrade pip'.`,
    )
  return found
}

/** The last sentence of pip's complaint that says something. */
function pipReason(stderr) {
  const lines = stderr.split('\n').filter((line) => line.startsWith('ERROR:'))
  return (lines.at(-1) ?? stderr.trim().split('\n').at(-1) ?? '').replace(/^ERROR:\s*/, '').trim()
}

/**
 * Asks pip what it would install; nothing is changed.
 * @typedef {{ name: string, version: string, file: string, sha256: string | null }} Wheel
 * @returns {{ wheels: Wheel[] } | { problem: string, unknown: boolean }} `unknown`: pip found no version of it at all
 */
function resolveWheels(python, requirement, extra, withDependencies) {
  const folder = mkdtempSync(join(tmpdir(), 'landmark-diffusion-'))
  try {
    const report = join(folder, 'report.json')
    const words = [
      '-m',
      'pip',
      'install',
      '--dry-run',
      '--quiet',
      '--ignore-installed',
      '--only-binary=:all:',
    ]
    words.push(
      '--retries',
      '2',
      '--report',
      report,
      ...(withDependencies ? [] : ['--no-deps']),
      ...extra,
    )
    const run = spawnSync(python, [...words, requirement], { encoding: 'utf8', maxBuffer: 1 << 26 })
    const complaint = run.stderr ?? ''
    if (run.status !== 0)
      return {
        problem: pipReason(complaint) || `pip ended with status ${run.status}`,
        unknown: complaint.includes('(from versions: none)'),
      }
    const { install } = JSON.parse(readFileSync(report, 'utf8'))
    const wheels = install.map(({ metadata, download_info: info }) => ({
      name: metadata.name.toLowerCase(),
      version: metadata.version,
      file: decodeURIComponent(new URL(info.url).pathname.split('/').at(-1)),
      sha256: info.archive_info?.hashes?.sha256 ?? null,
    }))
    return { wheels }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * The ways to get a flavour, in order: pip's own configuration first, the PyTorch index where PyPI has no such wheel.
 * Where pip's places have 2.13.0+cpu beside PyPI's 2.13.0, `==2.13.0` means the first and `===2.13.0` the second.
 */
function candidates(version, flavour) {
  if (flavour === 'cuda')
    return ['==', '==='].map((equals) => ({ requirement: `torch${equals}${version}`, extra: [] }))
  const plain = { requirement: `torch==${version}`, extra: [] }
  const marked = { requirement: `torch==${version}+cpu`, extra: [] }
  // On macOS the plain wheel is the CPU one; on Linux it is the CUDA one.
  if (process.platform === 'darwin') return [plain]
  return [marked, { requirement: `torch==${version}+cpu`, extra: ['--index-url', cpuIndex] }]
}

/** pip download, with its progress shown; pip >= 25.1 continues a broken download by itself. */
function download(python, pip, wheels, extra, folder) {
  const resumes = pip[0] > 25 || (pip[0] === 25 && pip[1] >= 1)
  const words = ['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--dest', folder]
  words.push(
    '--disable-pip-version-check',
    ...(resumes ? ['--resume-retries', '20'] : []),
    ...extra,
  )
  // '===': not 2.13.0+cpu where 2.13.0 was found.
  words.push(...wheels.map(({ name, version }) => `${name}===${version}`))
  return new Promise((resolve, reject) => {
    const child = spawn(python, words, { stdio: ['ignore', 'pipe', 'pipe'] })
    let complaint = ''
    child.stdout.on('data', (text) => process.stderr.write(text))
    child.stderr.on('data', (text) => {
      complaint += text
    })
    child.on('error', reject)
    child.on('close', (status) => {
      if (status === 0) resolve()
      else
        reject(
          new SetupError(
            `pip could not download ${wheels[0].name} ${wheels[0].version}: ${pipReason(complaint)} ` +
              'Run the command again to go on; what is complete is kept.',
          ),
        )
    })
  })
}

/** Throws unless the file's hash is the one that is pinned here and the one that the index gave. */
async function verify(path, name, indexHash, pinned) {
  const actual = await sha256(path)
  for (const [expected, whose] of [
    [pinned[name], 'the hash pinned in scripts/libtorch/known-hashes.json'],
    [indexHash, 'the hash that the package index gives'],
  ])
    if (expected && expected !== actual) {
      rmSync(path, { force: true })
      throw new SetupError(
        `${name} is not the file it should be: its SHA-256 is ${actual}, ${whose} is ${expected}. It was removed.`,
      )
    }
  return actual
}

const isTorch = ({ name }) => name === 'torch'

/**
 * The wheels of the first version that pip can get in this flavour; nothing is downloaded yet.
 * @returns {{ wheels: Wheel[], extra: string[] }} the wheel of torch first, then NVIDIA's
 */
function findWheels(python, versions, flavour, say) {
  const problems = []
  search: for (const version of versions)
    for (const { requirement, extra } of candidates(version, flavour)) {
      const asked = `${requirement}${extra.length ? ` from ${extra[1]}` : ''}`
      say(`Asking pip for ${asked}`)
      const answer = resolveWheels(python, requirement, extra, flavour === 'cuda')
      if ('problem' in answer) {
        problems.push(`${asked}: ${answer.problem}`)
        if (flavour !== 'cuda') continue
        // No torch at all: older versions are not there either. No such version: `===` is no wider than `==`.
        if (answer.unknown) break search
        break
      }
      const nvidia = answer.wheels.filter(({ name }) => name.startsWith('nvidia-'))
      const torch = answer.wheels.find(isTorch)
      if (flavour !== 'cuda' || nvidia.length > 0 || /\+cu\d/.test(torch.version))
        return { wheels: [torch, ...nvidia], extra }
      problems.push(`${asked}: pip would take ${torch.file}, which needs no CUDA`)
    }
  const names = versions.join(', ')
  const index =
    flavour === 'cuda'
      ? `name a place that has CUDA wheels (PIP_EXTRA_INDEX_URL=${cudaIndex}), another version with --version, `
      : ''
  throw new SetupError(
    `No wheel of torch ${names} (${flavour}) could be found:\n  ${problems.join('\n  ')}\n` +
      `Check the network and the version, ${index}give a wheel or archive with --from FILE, or set LIBTORCH to a folder.`,
  )
}

/**
 * Fetches the wheels of a libtorch into `folder` and verifies them.
 * @param {{ versions: string[], flavour: 'cpu' | 'cuda', folder: string, pinned: Record<string, string>, say: (line: string) => void }} options
 *   the first of `versions` that pip can get is taken
 * @returns {Promise<{ path: string, name: string, sha256: string, verifiedBy: string }[]>} the wheel of torch first
 */
export async function fetchWheels({ versions, flavour, folder, pinned, say }) {
  const { python, pip } = requirePip()
  const { wheels, extra } = findWheels(python, versions, flavour, say)
  makeCacheFolder(folder)
  const missing = []
  for (const wheel of wheels) {
    const path = join(folder, wheel.file)
    if (existsSync(path) && wheel.sha256 && (await sha256(path)) === wheel.sha256) continue
    rmSync(path, { force: true })
    missing.push(wheel)
  }
  if (missing.length > 0) {
    say(`Downloading ${missing.map(({ file }) => file).join(', ')}`)
    await download(python, pip, missing, extra, folder)
  }
  const fetched = []
  for (const { file, sha256: indexHash } of wheels) {
    const path = join(folder, file)
    if (!existsSync(path))
      throw new SetupError(`pip said that it downloaded ${file}, but ${path} is not there.`)
    const actual = await verify(path, file, indexHash, pinned)
    const verifiedBy = pinned[file] ? 'pinned' : indexHash ? 'index' : 'none'
    fetched.push({ path, name: file, sha256: actual, verifiedBy })
  }
  return fetched
}
