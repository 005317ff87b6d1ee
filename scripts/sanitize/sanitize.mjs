// Builds the native part with sanitizers and runs the native tests under them: the tests without Node
// (test/native/unit), where every thread is seen, then those of the addon, with the sanitizer's runtime
// loaded into Node first. A file of tests at a time, so that a finding has a place and one that hangs holds up no other.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildJobs } from '../bootstrap.mjs'
import { findLibtorch } from '../libtorch/find.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')

const help = `Usage: npm run sanitize -- [address] [thread] [FILE...] [--short] [--resume] [--jobs N]

  address    AddressSanitizer and UndefinedBehaviorSanitizer
  thread     ThreadSanitizer
  FILE       these files of tests only, such as test/torch/program.test.ts
  --short    the tests that need no Node only, as a check for every change
  --resume   leave out what passed before with the same build and the same tests
  --jobs N   compilers at once; otherwise as many as there are cores, and 2 GB of memory for each

Without a name both run, about 25 minutes on two cores the first time. g++ is needed, or another GCC that CXX names.
Builds, logs and findings stay in build/sanitize-address and build/sanitize-thread; build/Release is not touched.
The exit status is 1 where a test failed or a sanitizer found something.
`

/** What each needs: the compiler's flag, the runtimes that Node must load first, and options. */
const sanitizers = {
  address: {
    flag: 'address,undefined',
    runtimes: ['libasan.so', 'libubsan.so'],
    // No leaks: libtorch, Node and the executor keep much for as long as the process lives, on purpose.
    options: {
      ASAN_OPTIONS: 'detect_leaks=0',
      UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
    },
  },
  thread: {
    flag: 'thread',
    runtimes: ['libtsan.so'],
    // libtorch and Node are not built with it: how they synchronise is not seen, and each of their calls of
    // malloc or memcpy would be taken for a race. This one option stands for a list of suppressions. Nor leaks of
    // threads: a process that ends in a group that it has lost joins no thread of it.
    options: {
      TSAN_OPTIONS: 'ignore_noninstrumented_modules=1:report_thread_leaks=0:exitcode=66',
    },
  },
}

/** Tests of the addon. The loader is tested with damaged copies of it, for which a preloaded build stands in. */
const folders = ['test/native', 'test/torch']
const leftOut = ['test/torch/addon.test.ts']
/** What a test may take, in milliseconds, and what a file of them may. Code is ten times as slow as without. */
const testLimit = 600_000
const fileLimit = 1_800_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    short: { type: 'boolean' },
    resume: { type: 'boolean' },
    jobs: { type: 'string', default: process.env.CMAKE_BUILD_PARALLEL_LEVEL },
    help: { type: 'boolean', short: 'h' },
  },
})
const isFile = (word) => word.endsWith('.test.ts')
const chosen = positionals.filter(isFile)
const named = positionals.filter((word) => !isFile(word))
const wrong =
  named.find((name) => !Object.hasOwn(sanitizers, name)) ??
  chosen.find((file) => !existsSync(join(root, file)))
if (wrong !== undefined) {
  console.error(`There is no sanitizer or file of tests '${wrong}'.\n\n${help}`)
  process.exit(2)
}
if (values.help) {
  console.log(help)
  process.exit(0)
}

const compiler = process.env.CXX ?? 'g++'

/** Runs a program in the clone. Its output goes to the file `log`, or is shown. */
function run(command, words, { env = {}, log, timeout } = {}) {
  const { status, signal, error, output } = spawnSync(command, words, {
    cwd: root,
    stdio: log ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    timeout,
    killSignal: 'SIGKILL',
    env: { ...process.env, OMP_NUM_THREADS: '1', NO_COLOR: '1', ...env },
  })
  if (signal === 'SIGINT') process.exit(130)
  const text = (output ?? []).filter(Boolean).join('\n')
  if (log) writeFileSync(log, text)
  if (error && error.code !== 'ETIMEDOUT') throw error
  const end = error ? `no end after ${timeout / 60_000} minutes` : `ended by ${signal ?? status}`
  return { ok: status === 0, end, text }
}

function runtime(name) {
  const { stdout } = spawnSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' })
  const path = stdout?.trim() ?? ''
  if (existsSync(path)) return path
  console.error(
    `${compiler} has no ${name}: the sanitizers' runtimes come with GCC (Debian: libgcc-12-dev).`,
  )
  process.exit(1)
}

function build(name, folder) {
  const configured = run('cmake', [
    ...['-S', root, '-B', folder, '-DCMAKE_BUILD_TYPE=RelWithDebInfo'],
    `-DCMAKE_CXX_COMPILER=${compiler}`,
    ...[`-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1`, `-DSANITIZE=${sanitizers[name].flag}`],
    '-DWARNINGS_AS_ERRORS=ON',
    `-DLIBTORCH=${findLibtorch().found.root}`,
  ])
  const targets = values.short ? ['native_tests'] : ['native_tests', 'landmark_diffusion']
  const jobs = values.jobs ?? String(buildJobs())
  const words = ['--build', folder, '--parallel', jobs, '--target', ...targets]
  return configured.ok && run('cmake', words).ok
}

function filesBelow(folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .map((file) => join(folder, file))
    .sort()
}

