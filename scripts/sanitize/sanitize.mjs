// Builds the native part with sanitizers and runs the native tests under them: the tests without Node
// (test/native/unit), where every thread is seen, then those of the addon, with the sanitizer's runtime
// loaded into Node first.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')

const help = `Usage: npm run sanitize -- [address] [thread] [--short]

  address    AddressSanitizer and UndefinedBehaviorSanitizer
  thread     ThreadSanitizer
  --short    the tests without Node only, as a check for every change

Without a name both run. The builds stay in build/sanitize-address and build/sanitize-thread. They take as many
compilers as there are cores, or CMAKE_BUILD_PARALLEL_LEVEL.
`
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { short: { type: 'boolean' }, help: { type: 'boolean' } },
})

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
    // malloc or memcpy would be taken for a race. This one option stands for a list of suppressions.
    options: { TSAN_OPTIONS: 'ignore_noninstrumented_modules=1:exitcode=66' },
  },
}

// The loader is tested with damaged copies of the addon, for which a preloaded build stands in.
const suites = ['test/native', 'test/torch', '--exclude', 'test/torch/addon.test.ts']

const wanted = positionals.length > 0 ? positionals : Object.keys(sanitizers)
const unknown = wanted.find((name) => !Object.hasOwn(sanitizers, name))
if (values.help || unknown !== undefined) {
  process.stdout.write(
    unknown === undefined ? help : `There is no sanitizer '${unknown}'.\n\n${help}`,
  )
  process.exit(unknown === undefined ? 0 : 2)
}

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, OMP_NUM_THREADS: '1', ...env },
  })
  if (error) throw error
  return status === 0
}

function runtime(name) {
  const { stdout } = spawnSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' })
  const path = stdout?.trim() ?? ''
  if (!existsSync(path)) {
    console.error(
      `${name} is not there: the sanitizers' runtimes come with g++ (Debian: libgcc-12-dev).`,
    )
    process.exit(1)
  }
  return path
}

function build(name, folder) {
  const stamp = join(root, 'build', 'libtorch.txt')
  if (!existsSync(stamp)) {
    console.error('Run `npm run build` first: its libtorch is used.')
    process.exit(1)
  }
  const configured = run('cmake', [
    ...['-S', root, '-B', folder, '-DCMAKE_BUILD_TYPE=RelWithDebInfo'],
    ...[`-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1`, `-DSANITIZE=${sanitizers[name].flag}`],
    '-DWARNINGS_AS_ERRORS=ON',
    `-DLIBTORCH=${readFileSync(stamp, 'utf8').trim()}`,
  ])
  // Without a number make would start all compilers at once.
  const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? availableParallelism()
  const targets = values.short ? ['native_tests'] : ['native_tests', 'landmark_diffusion']
  return (
    configured &&
    run('cmake', ['--build', folder, '--parallel', String(jobs), '--target', ...targets])
  )
}

/** Findings go to files, because test runners hold back what their children write. */
function reports(folder) {
  return readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'))
}

function test(name, folder) {
  const { options, runtimes } = sanitizers[name]
  const found = join(folder, 'reports')
  rmSync(found, { recursive: true, force: true })
  mkdirSync(found)
  const logged = Object.fromEntries(
    Object.entries(options).map(([key, text]) => [
      key,
      `${text}:log_path=${join(found, 'report')}`,
    ]),
  )
  let passed = run(join(folder, 'native_tests'), [], logged)
  if (!values.short) {
    const suite = ['node_modules/vitest/vitest.mjs', 'run', ...suites, '--maxWorkers=1']
    passed =
      run(process.execPath, suite, {
        ...logged,
        LD_PRELOAD: runtimes.map(runtime).join(':'),
        // Where node-gyp-build then looks for the addon.
        LANDMARK_DIFFUSION_PREBUILD: dirname(folder),
      }) && passed
  }
  const texts = reports(found)
  for (const text of texts) console.error(text)
  return passed && texts.length === 0
}

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(0)} s`
for (const name of wanted) {
  const folder = join(root, `build/sanitize-${name}/build`)
  const began = performance.now()
  const built = build(name, folder)
  const [buildTime, ready] = [seconds(began), performance.now()]
  const clean = built && test(name, folder)
  console.log(
    `${name}: ${clean ? 'no findings' : 'FAILED'} (build ${buildTime}, tests ${seconds(ready)})`,
  )
  if (!clean) process.exitCode = 1
}
