// Ends processes with work in flight at random moments in every way, and looks at how they went: the status or
// signal that was asked for, no abort, no core, no hang. A plan is drawn from its seed alone: `--only SEED` repeats one.
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Random } from '#lib/data/random.js'

const { values } = parseArgs({
  options: {
    children: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    'at-once': { type: 'string', default: '2' },
    only: { type: 'string' },
    help: { type: 'boolean' },
  },
})
if (values.help) {
  console.log(`node scripts/stress/life-cycle.mjs [--children 500] [--seed 1] [--at-once 2] [--only SEED]

Starts child processes with 0 to 4 worker threads and ends each at a random moment: naturally, by process.exit, an
uncaught error, a rejection, worker.terminate or a signal. Exit status 1 when one aborts, hangs or ends otherwise.`)
  process.exit(0)
}

const child = fileURLToPath(new URL('./life-cycle-child.mjs', import.meta.url))
/** Longest time from the ending to the process's death. */
const limit = 10_000
const signals = ['SIGTERM', 'SIGINT', 'SIGKILL']

/** How a process is to end, and the status or signal that this gives. */
const outcomes = {
  natural: () => 0,
  terminate: () => 0,
  workersExit: () => 0,
  workerThrows: ({ workers }) => (workers > 0 ? 1 : 0),
  exit: ({ status }) => status,
  exitInPromise: ({ status }) => status,
  throws: () => 1,
  rejects: () => 1,
  signal: ({ signal }) => signal,
}

function draw(seed) {
  const random = new Random(seed)
  const names = Object.keys(outcomes)
  const workers = random.int(5)
  const plan = {
    seed,
    thread: 0,
    workers,
    // Sometimes only the workers load the addon.
    idle: workers > 0 && random.uniform() < 0.2,
    ending: names[random.int(names.length)],
    status: 3 + random.int(7),
    signal: signals[random.int(signals.length)],
    after: random.int(1000),
  }
  // Counted from the start of the process, so that the addon may be still to be loaded, or from where it is.
  plan.afterLoading = !plan.idle && random.uniform() < 0.5
  // Nobody would end a process that waits for a worker that never throws.
  if (plan.ending === 'workerThrows' && workers === 0) plan.ending = 'natural'
  return plan
}

function run(plan) {
  return new Promise((resolve) => {
    const running = spawn(process.execPath, [child, JSON.stringify(plan)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, OMP_NUM_THREADS: '1' },
    })
    let output = ''
    let hung = false
    const hang = () => {
      hung = true
      const stacks = ['-batch', '-p', String(running.pid), '-ex', 'thread apply all bt 20']
      output += spawnSync('gdb', stacks, { encoding: 'utf8' }).stdout ?? 'no gdb to show its stacks'
      running.kill('SIGKILL')
    }
    // A start on a busy machine may take long; the ending may not.
    let timer = setTimeout(hang, 6 * limit)
    const hear = (text) => {
      const announced = output.includes('ending')
      output += text
      if (announced || !output.includes('ending')) return
      clearTimeout(timer)
      timer = setTimeout(hang, limit)
      if (plan.ending === 'signal') running.kill(plan.signal)
    }
    running.stdout.on('data', hear)
    running.stderr.on('data', hear)
    running.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ got: hung ? 'hung' : (signal ?? code), output })
    })
  })
}

const first = Number(values.seed)
const seeds =
  values.only === undefined
    ? Array.from({ length: Number(values.children) }, (_, i) => first * 1_000_000 + i)
    : [Number(values.only)]
let done = 0
const failed = []
async function lane() {
  for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
    const plan = draw(seed)
    const { got, output } = await run(plan)
    const wanted = outcomes[plan.ending](plan)
    const suspicious = /terminate called|FATAL ERROR|Assertion|core dumped|wrong value/i.test(
      output,
    )
    if (got !== wanted || suspicious) {
      failed.push(seed)
      console.error(
        `seed ${seed}: ended by ${got}, not ${wanted}. ${JSON.stringify(plan)}\n${output}`,
      )
    }
    done++
    if (done % 50 === 0) console.log(`${done} processes ended, ${failed.length} badly`)
  }
}
await Promise.all(Array.from({ length: Number(values['at-once']) }, lane))
console.log(
  `${done} processes ended, ${failed.length} badly${failed.length ? `: ${failed.join(' ')}` : ''}`,
)
process.exitCode = failed.length > 0 ? 1 : 0
