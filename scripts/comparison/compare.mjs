// Measures the bindings of adapters.mjs that FOLDER/node_modules holds, each in a process of its own.
//   node scripts/comparison/compare.mjs FOLDER
// FOLDER is a scratch folder in which they were installed: npm install onnxruntime-node @jax-js/jax ...
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { adapters } from './adapters.mjs'

const folder = resolve(process.argv[2] ?? '.')
const measure = fileURLToPath(new URL('./measure.mjs', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))

for (const name of Object.keys(adapters)) {
  const own = name === 'landmark-diffusion'
  if (!own && !existsSync(join(folder, 'node_modules', name))) {
    console.log(`${name}: not installed in ${folder}`)
    continue
  }
  const { stdout, stderr, status, signal } = spawnSync(
    process.execPath,
    ['--expose-gc', measure, name, own ? root : folder],
    { encoding: 'utf8', timeout: 200_000, env: { ...process.env, OMP_NUM_THREADS: '1' } },
  )
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'))
  console.log(name)
  for (const line of lines) {
    for (const [what, value] of Object.entries(JSON.parse(line))) {
      if (what === 'blocking') {
        const share = Math.min(1, value.longest / value.whole)
        console.log(
          `  longest time without the event loop, of the whole op: ${(100 * share).toFixed(0)} %`,
        )
      } else if (what !== 'name') console.log(`  ${what}: ${JSON.stringify(value)}`)
    }
  }
  console.log(`  process ended with ${signal ?? status}`)
  if (lines.length < 2) console.log(stderr.trimEnd().split('\n').slice(-5).join('\n'))
}
