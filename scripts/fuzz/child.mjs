// Makes the calls `from` to `to` of a seed, and writes each down before it is made, so that whoever reads the
// log of a dead process knows the call that killed it. Started by fuzz.mjs.
//   node scripts/fuzz/child.mjs <seed> <from> <to> <log> <{ only?, layout?, mutate?, objects?, sweep?, pairs? } as JSON>
import { openSync, writeSync } from 'node:fs'
import * as torch from 'landmark-diffusion/torch'
import { LandmarkDiffusionError } from '#lib/errors.js'
import { chooseCall } from './calls.mjs'
import { pollute } from './pollute.mjs'
import { Random } from './random.mjs'
import { HostileError, show } from './values.mjs'

const [seed, from, to] = process.argv.slice(2, 5).map(Number)
const log = openSync(process.argv[5], 'a')
const kind = JSON.parse(process.argv[6])

// A rejected promise that nobody awaits (an odd argument, or a hostile method) must not end the run.
process.on('unhandledRejection', () => {})

/** The name under which an end is counted; null for an error of no declared type. */
function typeOf(error) {
  if (error instanceof LandmarkDiffusionError) return error.code
  if (error instanceof TypeError) return kind.objects && isAccident(error) ? null : 'TypeError'
  return error instanceof HostileError ? 'from the argument' : null
}

/** Whether a TypeError is the engine's, about a line of ours, and tells a caller nothing of the argument. */
function isAccident({ message, stack }) {
  const [, first = ''] = String(stack).slice(message.length).split('\n')
  // Of null, it is options that were given as null.
  const accident = /^Cannot .*(undefined)|is not (a function|iterable)/
  return accident.test(message) && /[/]dist[/]/.test(first)
}

/** Values of a result, so that one that cannot be read is found at the call that made it. */
async function touch(result) {
  const all = Array.isArray(result) ? result.slice(0, 8) : [result]
  for (const tensor of all) {
    if (tensor instanceof torch.Tensor && !tensor.disposed && tensor.numel < 1e5)
      await tensor.data()
  }
}

async function one(index) {
  writeSync(log, `${index} choosing\n`)
  const call = await chooseCall(seed, index, kind)
  if (call === null) return null
  writeSync(log, `${index} ${call.name}(${call.args.map((arg) => show(arg)).join(', ')})\n`)
  const restore = new Random(seed, -index - 2).chance(0.05) ? pollute() : () => {}
  try {
    const result = await call.run()
    restore()
    await touch(result)
    // Its parameters belong to no scope.
    if (result instanceof torch.nn.Module) result.dispose()
    await torch.synchronize()
    return 'result'
  } catch (error) {
    restore()
    await torch.synchronize().catch(() => {})
    return (
      typeOf(error) ??
      `untyped ${String(error?.stack ?? error)
        .slice(0, 600)
        .replaceAll('\n', ' | ')}`
    )
  } finally {
    restore()
  }
}

for (let index = from; index < to; index++) {
  let outcome
  await torch.scopeAsync(async () => {
    outcome = await one(index)
  })
  if (outcome === null) break
  const rss =
    index % 500 === 0 ? ` rss ${process.memoryUsage.rss()} live ${torch.memory().tensors}` : ''
  writeSync(log, `${index} = ${outcome}${rss}\n`)
}
writeSync(log, 'done\n')
process.exit(0)
