// Hostile calls: random argument lists for every operator and every public function, made in child processes.
// Each must end in a result or a typed error; a child that dies or hangs, an error of an undeclared type, and
// memory that grows are failures, told with the exact call.
import { spawn, spawnSync } from 'node:child_process'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const help = `Usage: npm run fuzz -- [options]

  --calls N          calls to make (100000)
  --seed N           which calls (1); the same seed makes the same calls
  --from N           index of the first call (0): with --calls 1, one call of a report again
  --operators REGEX  calls of these operators only
  --layout NAME      most tensors sparse, csr, onednn, quantized or nested; plain calls or --mutate
  --mutate           calls that PyTorch accepts, changed in a place or two
  --sweep            calls that PyTorch accepts, changed in one place in every way of a list; no seed
  --pairs            calls that PyTorch accepts, the shapes of two tensors changed in every way; no seed
  --objects          uses of layers, optimisers, programs, scopes, files, with values changed here and there
  --hang SECONDS     time without progress that counts as a hang (60)
  --json FILE        writes the counts and failures

Examples:
  npm run fuzz -- --calls 100000 --seed 1
  npm run fuzz -- --seed 1 --from 4711 --calls 1
  npm run fuzz -- --operators 'aten::(gather|scatter)' --calls 1000
  npm run fuzz -- --mutate --calls 100000

LANDMARK_DIFFUSION_GUARD_PAGES=1 finds reads and writes beside tensors at the instruction that makes them.
`
const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    operators: { type: 'string' },
    layout: { type: 'string' },
    mutate: { type: 'boolean' },
    objects: { type: 'boolean' },
    sweep: { type: 'boolean' },
    pairs: { type: 'boolean' },
    hang: { type: 'string', default: '60' },
    json: { type: 'string' },
    help: { type: 'boolean' },
  },
})
if (values.help) {
  process.stdout.write(help)
  process.exit(0)
}

