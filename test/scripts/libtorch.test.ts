/** Finding and fetching libtorch, with small made-up libtorch folders and archives. */

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const script = (name: string): string =>
  fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url))
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'libtorch-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

/** The files by which a libtorch is recognised. */
const parts = (version: string): Record<string, string> => ({
  'lib/libtorch_cpu.so': 'library',
  'lib/libc10.so': 'library',
  'include/ATen/ATen.h': '// header',
  'share/cmake/Torch/TorchConfig.cmake': 'set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI=1")',
  'version.py': `__version__ = '${version}'\n`,
})

function makeLibtorch(root: string, version: string): string {
  for (const [name, text] of Object.entries(parts(version))) put(join(root, name), text)
  return root
}

/** A zip made by Python, with the given members. */
function makeZip(name: string, members: Record<string, string>): string {
  const path = join(folder, name)
  const code =
    'import json,sys,zipfile\nwith zipfile.ZipFile(sys.argv[1],"w") as z:\n for n,t in json.load(sys.stdin).items(): z.writestr(n,t)'
  const made = spawnSync('python3', ['-c', code, path], {
    input: JSON.stringify(members),
    encoding: 'utf8',
  })
  expect(made.stderr).toBe('')
  return path
}

const wheelOf = (version: string, extra: Record<string, string> = {}): Record<string, string> => ({
  ...Object.fromEntries(
    Object.entries(parts(version)).map(([name, text]) => [`torch/${name}`, text]),
  ),
  'torch/nn/functional.py': '# of no use to C++',
  'torch/lib/libtorch_python.so': 'of no use to C++',
  ...extra,
})

function run(name: string, words: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script(name), ...words], {
    encoding: 'utf8',
    env: { ...process.env, LIBTORCH: '', LANDMARK_DIFFUSION_CACHE: join(folder, 'cache'), ...env },
  })
  return { status, stdout, stderr }
}

