import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { configJsonSchema, formatConfig, loadConfig, presetNames } from '#lib/training/config.js'
import { precisionOn } from '#lib/training/parts.js'

function failure(sources: Parameters<typeof loadConfig>[0]): { code: string; message: string } {
  try {
    loadConfig(sources)
  } catch (error) {
    return error as { code: string; message: string }
  }
  throw new Error('the configuration was accepted')
}

describe('presets', () => {
  test('all four are there and valid', () => {
    expect(presetNames()).toEqual(expect.arrayContaining(['baseline', 'paper', 'small', 'tiny']))
    for (const preset of presetNames()) expect(() => loadConfig({ preset })).not.toThrow()
  })

  test("paper has the paper's table", () => {
    const { model, diffusion, train, data, sampling } = loadConfig({ preset: 'paper' })
    expect(model.encoderChannels).toEqual([32, 64, 128, 256, 256, 512])
    expect(model.decoderChannels).toEqual([256, 128, 64, 64, 32, 32])
    expect(model.attention).toEqual([4, 8])
    expect([data.width, data.height]).toEqual([640, 800])
    expect([diffusion.timesteps, diffusion.betaStart, diffusion.betaEnd]).toEqual([200, 1e-4, 0.02])
    expect([train.epochs, train.batchSize, train.lr, train.weightDecay]).toEqual([
      120, 1, 1e-4, 1e-4,
    ])
    expect([sampling.steps, sampling.blur.kernelSize, sampling.blur.sigmaMax]).toEqual([
      200, 13, 14,
    ])
  })

  test('baseline differs from paper in the objective only', () => {
    const { diffusion, ...rest } = loadConfig({ preset: 'baseline' })
    const { diffusion: paper, ...paperRest } = loadConfig({ preset: 'paper' })
    expect(rest).toEqual(paperRest)
    expect(diffusion).toEqual({ ...paper, objective: 'none' })
  })

  test('a misspelt preset is answered with the nearest name', () => {
    const { code, message } = failure({ preset: 'smal' })
    expect(code).toBe('ERR_CONFIG')
    expect(message).toContain('did you mean small?')
  })
})

describe('configuration files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ld-config-'))

  test('a file changes the preset that it names, and nothing else', () => {
    const file = join(folder, 'own.yaml')
    writeFileSync(file, 'preset: small\ntrain:\n  lr: 0.25\n')
    const preset = loadConfig({ preset: 'small' })
    expect(loadConfig({ config: file })).toEqual({
      ...preset,
      train: { ...preset.train, lr: 0.25 },
    })
  })

  test('the effective configuration reads back to itself', () => {
    const config = loadConfig({ preset: 'tiny', set: ['train.accumulate={0: 32, 4: 16}'] })
    const file = join(folder, 'effective.yaml')
    writeFileSync(file, formatConfig(config))
    expect(loadConfig({ config: file })).toEqual(config)
    expect(readFileSync(file, 'utf8')).toContain('encoderChannels: [8, 16, 16]')
  })

  test('JSON is read too', () => {
    const file = join(folder, 'own.json')
    writeFileSync(file, JSON.stringify({ preset: 'tiny', train: { seed: 7 } }))
    expect(loadConfig({ config: file }).train.seed).toBe(7)
  })

  test('a file that is no YAML is named', () => {
    const file = join(folder, 'broken.yaml')
    writeFileSync(file, 'train: [1,')
    expect(failure({ config: file }).message).toContain('broken.yaml: is neither YAML nor JSON')
  })
})

describe('overrides', () => {
  test('values are YAML', () => {
    const { model, train, augmentation } = loadConfig({
      preset: 'paper',
      set: ['train.lr=5e-4', 'model.attention=[8, 16]', 'train.clipNorm=1', 'augmentation=null'],
    })
    expect(train.lr).toBe(5e-4)
    expect(model.attention).toEqual([8, 16])
    expect(train.clipNorm).toBe(1)
    expect(augmentation).toBeNull()
  })

  test('a schedule of accumulation is replaced as a whole', () => {
    const { train } = loadConfig({
      config: { train: { accumulate: { 0: 8, 4: 4 } } },
      set: ['train.accumulate={0: 2}'],
    })
    expect(train.accumulate).toEqual({ 0: 2 })
  })

  test('an override without a value is refused', () => {
    expect(failure({ preset: 'tiny', set: ['train.lr'] }).message).toContain('section.key=value')
  })
})

describe('mistakes', () => {
  test.each([
    ['train.lrr=1', 'unknown key train.lrr: did you mean train.lr?'],
    ['train.width=64', 'unknown key train.width: did you mean data.width?'],
    ['trian.lr=1', 'unknown key trian: did you mean train?'],
    ['sampling.decode.methd=argmax', 'did you mean sampling.decode.method?'],
    ['model.heads=two', 'model.heads: Invalid input: expected number, received string, got "two"'],
    ['data.width=90', 'data.width: 90 is not a multiple of 4 (3 levels); 92 is'],
    ['model.groups=3', 'model.encoderChannels: 8 channels cannot be split into model.groups = 3'],
    ['model.attention=[8]', 'there is no level at downsample 8'],
    ['model.decoderChannels=[16, 8]', 'has 2 levels, model.encoderChannels has 3'],
    ['sampling.steps=21', '21 is more than diffusion.timesteps = 20'],
  ])('%s is answered with its path and the remedy', (assignment, expected) => {
    const { code, message } = failure({ preset: 'tiny', set: [assignment] })
    expect(code).toBe('ERR_CONFIG')
    expect(message).toContain(expected)
  })
})

test('the JSON Schema describes every key and requires none', () => {
  interface Node {
    properties?: Record<string, Node>
    required?: string[]
    anyOf?: Node[]
    description?: string
  }
  const bare: string[] = []
  const walk = (node: Node, path: string) => {
    expect(node.required ?? [], path).toEqual([])
    for (const part of [node, ...(node.anyOf ?? [])])
      for (const [key, inner] of Object.entries(part.properties ?? {})) {
        if (!inner.description) bare.push(`${path}.${key}`)
        walk(inner, `${path}.${key}`)
      }
  }
  walk(configJsonSchema() as Node, '')
  expect(bare).toEqual([])
})

describe('precision', () => {
  test('auto is bfloat16 on a GPU and float32 on the CPU; what is named stays', () => {
    expect(precisionOn('cuda:0', 'auto')).toBe('bfloat16')
    expect(precisionOn('cpu', 'auto')).toBe('float32')
    expect(precisionOn('cpu', 'bfloat16')).toBe('bfloat16')
    expect(precisionOn('cuda:1', 'float32')).toBe('float32')
  })
})
