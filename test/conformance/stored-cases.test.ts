/**
 * Calls of every aten overload with PyTorch's results (made by scripts/conformance/generate.py): each is
 * made twice through `torch.call`, and all that a caller can see is compared.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'
import { coverage } from '../../scripts/conformance/coverage.mjs'
import { type Case, readCases, type TensorSpec } from '../../scripts/conformance/frames.mjs'
import { type Outcome, replay } from '../../scripts/conformance/replay.mjs'

const folder = fileURLToPath(new URL('../fixtures/conformance/', import.meta.url))
const files = readdirSync(folder).filter((name) => name.startsWith('cases'))
const cases = files.map((name) => [...readCases(join(folder, name))])

/** Operators and their last bits differ from release to release. */
const madeWith = '2.13'
const here = torch.versions().libtorch
const elsewhere = !here.startsWith(`${madeWith}.`)
const because = elsewhere ? ` (skipped: libtorch is ${here}, the cases are of ${madeWith})` : ''

describe.skipIf(elsewhere)(`torch.call gives what PyTorch gives${because}`, () => {
  const outcomes: (Outcome & { op: string })[] = []

  test.each(files.map((name, i) => [name, i] as const))('for each case of %s', async (_, i) => {
    const wrong: string[] = []
    for (const one of cases[i] as Case[]) {
      const outcome = await replay(one)
      const { op, from, determined = false } = one.header
      outcomes.push({ ...outcome, op, determined })
      for (const { kind, text } of outcome.problems) wrong.push(`${op} [${from}]: ${kind}: ${text}`)
    }
    expect(wrong).toEqual([])
  })

  test('every overload of the schema is tested by value or has a reason why not', () => {
    const { overloads } = coverage(torch.ops(), outcomes)
    const names = Object.keys(overloads)
    expect(names.length).toBeGreaterThan(3000)
    expect(names.filter((name) => !overloads[name]?.tested && !overloads[name]?.reason)).toEqual([])
    expect(names.filter((name) => !overloads[name]?.callable)).toEqual([])
  })
})

describe('the comparison sees', () => {
  const isPlain = ({ header }: Case) =>
    header.op === 'aten::add.Tensor' && (header.result.tensor?.values?.[1] ?? 0) > 0
  const add = cases.flat().find(isPlain) as Case
  const changed = (change: (header: Case['header'], body: Buffer) => void): Case => {
    const one = { header: structuredClone(add.header), body: Buffer.from(add.body) }
    change(one.header, one.body)
    return one
  }
  const kinds = async (one: Case) => (await replay(one)).problems.map(({ kind }) => kind)

  test('nothing wrong in the case as it is', async () => {
    expect(await kinds(add)).toEqual([])
  })

  test('a wrong value', async () => {
    const wrong = changed((header, body) => {
      const { values } = header.result.tensor as TensorSpec
      const [start] = values as [number, number]
      body.fill(0x55, start, start + 4)
    })
    expect(await kinds(wrong)).toContain('value')
  })

  test('wrong strides', async () => {
    const wrong = changed((header) => {
      Object.assign(header.result.tensor as object, { strides: [77, 1] })
    })
    expect(await kinds(wrong)).toContain('shape')
  })

  test('memory that is not shared', async () => {
    expect(await kinds(changed((header) => header.aliases.push([0, 0])))).toContain('alias')
  })

  test('an argument that is refused before libtorch sees it', async () => {
    expect(await kinds(changed((header) => header.args.push(1, 2, 3)))).toContain('refused')
  })

  test('an error that PyTorch raises and that is not raised here', async () => {
    expect(await kinds(changed((header) => Object.assign(header, { refused: 'no' })))).toContain(
      'silent',
    )
  })
})
