import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { tables } from '#lib/cli/reproduction/tables.js'
import { loadConfig } from '#lib/training/config.js'
import { syntheticData, temporaryFolder } from '../training/fixtures.js'

const program = join(import.meta.dirname, '../../dist/cli/index.js')

let data = ''
/** Where table1 is reproduced by the first test; the runs there serve table2 too. */
const shared = temporaryFolder()
beforeAll(async () => {
  data = await syntheticData()
})

function run(...words: string[]) {
  return spawnSync(process.execPath, [program, ...words], { encoding: 'utf8' })
}

/** Two steps of training a run: the machinery, not the quality. */
const quick = ['--preset', 'tiny', '--set', 'train.steps=2', '--set', 'train.validation.images=0']

function reproduce(table: string, out: string, ...words: string[]) {
  return run('reproduce', table, '--data', data, '--out', out, ...quick, ...words)
}

// Each test starts up to a dozen processes one after the other.
describe('landmark-diffusion reproduce', { timeout: 240_000 }, () => {
  it("trains, predicts and scores each row once, and prints it beside the paper's figure", () => {
    const out = shared
    const first = reproduce('table1', out, '--seeds', '2')
    expect(first.status).toBe(0)
    expect(first.stdout).toMatch(
      /^without diffusion +\d+\.\d\d .* 1\.27 +- +82\.60 +88\.25 +96\.00$/m,
    )
    expect(first.stdout).toMatch(
      /^diffusion, chain of 4 steps .* 1\.11 +1\.04 +86\.04 +90\.84 +97\.37$/m,
    )
    const commands = first.stderr.match(/^\$ landmark-diffusion \w+/gm)
    // One step and the chain come from the same run; without diffusion there is nothing that a second seed changes.
    expect(commands?.filter((line) => line.endsWith('train'))).toHaveLength(2)
    expect(commands?.filter((line) => line.endsWith('predict'))).toHaveLength(5)

    const { rows } = JSON.parse(readFileSync(join(out, 'table1.json'), 'utf8'))
    const [baseline, single] = rows
    expect(rows.map(({ id }: { id: string }) => id)).toEqual([
      'baseline',
      'single-step',
      'multi-step',
    ])
    expect(baseline.seeds).toBeNull()
    expect(single.paper).toEqual({ mre: 1.45, sdr: { '2': 80.21, '2.5': 86.95, '4': 95.97 } })
    // The same from the command that anyone would use for the predictions that were left.
    const scored = ['evaluate', '--annotations', data, '--split', 'test1', '--convention', 'strict']
    const evaluated = run(
      ...[
        ...scored,
        '--predictions',
        single.predictions[0],
        '--repeats',
        single.predictions[1],
        '--json',
      ],
    )
    const { mre, seeds } = JSON.parse(evaluated.stdout)
    expect(single.result.mre).toEqual(mre)
    expect(single.seeds).toEqual(seeds)
    expect(seeds.mre.values).toHaveLength(2)

    const second = reproduce('table1', out, '--seeds', '2')
    expect(second.stdout).toBe(first.stdout)
    expect(second.stderr).not.toMatch(/^\$/m)
  })

  it('goes on where it was interrupted', async () => {
    const out = temporaryFolder()
    const words = ['reproduce', 'ablation-objective', '--data', data, '--out', out, ...quick]
    const child = spawn(process.execPath, [program, ...words])
    let said = ''
    const status = await new Promise((resolve) => {
      child.stderr.on('data', (text: Buffer) => {
        said += text
        // The second row's training has begun.
        if (/--set diffusion\.objective=epsilon/.test(said) && !child.killed) child.kill('SIGINT')
      })
      child.on('close', resolve)
    })
    expect(status).not.toBe(0)
    expect(said).toMatch(/Interrupted; the same command goes on from here/)
    const { status: again, stderr, stdout } = run(...words)
    expect(again).toBe(0)
    expect(stderr).toMatch(/^Done already: landmark-diffusion train .*objective=x0/m)
    expect(stderr).toMatch(/^\$ landmark-diffusion train .*objective=epsilon/m)
    expect(stdout).toMatch(
      /^noise \(epsilon\), chain of 4 steps: the paper: never better than 4 mm\.$/m,
    )
  })

  it('predicts what it cannot score, from the runs that other tables have trained', () => {
    for (const doctor of ['400_senior', '400_junior'])
      for (const id of ['301', '302'])
        renameSync(
          join(data, 'AnnotationsByMD', doctor, `${id}.txt`),
          join(temporaryFolder(), `${id}.txt`),
        )
    const { status, stdout, stderr } = reproduce('table2', shared, '--json')
    expect(status).toBe(0)
    expect(stderr).not.toMatch(/^\$ landmark-diffusion train/m)
    const { rows, split } = JSON.parse(stdout)
    expect(split).toBe('test2')
    for (const row of rows) {
      expect(row.result).toBeNull()
      expect(JSON.parse(readFileSync(row.predictions[0], 'utf8')).images).toHaveLength(2)
    }
  })

  it('ends with one sentence where it cannot begin', () => {
    const out = temporaryFolder()
    expect(run('reproduce', 'table3', '--data', data, '--out', out)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/table1, table2, ablation-T, ablation-objective/),
    })
    expect(
      run('reproduce', 'table1', '--data', data, '--out', out, '--preset', 'baseline'),
    ).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/baseline is without diffusion/),
    })
    mkdirSync(out, { recursive: true })
    writeFileSync(join(out, 'stages.json'), '{"a":')
    expect(reproduce('table1', out)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/stages\.json is not JSON/),
    })
  })
})

describe('the tables', () => {
  const rowsOf = (name: keyof typeof tables, preset: string) =>
    tables[name].rows(loadConfig({ preset }))

  it('at the preset of the paper are the runs of the paper', () => {
    expect(rowsOf('table1', 'paper').map(({ steps }) => steps)).toEqual([1, 1, 200])
    const lengths = rowsOf('ablation-T', 'paper')
    expect(lengths.map(({ steps }) => steps)).toEqual([50, 100, 200, 400])
    expect(lengths.map(({ run: name }) => name)).toEqual(['T50', 'T100', 'diffusion', 'T400'])
  })

  it.each(['paper', 'isbi-diffusion', 'small', 'tiny'])(
    'change the preset %s to settings that fit together',
    (preset) => {
      for (const name of Object.keys(tables) as (keyof typeof tables)[])
        for (const { set, steps } of rowsOf(name, preset)) {
          const { diffusion } = loadConfig({ preset, set })
          if (diffusion.objective !== 'none') expect(steps).toBeLessThanOrEqual(diffusion.timesteps)
        }
    },
  )
})
