/** The first command on a bare clone, on a made-up clone whose npm only notes what it was asked. */

import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

const scripts = fileURLToPath(new URL('../../scripts/', import.meta.url))
let folder: string
let clone: string

function put(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  chmodSync(path, mode)
}

/** Does what the real steps do, as far as a bootstrap can see it, and keeps a log. */
const npm = `#!/bin/sh
echo "$*" >> npm.log
case "$*" in
  ci*) mkdir -p node_modules/typescript; cp package-lock.json node_modules/.package-lock.json
       echo '{"version":"6.0.3"}' > node_modules/typescript/package.json ;;
  *build:native*) [ ! -e fail ] || exit 7; mkdir -p build/Release; echo > build/Release/addon.node ;;
  *build:ts*) mkdir -p dist; echo > dist/index.js ;;
esac
`

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootstrap-'))
  clone = join(folder, 'clone')
  for (const name of ['bootstrap.mjs', 'make-folder.mjs', 'libtorch'])
    cpSync(join(scripts, name), join(clone, 'scripts', name), { recursive: true })
  put(join(clone, 'package.json'), '{"binary":{"napi_versions":[9]}}')
  put(
    join(clone, 'package-lock.json'),
    '{"packages":{"":{},"node_modules/typescript":{"version":"6.0.3"}}}',
  )
  put(join(clone, 'CMakeLists.txt'), 'project(x)')
  put(join(clone, 'native', 'addon.cpp'), '// one')
  put(join(clone, 'lib', 'index.ts'), 'export {}')
  for (const tool of ['cmake', 'g++', 'make'])
    put(join(folder, 'bin', tool), `#!/bin/sh\necho '${tool} version 12.2.0'\n`, 0o755)
  put(join(folder, 'bin', 'npm'), npm, 0o755)
  const torch = join(folder, 'torch')
  for (const name of [
    'lib/libtorch_cpu.so',
    'lib/libc10.so',
    'include/ATen/ATen.h',
    'share/cmake/Torch/TorchConfig.cmake',
  ])
    put(join(torch, name), '')
  put(join(torch, 'build-version'), '2.13.0+cpu')
})
afterEach(() => rmSync(folder, { recursive: true }))

function bootstrap(words: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
  const PATH = `${join(folder, 'bin')}:/bin:/usr/bin`
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(clone, 'scripts', 'bootstrap.mjs'), ...words],
    {
      encoding: 'utf8',
      env: { PATH, HOME: folder, LIBTORCH: join(folder, 'torch'), ...env },
    },
  )
  return { status, stderr }
}

/** What npm was asked since the last call of this. */
function asked(): string[] {
  const log = join(clone, 'npm.log')
  if (!existsSync(log)) return []
  const lines = readFileSync(log, 'utf8').trim().split('\n')
  rmSync(log)
  return lines.map((line) => line.replace(/^run --silent /, '').replace(/ --.*/, ''))
}

test('a bare clone gets its packages and both builds, and a second call does nothing', () => {
  expect(bootstrap().status).toBe(0)
  expect(asked()).toEqual(['ci', 'build:native', 'build:ts'])
  const second = bootstrap()
  expect(second).toEqual({ status: 0, stderr: '' })
  expect(asked()).toEqual([])
})

test('a changed source repeats its own step only', () => {
  bootstrap()
  asked()
  appendFileSync(join(clone, 'native', 'addon.cpp'), '// two')
  expect(bootstrap().stderr).toMatch(/\[3\/4\] native build/)
  expect(asked()).toEqual(['build:native'])
  appendFileSync(join(clone, 'lib', 'index.ts'), '// two')
  expect(bootstrap().stderr).toMatch(/\[4\/4\] TypeScript/)
  expect(asked()).toEqual(['build:ts'])
  put(
    join(clone, 'package-lock.json'),
    '{"packages":{"":{},"node_modules/typescript":{"version":"6.0.4"}}}',
  )
  bootstrap()
  expect(asked()[0]).toBe('ci')
})

test('another libtorch means another native build', () => {
  bootstrap()
  asked()
  put(join(folder, 'torch', 'build-version'), '2.12.0+cpu')
  expect(bootstrap().stderr).toMatch(/native build/)
})

test('a compiled file whose source is gone is removed', () => {
  bootstrap()
  put(join(clone, 'dist', 'old.js'), '')
  put(join(clone, 'dist', 'old.d.ts'), '')
  appendFileSync(join(clone, 'lib', 'index.ts'), '// two')
  bootstrap()
  expect(existsSync(join(clone, 'dist', 'old.js'))).toBe(false)
  expect(existsSync(join(clone, 'dist', 'old.d.ts'))).toBe(false)
  expect(existsSync(join(clone, 'dist', 'index.js'))).toBe(true)
})

test('each missing tool is named in a line of its own, before anything is started', () => {
  const { status, stderr } = bootstrap([], {
    PATH: folder,
    LIBTORCH: '',
    LANDMARK_DIFFUSION_CACHE: folder,
  })
  expect(stderr.trim().split('\n')).toEqual([
    expect.stringMatching(/^CMake .* is missing/),
    expect.stringMatching(/^A C\+\+20 compiler is missing/),
    expect.stringMatching(/^make or ninja is missing/),
    expect.stringMatching(/^Python 3 with pip is missing.*LIBTORCH/),
  ])
  expect(status).toBe(1)
  expect(asked()).toEqual([])
})

test('a compiler and a CMake that are too old are named with their versions', () => {
  put(join(folder, 'bin', 'cmake'), "#!/bin/sh\necho 'cmake version 3.10.2'\n", 0o755)
  put(join(folder, 'bin', 'c++'), "#!/bin/sh\necho 'g++ (Debian 9.3.0-1) 9.3.0'\n", 0o755)
  const { stderr } = bootstrap()
  expect(stderr).toMatch(/CMake 3\.10 is too old/)
  expect(stderr).toMatch(/g\+\+ 9 is too old for C\+\+20/)
})

test('a step that fails is named, and is tried again the next time', () => {
  put(join(clone, 'fail'), '')
  const { status, stderr } = bootstrap()
  expect(stderr).toMatch(/'npm run --silent build:native' failed with status 7/)
  expect(status).toBe(1)
  asked()
  rmSync(join(clone, 'fail'))
  expect(bootstrap().status).toBe(0)
  expect(asked()).toHaveLength(2)
})

test('an unknown step has status 2', () => {
  expect(bootstrap(['nativ']).status).toBe(2)
})