const find = (env: NodeJS.ProcessEnv = {}) => run('libtorch/find.mjs', ['--json'], env)
const setup = (words: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  run('setup-libtorch.mjs', words, env)

/** A PATH with one program named python3, which answers as given. */
function pythonSaying(text: string): string {
  const bin = join(folder, 'bin')
  put(join(bin, 'python3'), `#!/bin/sh\necho '${text}'\n`)
  chmodSync(join(bin, 'python3'), 0o755)
  return bin
}

describe('finding', () => {
  test('LIBTORCH comes first, then Python, then the cache', () => {
    const variable = makeLibtorch(join(folder, 'variable'), '2.13.0+cpu')
    const python = makeLibtorch(join(folder, 'site-packages', 'torch'), '2.12.0+cu130')
    makeLibtorch(join(folder, 'cache', 'libtorch', '2.13.0-cpu', 'torch'), '2.13.0+cpu')
    put(join(folder, 'cache', 'libtorch', '2.13.0-cpu', 'manifest.json'), '{}')
    const PATH = pythonSaying(python)
    const found = (env: NodeJS.ProcessEnv) => JSON.parse(find(env).stdout)
    expect(found({ LIBTORCH: variable, PATH })).toMatchObject({
      source: 'LIBTORCH',
      flavour: 'cpu',
    })
    expect(found({ PATH })).toMatchObject({ source: 'python', version: '2.12.0', flavour: 'cu130' })
    expect(found({ PATH: folder })).toMatchObject({
      source: 'cache',
      version: '2.13.0',
      cxx11abi: true,
    })
  })

  test('a LIBTORCH that is wrong is an error, even if the cache holds a good one', () => {
    makeLibtorch(join(folder, 'cache', 'libtorch', '2.13.0-cpu', 'torch'), '2.13.0')
    put(join(folder, 'cache', 'libtorch', '2.13.0-cpu', 'manifest.json'), '{}')
    const { status, stderr } = find({ LIBTORCH: join(folder, 'nowhere') })
    expect(stderr).toMatch(/nowhere: the folder does not exist/)
    expect(status).toBe(1)
  })

  test('a version that is too old is named', () => {
    const { stderr } = find({ LIBTORCH: makeLibtorch(join(folder, 'old'), '1.13.1') })
    expect(stderr).toMatch(/it is version 1\.13\.1; 2\.11 or newer is needed/)
  })

  test('a folder of the cache without a manifest was never finished and does not count', () => {
    makeLibtorch(join(folder, 'cache', 'libtorch', '2.13.0-cpu', 'torch'), '2.13.0')
    const { status, stderr } = find({ PATH: folder })
    expect(stderr).toMatch(/npm run setup/)
    expect(status).toBe(1)
  })

  test('XDG_CACHE_HOME moves the cache', () => {
    makeLibtorch(join(folder, 'xdg', 'landmark-diffusion', 'libtorch', 'a', 'torch'), '2.13.0')
    put(join(folder, 'xdg', 'landmark-diffusion', 'libtorch', 'a', 'manifest.json'), '{}')
    const env = { PATH: folder, LANDMARK_DIFFUSION_CACHE: '', XDG_CACHE_HOME: join(folder, 'xdg') }
    expect(JSON.parse(find(env).stdout)).toMatchObject({ source: 'cache' })
  })
})

describe('setting up from a local file', () => {
  test('a wheel is unpacked without its Python parts, and its hash is recorded', () => {
    const wheel = makeZip(
      'torch-2.13.0+cpu-any.whl',
      wheelOf('2.13.0+cpu', { 'torch.libs/libgomp.so': 'x' }),
    )
    const { status, stdout } = setup(['--from', wheel, '--json'])
    expect(status).toBe(0)
    const { root, version, flavour } = JSON.parse(stdout)
    expect({ version, flavour }).toEqual({ version: '2.13.0', flavour: 'cpu' })
    expect(existsSync(join(root, 'lib', 'libtorch_cpu.so'))).toBe(true)
    expect(existsSync(join(root, 'nn'))).toBe(false)
    expect(existsSync(join(root, 'lib', 'libtorch_python.so'))).toBe(false)
    expect(existsSync(join(root, '..', 'torch.libs', 'libgomp.so'))).toBe(true)
    const manifest = JSON.parse(readFileSync(join(root, '..', 'manifest.json'), 'utf8'))
    const sha256 = createHash('sha256').update(readFileSync(wheel)).digest('hex')
    expect(manifest.files).toEqual([expect.objectContaining({ sha256 })])
  })

  test('an official libtorch archive is as good', () => {
    const { 'version.py': _, ...rest } = parts('')
    const members = Object.fromEntries(
      Object.entries(rest).map(([name, text]) => [`libtorch/${name}`, text]),
    )
    const archive = makeZip('libtorch.zip', {
      ...members,
      'libtorch/build-version': '2.13.0+cpu\n',
    })
    const { status, stdout } = setup(['--from', archive, '--json'])
    expect(JSON.parse(stdout)).toMatchObject({ version: '2.13.0', flavour: 'cpu' })
    expect(status).toBe(0)
  })

  const nothingLeft = () => {
    const libtorch = join(folder, 'cache', 'libtorch')
    expect(existsSync(libtorch) ? readdirSync(libtorch) : []).toEqual([])
  }

  test('a file with another hash than demanded is refused', () => {
    const wheel = makeZip('torch.whl', wheelOf('2.13.0+cpu'))
    const { status, stderr } = setup(['--from', wheel, '--sha256', '0'.repeat(64)])
    expect(stderr).toMatch(
      /not the file it should be: its SHA-256 is [0-9a-f]{64}, expected was 0{64}/,
    )
    expect(status).toBe(1)
    nothingLeft()
  })

  test('a file that carries a known name must have the pinned hash', () => {
    const pinned = JSON.parse(readFileSync(script('libtorch/known-hashes.json'), 'utf8'))
    const [name] = Object.keys(pinned) as [string]
    const { status, stderr } = setup(['--from', makeZip(name, wheelOf('2.13.0+cpu'))])
    expect(stderr).toMatch(/not the file it should be/)
    expect(status).toBe(1)
    nothingLeft()
  })

  test('a file cut in half is refused', () => {
    const wheel = makeZip('torch.whl', wheelOf('2.13.0+cpu'))
    truncateSync(wheel, 300)
    const { status, stderr } = setup(['--from', wheel])
    expect(stderr).toMatch(/torch\.whl cannot be unpacked: it is damaged or not a zip file/)
    expect(status).toBe(1)
    nothingLeft()
  })

  test('a damaged member is refused', () => {
    const wheel = makeZip('torch.whl', wheelOf('2.13.0+cpu'))
    const bytes = readFileSync(wheel)
    bytes[bytes.indexOf('// header')] = 0
    writeFileSync(wheel, bytes)
    const { status, stderr } = setup(['--from', wheel])
    expect(stderr).toMatch(/Bad CRC-32/)
    expect(status).toBe(1)
    nothingLeft()
  })

  for (const name of ['torch/lib/../../../../escaped', '/torch/lib/escaped'])
    test(`a member named ${name} is refused`, () => {
      const wheel = makeZip('torch.whl', wheelOf('2.13.0+cpu', { [name]: 'gotcha' }))
      const { status, stderr } = setup(['--from', wheel])
      expect(stderr).toMatch(/unsafe name/)
      expect(status).toBe(1)
      nothingLeft()
    })

  test('a wheel of something else is refused', () => {
    const wheel = makeZip('numpy.whl', { 'numpy/__init__.py': '' })
    const { stderr } = setup(['--from', wheel])
    expect(stderr).toMatch(/no wheel of torch/)
  })

  test('another version than asked for is refused', () => {
    const wheel = makeZip('torch.whl', wheelOf('2.12.0+cpu'))
    const { stderr } = setup(['--from', wheel, '--version', '2.13.0'])
    expect(stderr).toMatch(/is version 2\.12\.0, but 2\.13\.0 was asked for/)
    nothingLeft()
  })
})

/** A wheel that pip can install, in the folder of wheels. */
function makeWheel(version: string, needs: string[], name = 'torch', members = wheelOf(version)) {
  const info = `${name.replaceAll('-', '_')}-${version}.dist-info`
  const metadata = ['Metadata-Version: 2.1', `Name: ${name}`, `Version: ${version}`]
  makeZip(`wheels/${info.replace('.dist-info', '-py3-none-any.whl')}`, {
    ...members,
    [`${info}/METADATA`]: [...metadata, ...needs.map((need) => `Requires-Dist: ${need}`), ''].join(
      '\n',
    ),
    [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    [`${info}/RECORD`]: '',
  })
}

describe('setting up the CUDA flavour by pip', () => {
  const cuda = 'nvidia-cudnn-cu13'
  const cudaTorch = (version: string) =>
    makeWheel(version, [cuda], 'torch', {
      ...wheelOf(version),
      'torch/version.py': `__version__ = '${version}'\ncuda: Optional[str] = '13.0'\n`,
    })
  /** The machine's own pip, with nothing to fetch from but the folder of wheels. */
  const setupCuda = (...words: string[]) =>
    setup(['--cuda', '--json', ...words], {
      PIP_CONFIG_FILE: '/dev/null',
      PIP_NO_INDEX: '1',
      PIP_FIND_LINKS: join(folder, 'wheels'),
      PIP_CONSTRAINT: '',
    })

  beforeEach(() => {
    mkdirSync(join(folder, 'wheels'))
    makeWheel('2.13.0+cpu', [])
    makeWheel('9.20', [], cuda, { 'nvidia/cudnn/lib/libcudnn.so.9': 'library' })
  })

  test('takes the wheel without +cpu where pip knows both', () => {
    cudaTorch('2.13.0')
    const { stdout, stderr } = setupCuda()
    expect(stderr).toMatch(/Downloading torch-2\.13\.0-py3-none-any\.whl, nvidia_cudnn/)
    const { root, version, flavour } = JSON.parse(stdout)
    expect({ version, flavour }).toEqual({ version: '2.13.0', flavour: 'cu130' })
    expect(existsSync(join(root, '..', 'nvidia', 'cudnn', 'lib', 'libcudnn.so.9'))).toBe(true)
    expect(JSON.parse(setupCuda().stdout)).toMatchObject({ root, fetched: false })
  })

  test('takes an older version where pip has the newest for the CPU only', () => {
    cudaTorch('2.11.0')
    const { stdout, stderr } = setupCuda()
    expect(stderr).toMatch(/^Asking pip for torch==2\.13\.0$/m)
    expect(JSON.parse(stdout)).toMatchObject({ version: '2.11.0', flavour: 'cu130', fetched: true })
  })

  test('says what to do where there is none, and downloads nothing', () => {
    for (const words of [[], ['--version', '2.13.0']]) {
      const { status, stderr } = setupCuda(...words)
      expect(stderr).toMatch(
        /torch==2\.13\.0: pip would take torch-2\.13\.0\+cpu\S+, which needs no CUDA/,
      )
      expect(stderr).toMatch(/PIP_EXTRA_INDEX_URL=https.*--version.*--from FILE/)
      expect(stderr).not.toMatch(/Downloading/)
      expect(status).toBe(1)
      expect(existsSync(join(folder, 'cache'))).toBe(false)
    }
  })

  test('fetches nothing where the build would find a CUDA libtorch', () => {
    const LIBTORCH = makeLibtorch(join(folder, 'mine'), '2.12.0+cu130')
    expect(setup(['--cuda'], { LIBTORCH, PATH: folder }).stdout).toMatch(/already in .*mine/)
    const cpu = makeLibtorch(join(folder, 'cpu'), '2.13.0+cpu')
    expect(setup(['--cuda'], { LIBTORCH: cpu, PATH: folder }).stderr).toMatch(/pip is needed/)
  })
})

describe('setting up by pip', () => {
  test('where there is a libtorch already, nothing is fetched', () => {
    const LIBTORCH = makeLibtorch(join(folder, 'mine'), '2.13.0+cpu')
    const { status, stdout } = setup([], { LIBTORCH, PATH: folder })
    expect(stdout).toMatch(/libtorch 2\.13\.0 \(cpu\) is already in .*mine/)
    expect(status).toBe(0)
  })

  test('without pip it says what to install or to set', () => {
    const { status, stderr } = setup([], { PATH: folder })
    expect(stderr).toMatch(/Python 3 with pip is needed.*--from FILE.*LIBTORCH/)
    expect(status).toBe(1)
  })

  test('a pip that finds nothing is quoted', () => {
    const bin = join(folder, 'bin')
    const answers = `#!/bin/sh
if [ "$3" = --version ]; then echo 'pip 24.0 from here'; exit 0; fi
echo 'ERROR: No matching distribution found for torch' >&2; exit 1
`
    put(join(bin, 'python3'), answers)
    chmodSync(join(bin, 'python3'), 0o755)
    const { status, stderr } = setup([], { PATH: bin })
    expect(stderr).toMatch(
      /No wheel of torch 2\.13\.0 \(cpu\)[\s\S]*No matching distribution found for torch/,
    )
    expect(status).toBe(1)
  })

  test('a version that is none, or too old, is refused before pip is asked', () => {
    expect(setup(['--version', 'latest']).stderr).toMatch(/'latest' is not a version/)
    expect(setup(['--version', '1.13.0']).stderr).toMatch(/1\.13\.0 is too old/)
  })

  test('an unknown option has status 2', () => {
    expect(setup(['--versoin', '1']).status).toBe(2)
  })
})
