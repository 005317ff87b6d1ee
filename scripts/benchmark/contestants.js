// The processes that take turns: our ways to run a workload, and PyTorch's. One process each, so that memory and first
// calls are its own; asked by a line of JSON and answering with one.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import * as torch from 'landmark-diffusion/torch'
import { fail } from './measure.js'

/** What performance-minded users of PyTorch set: memory that was freed stays with the process. */
const retaining = {
  GLIBC_TUNABLES:
    'glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=67108864',
}
const frozen = { TORCHINDUCTOR_FREEZING: '1' }

/** How torch.compile is asked. Autotuning on a CPU is of matrix products by constant weights: not in training. */
const compiled = {
  default: { mode: 'default', env: {} },
  'no-reindexing': { mode: 'default', env: { TORCHINDUCTOR_LOOP_REINDEXING_AFTER_FUSION: '0' } },
  freezing: { mode: 'default', env: frozen, constantWeights: true },
  'max-autotune': { mode: 'max-autotune', env: frozen, constantWeights: true },
  // The loss too, with the network inside of it.
  loss: { mode: 'default', env: {}, wholeLoss: true },
}

/** PyTorch's variants for a kind of workload: { name, layout, compile, env }. */
export function pytorchVariants(kind) {
  const trains = kind === 'step' || kind === 'epoch'
  const modes = Object.entries(compiled).filter(([, { constantWeights, wholeLoss }]) =>
    trains ? !constantWeights && (!wholeLoss || kind === 'step') : !wholeLoss,
  )
  return ['contiguous', 'channels_last'].flatMap((layout) => {
    const short = layout === 'contiguous' ? 'nchw' : 'nhwc'
    return [
      { name: `eager-${short}`, layout, compile: null, env: {} },
      { name: `eager-${short}-retaining`, layout, compile: null, env: retaining },
      ...modes.map(([name, { mode, env, wholeLoss = false }]) => ({
        name: `compile-${short}-${name}`,
        layout,
        compile: mode,
        wholeLoss,
        env: { ...retaining, ...env },
      })),
    ]
  })
}

export const ourVariants = (names) =>
  names.map((name) => ({ name, run: name.replace(/^ours-/, ''), env: {} }))

/** The option that names the Python, for `readOptions`. */
export const pythonOption = [
  '--python <file>',
  'a Python with torch of the same release, and safetensors',
  process.env.LANDMARK_DIFFUSION_PYTHON ?? 'python3',
]

/** The version of torch of that Python; ends with what is missing, before any work is done. */
export function torchOfPython(python) {
  const { error, status, stdout, stderr } = spawnSync(
    python,
    ['-c', 'import safetensors, torch; print(torch.__version__)'],
    { encoding: 'utf8' },
  )
  const remedy = 'give one that has torch and safetensors with --python'
  if (error) fail(`The Python '${python}' cannot be started (${error.message}); ${remedy}.`)
  if (status !== 0) {
    fail(`The Python '${python}' cannot be used (${stderr.trim().split('\n').at(-1)}); ${remedy}.`)
  }
  const theirs = stdout.trim()
  const ours = torch.versions().libtorch
  const minor = (version) => version.split('.').slice(0, 2).join('.')
  if (minor(theirs) !== minor(ours)) {
    fail(
      `'${python}' has torch ${theirs} and this package libtorch ${ours}: the figures would compare two releases; give one of ${minor(ours)}.`,
    )
  }
  return theirs
}

/** Starts the processes of one workload; `workload` as `makeWorkload` gives it. */
export async function openRing(workload, { threads, python }) {
  const root = mkdtempSync(join(tmpdir(), 'beside-pytorch-'))
  process.on('exit', () => rmSync(root, { recursive: true, force: true }))
  const tensors = join(root, 'case.safetensors')
  await torch.save(tensors, workload.tensors)

  function start({ name, env, ...variant }) {
    const folder = mkdtempSync(join(root, `${name}-`))
    const words = { ...workload.description, variant, threads, tensors }
    writeFileSync(join(folder, 'case.json'), JSON.stringify(words))
    const isOurs = variant.run !== undefined
    const script = fileURLToPath(
      new URL(isOurs ? './ours.js' : './pytorch_variant.py', import.meta.url),
    )
    const child = spawn(isOurs ? process.execPath : python, [script, folder], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, OMP_NUM_THREADS: String(threads), ...env },
    })
    const lost = ({ message }) => fail(`The process of ${name} was lost: ${message}`)
    child.on('error', lost)
    child.stdin.on('error', lost)
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    async function ask(command) {
      child.stdin.write(`${JSON.stringify(command)}\n`)
      const { value, done } = await lines.next()
      if (done) fail(`The process of ${name} ended early; its own message is above.`)
      return JSON.parse(value)
    }
    /** The first run: { first, import, torch }, and its result, a Float32Array for each part. */
    async function check() {
      const { parts, ...figures } = await ask({ check: true })
      const file = join(folder, 'result')
      const { buffer, byteOffset } = readFileSync(file)
      rmSync(file)
      let at = byteOffset
      const result = Object.entries(parts).map(([part, length]) => {
        const values = new Float32Array(buffer, at, length)
        at += 4 * length
        return [part, values]
      })
      return { ...figures, result: Object.fromEntries(result) }
    }
    const end = () =>
      new Promise((resolve) => {
        child.on('close', resolve)
        child.stdin.end()
      })
    return { name, isOurs, ask, check, end }
  }
  return { start }
}

/** |a - b| / |b| of every part. */
export function distances(a, b) {
  return Object.fromEntries(
    Object.entries(b).map(([part, values]) => [part, relativeDistance(a[part] ?? [], values)]),
  )
}

function relativeDistance(a, b) {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let difference = 0
  let norm = 0
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2
    norm += b[i] ** 2
  }
  return Math.sqrt(difference / norm)
}
