/**
 * The TypeScript blocks of the documentation, type-checked and run. Where a block goes on from something that its
 * text has explained, a comment in front of it makes that: `<!-- given: const model = new torch.nn.Linear(2, 2) -->`.
 * `<!-- not run: reason -->` only checks the types of a block.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { globSync } from 'tinyglobby'
import ts from 'typescript'
import { afterAll, describe, expect, it } from 'vitest'

interface Block {
  /** Where it starts, as `docs/memory.md:8`. */
  place: string
  code: string
  given: string
  runs: boolean
}

const sources = ['README.md', 'docs/**/*.md', 'lib/torch/index.ts']

/** Inside the package, so that it is found by its own name. */
mkdirSync('build', { recursive: true })
const folder = mkdtempSync(resolve('build/docs-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function blocksOf(file: string): Block[] {
  const text = readFileSync(file, 'utf8').replace(/^ \* ?/gm, file.endsWith('.ts') ? '' : '$&')
  const fence = /(?<comments>(?:<!--(?:(?!-->)[\s\S])*-->\s*)*)```ts\n(?<code>[\s\S]*?)\n```/g
  return [...text.matchAll(fence)].map(({ index, groups = {} }) => {
    const { comments = '', code = '' } = groups
    return {
      place: `${file}:${text.slice(0, index + comments.length).split('\n').length}`,
      code,
      given: /<!-- given:([\s\S]*?)-->/.exec(comments)?.[1] ?? '',
      runs: !comments.includes('<!-- not run:'),
    }
  })
}

function moduleOf({ code, given }: Block): string {
  const torch = "import * as torch from 'landmark-diffusion/torch'\n"
  const whole = `${given}\n${code}\n`
  return `${/import \* as torch/.test(whole) ? '' : torch}${whole}\nexport {}\n`
}

const blocks = globSync(sources)
  .sort()
  .flatMap(blocksOf)
  .map((block, index) => ({ ...block, file: join(folder, `block-${index}.mts`) }))
for (const block of blocks) writeFileSync(block.file, moduleOf(block))

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  skipLibCheck: true,
  noEmit: true,
  types: ['node'],
}

describe('the documentation', () => {
  it('has examples', () => {
    expect(blocks.length).toBeGreaterThan(5)
  })

  const program = ts.createProgram(
    blocks.map(({ file }) => file),
    options,
  )
  it.each(blocks)('$place has right types', ({ file }) => {
    const problems = ts.getPreEmitDiagnostics(program, program.getSourceFile(file))
    expect(
      problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
    ).toEqual([])
  })

  it.each(blocks.filter(({ runs }) => runs))('$place runs', async ({ file }) => {
    const script = file.replace(/\.mts$/, '.mjs')
    const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), {
      compilerOptions: { ...options, module: ts.ModuleKind.ES2022 },
    })
    writeFileSync(script, outputText)
    await promisify(execFile)('node', [script], { cwd: folder })
  })
})