const first = Number(values.from)
const end = first + Number(values.calls)
const hang = Number(values.hang) * 1000
const child = fileURLToPath(new URL('./child.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'fuzz-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const counts = {}
const failures = []
/** Resident bytes, [index of the call, bytes], per child. */
const memory = []

/** Follows a child's log; knows the call at hand and how the others ended. */
class Log {
  index = -1
  call = ''
  #file
  #read = 0
  #rest = ''
  #samples = []

  constructor(path) {
    this.#file = openSync(path, 'a+')
    memory.push(this.#samples)
  }

  /** Takes in what is new; whether there was anything. */
  follow() {
    const buffer = Buffer.alloc(1 << 20)
    const length = readSync(this.#file, buffer, 0, buffer.length, this.#read)
    if (length === 0) return false
    this.#read += length
    const lines = (this.#rest + buffer.toString('utf8', 0, length)).split('\n')
    this.#rest = lines.pop()
    for (const line of lines) this.#take(line)
    return true
  }

  #take(line) {
    const [index, ...rest] = line.split(' ')
    const text = rest.join(' ')
    this.index = Number(index)
    if (!text.startsWith('= ')) {
      this.call = text
      return
    }
    const [, outcome, rss] = /^= (.*?)(?: rss (\d+) live \d+)?$/.exec(text)
    if (rss !== undefined) this.#samples.push([this.index, Number(rss)])
    if (outcome.startsWith('untyped ')) fail(this.index, this.call, outcome)
    else counts[outcome] = (counts[outcome] ?? 0) + 1
    this.call = ''
  }

  close() {
    closeSync(this.#file)
  }
}

function fail(index, call, reason) {
  failures.push({ index, call, reason })
  console.error(`FAILED ${index} ${call}\n  ${reason}`)
}

/** Of what a sanitizer reserved for itself the process uses little, but all of it counts: 3 GB more. */
function limitData({ pid, exitCode, signalCode }) {
  if (exitCode !== null || signalCode !== null) return
  const kibibytes = /VmData:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  if (kibibytes === undefined) return
  spawnSync('prlimit', ['--pid', String(pid), `--data=${Number(kibibytes) * 1024 + 3e9}`], {
    env: { ...process.env, LD_PRELOAD: '' },
  })
}

/** Runs calls from `from` on in one child; the index of the next call to make. */
async function run(from) {
  const path = join(folder, `${from}.log`)
  const log = new Log(path)
  // A limit on data, so that a call that asks for too much fails in its own process and not in the machine. Where a
  // sanitizer's runtime is preloaded it comes later, and without a shell, which ThreadSanitizer's ends.
  const sanitized = 'ASAN_OPTIONS' in process.env || 'TSAN_OPTIONS' in process.env
  const limits = ['sh', '-c', 'ulimit -c 0; ulimit -d 3000000; exec "$0" "$@"']
  const { operators: only, layout, mutate, objects, sweep, pairs } = values
  const kind = JSON.stringify({ only, layout, mutate, objects, sweep, pairs })
  const args = [values.seed, from, end, path, kind]
  const words = [...(sanitized ? [] : limits), process.execPath, child, ...args.map(String)]
  const running = spawn(words[0], words.slice(1), {
    stdio: ['ignore', 'ignore', 'pipe'],
    // Functions that save take odd paths.
    cwd: folder,
    env: { OMP_NUM_THREADS: '1', TORCH_CPP_LOG_LEVEL: 'ERROR', ...process.env },
  })
  let errors = ''
  running.stderr.on('data', (text) => {
    errors = (errors + text).slice(-2000)
  })
  let ended
  running.on('close', (code, signal) => {
    ended = { code, signal }
  })
  let since = Date.now()
  let hung = false
  let limited = !sanitized
  while (ended === undefined) {
    await pause(200)
    while (log.follow()) since = Date.now()
    if (!limited && log.index >= 0) {
      limited = true
      limitData(running)
    }
    if (!hung && Date.now() - since > hang) {
      hung = true
      running.kill('SIGKILL')
    }
  }
  while (log.follow());
  log.close()
  rmSync(path)
  if (ended.code === 0) return end
  const how = hung
    ? `no end after ${hang / 1000} s`
    : `the process died: ${ended.signal ?? `exit status ${ended.code}`}`
  const last = errors.trim().split('\n').slice(-3).join(' | ')
  fail(Math.max(log.index, from), log.call, `${how} ${last}`.slice(0, 700))
  return Math.max(log.index, from) + 1
}

/**
 * Fails where a long run holds much more in its last quarter than in its second: caches are full by then. Medians, because what
 * one call needed is kept for some time.
 */
function checkMemory(resident) {
  const quarter = Math.floor(resident.length / 4)
  if (quarter < 10) return
  const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
  const early = median(resident.slice(quarter, 2 * quarter))
  const late = median(resident.slice(-quarter))
  if (late > 1.25 * early + 2 ** 26)
    fail(end, 'all calls', `resident memory grew from ${early} to ${late} bytes`)
}

const started = Date.now()
for (let next = first; next < end; ) next = await run(next)

const longest = memory.toSorted((a, b) => b.length - a.length)[0] ?? []
checkMemory(longest.map(([, bytes]) => bytes))
const megabytes = (bytes) => Math.round(bytes / 2 ** 20)
const summary = {
  seed: Number(values.seed),
  calls: end - first,
  seconds: Math.round((Date.now() - started) / 1000),
  counts,
  // Per child, in MiB, over its calls.
  residentMiB: longest.map(([, bytes]) => megabytes(bytes)),
  failures,
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(summary, null, 2)}\n`)
console.log(`${summary.calls} calls in ${summary.seconds} s, seed ${summary.seed}`)
for (const [outcome, count] of Object.entries(counts).sort(([, a], [, b]) => b - a)) {
  console.log(`  ${outcome.padEnd(20)} ${count}`)
}
console.log(
  `resident MiB over the longest child: ${summary.residentMiB.filter((_, i, all) => i % Math.ceil(all.length / 12) === 0).join(' ')}`,
)
console.log(`${failures.length} failures`)
process.exitCode = failures.length === 0 ? 0 : 1