/** What a result depends on: the build and everything that runs over it. */
function fingerprint(folder) {
  const hash = createHash('sha256')
  const sources = [...filesBelow('test'), ...filesBelow('scripts')]
  const files = [
    ...sources.filter((file) => /\.(ts|mjs|js)$/.test(file)).map((file) => join(root, file)),
    join(root, 'dist', 'bootstrap.stamp'),
    join(folder, 'native_tests'),
    join(folder, 'Release', 'landmark_diffusion.node'),
  ]
  for (const file of files) hash.update(file).update(existsSync(file) ? readFileSync(file) : '')
  return hash.digest('hex')
}

/** Results of earlier runs by name, for as long as the fingerprint stays. */
class Memory {
  constructor(folder) {
    this.path = join(folder, 'passed.json')
    this.key = fingerprint(folder)
    const known = existsSync(this.path) ? JSON.parse(readFileSync(this.path, 'utf8')) : {}
    this.passed = values.resume && known.key === this.key ? known.passed : {}
  }
  add(name, result) {
    this.passed[name] = result
    writeFileSync(this.path, JSON.stringify({ key: this.key, passed: this.passed }))
  }
}

/** Findings go to files, because test runners hold back what their children write. */
function takeReports(folder) {
  const files = existsSync(folder) ? readdirSync(folder) : []
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8'))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  return texts
}

function countNative({ text }) {
  const lines = (start) => text.split('\n').filter((line) => line.startsWith(start)).length
  return { passed: lines('ok  '), failed: lines('FAILED  '), skipped: 0 }
}

function countAddon(path) {
  if (!existsSync(path)) return { passed: 0, failed: 0, skipped: 0 }
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(path, 'utf8'))
  return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests }
}

/** All tests under one sanitizer: { native, addon: { passed, failed, skipped }, findings, bad }. */
function test(name, folder) {
  const { options, runtimes } = sanitizers[name]
  const [found, logs] = [join(folder, 'reports'), join(folder, 'logs')]
  mkdirSync(logs, { recursive: true })
  takeReports(found)
  const logged = Object.fromEntries(
    Object.entries(options).map(([key, text]) => [
      key,
      `${text}:log_path=${join(found, 'report')}`,
    ]),
  )
  const preloaded = {
    ...logged,
    LD_PRELOAD: values.short ? '' : runtimes.map(runtime).join(':'),
    // Where node-gyp-build then looks for the addon.
    LANDMARK_DIFFUSION_PREBUILD: dirname(folder),
  }
  const json = join(folder, 'results.json')
  const suite = ['node_modules/vitest/vitest.mjs', 'run', '--maxWorkers=1']
  const limits = [`--testTimeout=${testLimit}`, `--hookTimeout=${testLimit}`]
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${json}`]

  function runFile(file, log) {
    rmSync(json, { force: true })
    const words = [...suite, ...limits, ...reporters, file]
    const result = run(process.execPath, words, { env: preloaded, log, timeout: fileLimit })
    return { ...result, ...countAddon(json) }
  }
  function runNative(_, log) {
    const result = run(join(folder, 'native_tests'), [], { env: logged, log, timeout: fileLimit })
    return { ...result, ...countNative(result) }
  }

  const all = folders.flatMap(filesBelow).filter((file) => isFile(file) && !leftOut.includes(file))
  const files = values.short ? [] : chosen.length > 0 ? chosen : all
  const native = 'test/native/unit'
  const memory = new Memory(folder)
  const total = { native: 0, addon: 0, skipped: 0, findings: 0, bad: [] }
  const parts = [native, ...files]
  for (const [index, part] of parts.entries()) {
    const before = memory.passed[part]
    const began = performance.now()
    const log = join(logs, `${part.replaceAll('/', '-')}.log`)
    const result = before ?? (part === native ? runNative : runFile)(part, log)
    const reports = takeReports(found)
    const passed = result.ok && result.failed === 0 && reports.length === 0
    const { passed: count, failed, skipped } = result
    if (passed && !before) memory.add(part, { ok: true, passed: count, failed, skipped })
    total[part === native ? 'native' : 'addon'] += count
    total.skipped += skipped
    total.findings += reports.length
    if (!passed) total.bad.push(part)
    const outcome = passed ? '' : `, FAILED: ${failed} failed, ${result.end}; ${log}`
    const time = before ? 'as before' : seconds(began)
    console.log(
      `${name} ${index + 1}/${parts.length} ${part}: ${count} passed${outcome}, ${reports.length} findings, ${time}`,
    )
    for (const report of reports) console.error(report)
  }
  return total
}

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(0)} s`
const lines = []
for (const name of named.length > 0 ? named : Object.keys(sanitizers)) {
  const folder = join(root, `build/sanitize-${name}/build`)
  const began = performance.now()
  const built = build(name, folder)
  const [buildTime, ready] = [seconds(began), performance.now()]
  if (!built) {
    lines.push(`${name}: FAILED, the build stopped after ${buildTime}`)
    process.exitCode = 1
    continue
  }
  const { native, addon, skipped, findings, bad } = test(name, folder)
  const clean = bad.length === 0
  if (!clean) process.exitCode = 1
  lines.push(
    `${name}: ${clean ? 'no findings' : `FAILED in ${bad.join(', ')}; ${findings} findings`}; passed: ${native} native tests, ${addon} tests of the addon; ${skipped} skipped (build ${buildTime}, tests ${seconds(ready)})`,
  )
}
console.log(`\n${lines.join('\n')}`)
