// What the cases say about each overload, and the table that tells it.
import { readFileSync } from 'node:fs'

/** reasons.json: [{ reason, overloads }] for those that no case can test by value. */
const reasons = new Map(
  JSON.parse(readFileSync(new URL('reasons.json', import.meta.url), 'utf8')).flatMap(
    ({ reason, overloads }) => overloads.map((name) => [name, reason]),
  ),
)

/** Kinds of problems, as the table names them. */
const kinds = {
  value: 'wrong values',
  shape: 'wrong shapes, dtypes or strides',
  alias: 'wrong sharing of memory',
  error: 'errors that PyTorch does not raise',
  refused: 'refused before libtorch',
  silent: 'no error where PyTorch raises one',
  crash: 'crashes',
}

/** Outcomes of all cases, by overload: { overloads, problems, counts, failed }. */
export function coverage(names, outcomes) {
  const overloads = Object.fromEntries(
    names
      .filter((name) => name.startsWith('aten::'))
      .map((name) => [name, { cases: 0, callable: false, tested: false }]),
  )
  const counts = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, 0]))
  const problems = []
  let exact = 0
  let guarded = 0
  for (const outcome of outcomes) {
    const overload = overloads[outcome.op]
    overload.cases++
    const [first] = outcome.problems
    if (first === undefined || !['refused', 'crash'].includes(first.kind)) overload.callable = true
    if (first === undefined) {
      overload.tested ||= outcome.determined && !outcome.guarded
      if (outcome.exact) exact++
      if (outcome.guarded) guarded++
      continue
    }
    for (const kind of new Set(outcome.problems.map((problem) => problem.kind))) counts[kind]++
    problems.push({ op: outcome.op, from: outcome.from, problems: outcome.problems })
  }
  for (const [name, overload] of Object.entries(overloads)) {
    if (!overload.tested) overload.reason = reasons.get(name) ?? null
  }
  return {
    overloads,
    problems,
    counts,
    cases: outcomes.length,
    exact,
    guarded,
    failed: problems.length > 0,
  }
}

function printRows(rows) {
  const width = Math.max(...rows.map(([label]) => label.length))
  for (const [label, value] of rows)
    console.log(`${label.padEnd(width)}  ${String(value).padStart(7)}`)
}

export function printCoverage(
  { overloads, problems, counts, cases, exact, guarded },
  mostProblems,
) {
  const all = Object.entries(overloads)
  const count = (test) => all.filter(([, overload]) => test(overload)).length
  printRows([
    ['overloads in the schema', all.length],
    ['callable', count((overload) => overload.callable)],
    ['tested by value against PyTorch', count((overload) => overload.tested)],
    ['cases', cases],
    ['cases that agree bit for bit', exact],
    ['cases out of bounds that a guard refuses', guarded],
    ...Object.entries(kinds).map(([kind, label]) => [label, counts[kind]]),
  ])
  const byReason = new Map()
  for (const [name, overload] of all) {
    if (overload.tested) continue
    const reason = overload.reason ?? 'no reason known'
    byReason.set(reason, [...(byReason.get(reason) ?? []), name])
  }
  for (const [reason, names] of byReason) {
    console.log(`\nnot tested by value (${names.length}): ${reason}`)
    console.log(`  ${names.join(' ')}`)
  }
  const uncalled = all.filter(([, overload]) => !overload.callable).map(([name]) => name)
  if (uncalled.length > 0) console.log(`\nnot called (${uncalled.length}): ${uncalled.join(' ')}`)
  if (problems.length > 0) console.log(`\nproblems (${problems.length} cases):`)
  for (const { op, from, problems: found } of problems.slice(0, mostProblems)) {
    console.log(`  ${op} [${from}]: ${found[0].kind}: ${found[0].text}`)
  }
}
