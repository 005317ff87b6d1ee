// Replays the conformance cases against PyTorch's results and prints the coverage table.
//
//   npm run conformance                       the cases stored in test/fixtures/conformance
//   npm run conformance -- --live             makes the full set with PyTorch first (minutes)
//   npm run conformance -- --cases FOLDER     cases that `generate.py FOLDER` made before
//
// Files are replayed in child processes: a crash is charged to the case that was under way.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import * as torch from 'landmark-diffusion/torch'
import { coverage, printCoverage } from './coverage.mjs'

const help = `usage: npm run conformance -- [--live | --cases FOLDER] [--python PYTHON] [--seed N] [--most N] [--jobs N] [--json FILE] [--problems N]

  --live          make the full set with PyTorch (the Python of --python, default python3; with torch and expecttest)
  --cases FOLDER  replay the cases of a folder that generate.py filled
  --seed N        draws the cases of --live (default 20)
  --most N        cases per overload with --live (default 16)
  --jobs N        processes at a time (default 1)
  --json FILE     write what came of every overload
  --problems N    problems to print (default 40)

examples:
  npm run conformance
  npm run conformance -- --live --python venv/bin/python --jobs 2`

const { values: options } = parseArgs({
  options: {
    live: { type: 'boolean' },
    cases: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    seed: { type: 'string', default: '20' },
    most: { type: 'string', default: '16' },
    jobs: { type: 'string', default: '1' },
    json: { type: 'string' },
    problems: { type: 'string', default: '40' },
    help: { type: 'boolean' },
  },
})
if (options.help) {
  console.log(help)
  process.exit(0)
}

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const environment = { ...process.env, OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }

function run(command, args, output) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: environment, stdio: ['ignore', output, 'inherit'] })
    child.on('error', reject)
    child.on('close', (status, signal) => resolve(signal ?? status))
  })
}

/** Replays one file to its end, also where a case kills the child: outcomes by case. */
async function replayFile(file, out) {
  const outcomes = []
  for (let from = 0; ; ) {
    const status = await run(
      process.execPath,
      [here('child.mjs'), file, String(from), out],
      'ignore',
    )
    const lines = readFileSync(out, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    outcomes.push(...lines.filter((line) => !('start' in line)))
    if (status === 0) return outcomes
    const { op, from: source, start } = lines.at(-1)
    if (start === undefined)
      throw new Error(`the child for ${file} ended with ${status} after its last case, ${op}`)
    const problems = [{ kind: 'crash', text: `the process ended with ${status}` }]
    outcomes.push({ op, from: source, problems })
    from = start + 1
  }
}

async function inParallel(items, jobs, work) {
  const waiting = [...items]
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: jobs }, worker))
}

const work = mkdtempSync(join(tmpdir(), 'conformance-'))
let folder = options.cases ?? here('../../test/fixtures/conformance')
if (options.live) {
  folder = work
  const status = await run(
    options.python,
    [
      here('generate.py'),
      folder,
      ...['--seed', options.seed, '--most', options.most, '--jobs', options.jobs],
    ],
    'inherit',
  )
  if (status !== 0) {
    console.error(
      `generate.py ended with ${status}. It needs a Python with torch ${torch.versions().libtorch} and expecttest: --python`,
    )
    process.exit(1)
  }
}

const files = readdirSync(folder).filter((name) => name.startsWith('cases'))
const outcomes = []
let done = 0
await inParallel(files, Number(options.jobs), async (name) => {
  outcomes.push(...(await replayFile(join(folder, name), join(work, `${name}.outcomes`))))
  console.error(`${++done} of ${files.length} files, ${outcomes.length} cases`)
})
const report = coverage(torch.ops(), outcomes)
printCoverage(report, Number(options.problems))
if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 1)}\n`)
rmSync(work, { recursive: true })
process.exitCode = report.failed ? 1 : 0
