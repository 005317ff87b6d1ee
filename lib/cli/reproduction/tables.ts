/**
 * The tables of the paper (arXiv 2407.09192) as rows that can be trained and scored: what a row changes in a preset, and
 * the figure that the paper gives for it. The paper's two test sets are taken as two tables, `table1` for Test 1 and
 * `table2` for Test 2. Where the paper gives no figure for a row, or only words, the row says so.
 */

import { type PublishedFigures, paperResults } from '../../evaluation/published.js'
import type { Config } from '../../training/config.js'

export interface Row {
  /** Also the name of the row's folder. */
  readonly id: string
  readonly name: string
  /** The run that predicts the row: rows of the same run share its training. */
  readonly run: string
  /** What the run changes in the preset. */
  readonly set: readonly string[]
  /** Network evaluations a chain. */
  readonly steps: number
  readonly paper: PublishedFigures | null
  /** What the paper says in words, or that it says nothing. */
  readonly note?: string
}

export interface Table {
  readonly title: string
  readonly split: 'test1' | 'test2'
  readonly rows: (config: Config) => readonly Row[]
}

function baselineRow(split: Table['split']): Row {
  return {
    id: 'baseline',
    name: 'without diffusion',
    run: 'baseline',
    set: ['diffusion.objective=none'],
    steps: 1,
    paper: paperResults.baseline[split],
  }
}

/** The paper's method, with a chain of `steps`. */
function diffusionRow(id: string, name: string, steps: number, paper: Row['paper']): Row {
  return { id, name, run: 'diffusion', set: ['diffusion.objective=x0'], steps, paper }
}

function chainName(steps: number): string {
  return steps === 1 ? 'chain of 1 step' : `chain of ${steps} steps`
}

function mainTable(split: Table['split']): Table {
  return {
    title: `Results on ${split === 'test1' ? 'Test 1' : 'Test 2'}`,
    split,
    rows: ({ sampling: { steps } }) => [
      baselineRow(split),
      diffusionRow('single-step', 'diffusion, one step', 1, paperResults.singleStep[split]),
      diffusionRow(
        'multi-step',
        `diffusion, ${chainName(steps)}`,
        steps,
        paperResults.multiStep[split],
      ),
    ],
  }
}

/** Lengths of the forward process; the paper names 50 and 200, and says that nothing is gained beyond. */
const lengths = [50, 100, 200, 400]

const paperOfLength: Readonly<Record<number, Pick<Row, 'paper' | 'note'>>> = {
  50: { paper: { mre: 1.5 } },
  200: { paper: paperResults.multiStep.test1 },
  400: { paper: null, note: 'the paper: no gain beyond 200; figure not known' },
}

/** A chain as long, in proportion to T, as the preset's: all T steps where the preset takes all. */
function proportionalSteps({ sampling, diffusion }: Config, length: number): number {
  return Math.max(1, Math.round((sampling.steps * length) / diffusion.timesteps))
}

export const tables = {
  table1: mainTable('test1'),
  table2: mainTable('test2'),
  'ablation-T': {
    title: 'Length T of the forward process, Test 1',
    split: 'test1',
    rows: (config) =>
      lengths.map((length): Row => {
        const steps = proportionalSteps(config, length)
        const own = length === config.diffusion.timesteps
        return {
          id: `T${length}`,
          name: `T = ${length}, ${chainName(steps)}`,
          run: own ? 'diffusion' : `T${length}`,
          set: [
            'diffusion.objective=x0',
            ...(own ? [] : [`diffusion.timesteps=${length}`, `sampling.steps=${steps}`]),
          ],
          steps,
          ...(paperOfLength[length] ?? { paper: null, note: 'figure not known' }),
        }
      }),
  },
  'ablation-objective': {
    title: 'What the network predicts, Test 1',
    split: 'test1',
    rows: ({ sampling: { steps } }) => [
      diffusionRow('x0', `x0, ${chainName(steps)}`, steps, paperResults.multiStep.test1),
      {
        id: 'epsilon',
        name: `noise (epsilon), ${chainName(steps)}`,
        run: 'epsilon',
        set: ['diffusion.objective=epsilon'],
        steps,
        paper: null,
        note: 'the paper: never better than 4 mm',
      },
    ],
  },
} as const satisfies Record<string, Table>

export type TableName = keyof typeof tables
