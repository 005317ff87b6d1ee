// `npm run quickstart`: from a bare clone to a trained detector and its report, on synthetic cephalograms:
// set up, synthesize, train, predict, evaluate, report. Each step is one command of the command line, shown before
// it runs, so that the same can be typed for real images. What is done already is not done again.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { BootstrapError, bootstrap } from './bootstrap.mjs'
import { SetupError } from './libtorch/setup.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const data = join('data', 'quickstart')
const run = join('runs', 'quickstart')
const predictions = join(run, 'test1', 'predictions.json')
const heatmaps = join(run, 'test1', 'heatmaps')
const result = join(run, 'test1', 'result.json')
const report = join(run, 'test1', 'report.html')

/** The whole of it in the order in which it happens; `makes` is what must be there for a step to count as done. */
const steps = [
  {
    name: 'synthesize',
    words: ['synthesize', data, '--count', '160', '--size', '484x600', '--seed', '1'],
    makes: data,
  },
  {
    name: 'train',
    words: ['train', '--preset', 'small', '--data', data, '--out', run],
    makes: join(run, 'config.yaml'),
    resumes: true,
  },
  {
    name: 'predict',
    words: [
      'predict',
      data,
      '--split',
      'test1',
      '--run',
      run,
      '--out',
      predictions,
      '--chains',
      '3',
      '--heatmaps',
      heatmaps,
    ],
    makes: predictions,
  },
  {
    name: 'evaluate',
    words: [
      'evaluate',
      '--predictions',
      predictions,
      '--annotations',
      data,
      '--split',
      'test1',
      '--json',
      result,
    ],
    makes: result,
  },
  {
    name: 'report',
    words: [
      'report',
      '--predictions',
      predictions,
      '--annotations',
      data,
      '--images',
      data,
      '--split',
      'test1',
      '--heatmaps',
      heatmaps,
      '--out',
      report,
    ],
    makes: report,
  },
]

const usage = `Usage: npm run quickstart -- [options]

Sets everything up, then makes synthetic cephalograms, trains a small detector on them, predicts, evaluates and
writes a report. A second run goes on where the first one stopped.

Options:
  --fresh     forget the images and the training of an earlier quickstart
  -h, --help  show this help

Example:
  npm run quickstart`

class StepFailed extends Error {}

/** Runs one command of the command line; throws StepFailed with its exit status. */
function perform(words) {
  console.error(`\n$ npx landmark-diffusion ${words.join(' ')}`)
  const { status, error } = spawnSync(
    process.execPath,
    [join('dist', 'cli', 'index.js'), ...words],
    {
      cwd: root,
      stdio: 'inherit',
    },
  )
  if (error) throw new StepFailed(error.message)
  if (status !== 0)
    throw new StepFailed(
      `'landmark-diffusion ${words[0]}' ended with status ${status}; its own message is above.`,
    )
}

/** The record of what was done, by step: a fingerprint of its command and of all before it. */
function readRecord(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return {}
  }
}

function runSteps() {
  const recordFile = join(root, 'runs', 'quickstart.json')
  const record = readRecord(recordFile)
  const chain = createHash('sha256')
  for (const { name, words, makes, resumes } of steps) {
    const fingerprint = chain
      .update(`${words.join('\0')}\n`)
      .copy()
      .digest('hex')
    if (record[name] === fingerprint && existsSync(join(root, makes))) {
      console.error(`${name}: done already`)
      continue
    }
    const goesOn =
      resumes && record[`${name} began`] === fingerprint && existsSync(join(root, makes))
    if (resumes && !goesOn) {
      // A run folder of other settings cannot be resumed.
      rmSync(join(root, run), { recursive: true, force: true })
      record[`${name} began`] = fingerprint
    }
    save(recordFile, record)
    perform(goesOn ? ['train', '--out', run, '--resume'] : words)
    record[name] = fingerprint
    save(recordFile, record)
  }
}

function save(file, record) {
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, `${JSON.stringify(record, null, 2)}\n`)
}

/** The closing table: the model beside the mean shape. */
function summarise() {
  const { mre, sdr, references = [] } = JSON.parse(readFileSync(join(root, result), 'utf8'))
  const rows = [
    ['', 'MRE (mm)', 'SDR 2 mm (%)'],
    ['this model', mre.mean.toFixed(2), sdr['2'].toFixed(1)],
  ]
  const meanShape = references.find(({ name }) => name === 'mean shape')
  if (meanShape)
    rows.push(['mean shape', meanShape.mre.mean.toFixed(2), meanShape.sdr['2'].toFixed(1)])
  console.log()
  for (const [name, ...figures] of rows)
    console.log(`${name.padEnd(12)}${figures.map((text) => text.padStart(14)).join('')}`)
  if (meanShape)
    console.log(
      `\nThe mean shape's error is ${(meanShape.mre.mean / mre.mean).toFixed(1)} times this model's.`,
    )
  console.log(`\nReport: ${pathToFileURL(join(root, report)).href}`)
  console.log(
    'With real images: npx landmark-diffusion train --preset small --data data/isbi --out runs/isbi',
  )
}

async function main(args) {
  let options
  try {
    const known = { fresh: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } }
    options = parseArgs({ args, options: known }).values
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`)
    return 2
  }
  if (options.help) {
    console.log(usage)
    return 0
  }
  const began = performance.now()
  try {
    if (options.fresh)
      for (const folder of [data, run]) rmSync(join(root, folder), { recursive: true, force: true })
    await bootstrap()
    runSteps()
    summarise()
    console.log(`Took ${((performance.now() - began) / 60_000).toFixed(1)} minutes.`)
    return 0
  } catch (error) {
    const expected =
      error instanceof BootstrapError || error instanceof SetupError || error instanceof StepFailed
    console.error(expected ? error.message : error)
    return 1
  }
}

// Ctrl-C reaches the running command too, which saves what it has; this process waits for it.
process.on('SIGINT', () => undefined)
process.exitCode = await main(process.argv.slice(2))
