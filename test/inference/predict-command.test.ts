import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, test } from 'vitest'
import { readPredictions } from '#lib/evaluation/predictions.js'
import { readHeatmaps } from '#lib/evaluation/uncertainty/heatmap-file.js'
import { findInputs } from '#lib/inference/inputs.js'
import { runToEnd, syntheticData, temporaryFolder } from '../training/fixtures.js'

const cli = join(import.meta.dirname, '../../dist/cli/index.js')
let data: string
let run: string
beforeAll(async () => {
  data = await syntheticData()
  run = temporaryFolder()
  await runToEnd({ preset: 'tiny', data, out: run, set: ['train.steps=2'] })
})

function predict(...words: string[]) {
  return spawnSync(process.execPath, [cli, 'predict', ...words], { encoding: 'utf8' })
}

describe('inputs', () => {
  test('of a data set are the images of a split, with its pixel size', async () => {
    const images = await findInputs([data], { split: 'test1' })
    expect(images.map(({ id }) => id)).toEqual(['151', '152', '153', '154', '155'])
    expect(images[0]?.pixelSize).toEqual([1.6, 1.6])
    expect(images[0]?.scaleSource).toContain('dataset.json')
  })

  test('may be folders, globs and files; an image named twice comes once', async () => {
    const folder = join(data, 'RawImage/Test2Data')
    const images = await findInputs([folder, `${folder}/*.png`, join(folder, '301.png')])
    expect(images.map(({ id }) => id)).toEqual(['301', '302'])
  })

  test('outside of a data set have no pixel size', async () => {
    const folder = temporaryFolder()
    cpSync(join(data, 'RawImage/Test2Data/301.png'), join(folder, 'a.png'))
    mkdirSync(join(folder, 'b'))
    cpSync(join(folder, 'a.png'), join(folder, 'b', 'a.png'))
    const images = await findInputs([folder])
    expect(images.map(({ pixelSize }) => pixelSize)).toEqual([null, null])
    expect(new Set(images.map(({ id }) => id)).size).toBe(2)
  })

  test('that match nothing are named', async () => {
    await expect(findInputs(['nowhere/*.png'])).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('nowhere/*.png'),
    })
  })
})

describe('the command', () => {
  test('writes a valid predictions file, the other formats, heatmaps, a film strip and overlays', async () => {
    const folder = temporaryFolder()
    const out = join(folder, 'p.json')
    const pictures = ['--heatmaps', join(folder, 'maps'), '--overlay', join(folder, 'overlay')]
    const formats = ['--format', 'json,csv,coco,slicer,isbi']
    const { status, stderr, stdout } = predict(
      ...[data, '--split', 'test2', '--run', run, '--out', out, '--steps', '4', '--chains', '2'],
      ...formats,
      ...pictures,
    )
    expect(stderr).toContain('pixel size 1.6 x 1.6 mm')
    expect(status).toBe(0)
    expect(stdout).toBe('')
    const { images, landmarks } = await readPredictions(out)
    expect(landmarks).toHaveLength(19)
    expect(images.map(({ id, file }) => [id, file])).toEqual([
      ['301', '301.png'],
      ['302', '302.png'],
    ])
    const [first] = images
    expect(first?.chains).toHaveLength(2)
    expect(Object.keys(first?.uncertainty?.[0] ?? {}).sort()).toEqual([
      'between',
      'confidence',
      'covariance',
      'ere',
      'mean',
      'within',
    ])
    expect((await readHeatmaps(join(folder, 'maps/301/heatmaps.safetensors'))).width).toBe(32)
    expect(first?.filmstrip?.map(({ t }) => t)).toEqual([19, 14, 9, 4])
    for (const { file } of first?.filmstrip ?? []) {
      const { width, height } = await sharp(join(folder, file)).metadata()
      expect([width, height]).toEqual([32, 40])
    }
    const strip = await sharp(join(folder, 'maps/301/film.png')).metadata()
    expect(strip.width).toBeGreaterThan(4 * 32)
    for (const name of ['p.csv', 'p.coco.json', 'p.slicer/301.mrk.json', 'p.isbi/302.txt'])
      expect(existsSync(join(folder, name)), name).toBe(true)
    const overlay = await sharp(join(folder, 'overlay/301.jpg')).metadata()
    expect([overlay.width, overlay.height]).toEqual([121, 150])
    expect(readFileSync(join(folder, 'p.isbi/302.txt'), 'utf8').trim().split('\n')).toHaveLength(19)
  })

  test('without --out prints the predictions, and nothing else, on standard output', () => {
    const { status, stdout } = predict(join(data, 'RawImage/Test2Data/301.png'), '--run', run)
    expect(status).toBe(0)
    expect(JSON.parse(stdout).images).toHaveLength(1)
  })

  test('gives no millimetres without a scale, and says so', () => {
    const file = join(temporaryFolder(), 'a.png')
    cpSync(join(data, 'RawImage/Test2Data/301.png'), file)
    const { status, stdout, stderr } = predict(file, '--run', run)
    expect(status).toBe(0)
    expect(stderr).toContain('pixel size unknown')
    expect(JSON.parse(stdout).images[0].pixelSize).toBeNull()
    const slicer = predict(file, '--run', run, '--format', 'slicer', '--out', `${file}.json`)
    expect(slicer.status).toBe(2)
    expect(slicer.stderr).toContain('--pixel-size')
  })

  test('goes on after an image that cannot be read, names it, and fails', () => {
    const folder = temporaryFolder()
    cpSync(join(data, 'RawImage/Test2Data/301.png'), join(folder, 'good.png'))
    writeFileSync(join(folder, 'bad.png'), 'this is no picture')
    const { status, stdout, stderr } = predict(folder, '--run', run)
    expect(status).toBe(1)
    expect(stderr).toContain('bad.png')
    expect(JSON.parse(stdout).images.map(({ id }: { id: string }) => id)).toEqual(['good'])
  })

  test('is told what is wrong with a run that does not exist', () => {
    const { status, stderr } = predict(data, '--run', '/nowhere')
    expect(status).toBe(1)
    expect(stderr).toContain('/nowhere')
    expect(stderr).not.toContain('    at ')
  })
})
