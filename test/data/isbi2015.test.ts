import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readAnnotations, readIsbi } from '#lib/data/isbi2015.js'

let dir: string
const lines = (shift: number) => Array.from({ length: 19 }, (_, i) => `${10 + i + shift},${20 + i}`)

async function annotate(doctor: string, id: string, content: readonly string[]) {
  const folder = join(dir, 'AnnotationsByMD', doctor)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, `${id}.txt`), `${content.join('\r\n')}\r\n`)
}

async function image(folder: string, name: string) {
  await mkdir(join(dir, 'RawImage', folder), { recursive: true })
  await sharp({ create: { width: 60, height: 80, channels: 3, background: 'grey' } })
    .toFormat(name.endsWith('.png') ? 'png' : 'jpeg')
    .toFile(join(dir, 'RawImage', folder, name))
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ld-isbi-'))
  for (const id of ['001', '002']) {
    await image('TrainingData', `${id}.png`)
    await annotate('400_senior', id, lines(0))
    await annotate('400_junior', id, lines(3))
  }
  await image('Test2Data', '301.jpg')
})
afterEach(() => rm(dir, { recursive: true }))

const dataError = (...parts: string[]) =>
  expect.objectContaining({
    code: 'ERR_DATA',
    message: expect.stringMatching(new RegExp(parts.join('.*'), 's')),
  })
const train = () => readIsbi(dir, { split: 'train', truth: 'mean' })

describe('readIsbi', () => {
  test('gives id, file, size, pixel size and the mean of the two doctors', async () => {
    const [first, second] = await train()
    expect(second?.id).toBe('002')
    expect(first).toMatchObject({ width: 60, height: 80, pixelSize: [0.1, 0.1] })
    expect(first?.file).toBe(join(dir, 'RawImage/TrainingData/001.png'))
    expect(first?.points).toHaveLength(19)
    expect(first?.points?.[2]).toEqual([13.5, 22])
  })

  test('gives one doctor where asked', async () => {
    const read = async (truth: 'senior' | 'junior' | 'challenge') =>
      (await readIsbi(dir, { split: 'train', truth }))[0]?.points?.[0]
    expect(await read('senior')).toEqual([10, 20])
    expect(await read('junior')).toEqual([13, 20])
    expect(await read('challenge')).toEqual([10, 20])
  })

  test('images of a split without any label have no points, those of others keep theirs', async () => {
    const samples = await readIsbi(dir, { split: 'all', truth: 'mean' })
    expect(samples.map(({ id, points }) => [id, points?.length ?? null])).toEqual([
      ['001', 19],
      ['002', 19],
      ['301', null],
    ])
  })

  test('takes a list of ids, and says which one it does not find', async () => {
    expect(await readIsbi(dir, { split: ['301', '002'], truth: null })).toHaveLength(2)
    await expect(readIsbi(dir, { split: ['003'], truth: null })).rejects.toEqual(
      dataError('003', 'RawImage'),
    )
  })

  test("dataset.json's pixel size replaces the official one, and its mistakes are named", async () => {
    const content = { format: 'landmark-diffusion/dataset', version: 1, pixelSize: [0.4, 0.4] }
    await writeFile(join(dir, 'dataset.json'), JSON.stringify(content))
    expect((await train())[0]?.pixelSize).toEqual([0.4, 0.4])
    await writeFile(join(dir, 'dataset.json'), JSON.stringify({ ...content, pixelSize: [0.4] }))
    await expect(train()).rejects.toEqual(dataError('dataset\\.json', 'pixelSize'))
    await writeFile(join(dir, 'dataset.json'), '{')
    await expect(train()).rejects.toEqual(dataError('dataset\\.json', 'JSON'))
  })

  test('a folder without the layout is refused with the layout that was expected', async () => {
    await expect(readIsbi(join(dir, 'RawImage'), { split: 'train', truth: null })).rejects.toEqual(
      dataError('no image', 'RawImage/\\{TrainingData'),
    )
  })

  test('two images with one id are refused', async () => {
    await image('TrainingData', '001.jpg')
    await expect(train()).rejects.toEqual(dataError('001\\.', 'second image'))
  })
})

describe('a malformed annotation is refused with file, line and what was expected:', () => {
  const cases: [string, (good: string[]) => string[], string[]][] = [
    ['a missing line', (good) => good.slice(0, 18), ['002\\.txt:19', 'ends after 18', '19 lines']],
    ['an empty line', (good) => good.with(4, ''), ['002\\.txt:5', 'landmark 5 \\(A\\)']],
    ['NaN', (good) => good.with(2, 'NaN,5'), ['002\\.txt:3', '"NaN,5"', 'landmark 3 \\(Or\\)']],
    ['a word', (good) => good.with(0, 'a,b'), ['002\\.txt:1', '"a,b"']],
    ['three numbers', (good) => good.with(6, '1,2,3'), ['002\\.txt:7', '"1,2,3"']],
    ['infinity', (good) => good.with(6, '1e999,2'), ['002\\.txt:7', 'outside']],
    ['a point outside', (good) => good.with(18, '60,20'), ['002\\.txt:19', '60,20', '60 x 80']],
    ['a negative point', (good) => good.with(1, '-1,20'), ['002\\.txt:2', 'outside']],
    ['a twentieth point', (good) => [...good, '1,2'], ['002\\.txt:20', 'after the 19']],
    ['too many class lines', (good) => [...good, ...'123456789'], ['002\\.txt:28', 'at most 8']],
  ]
  for (const [what, spoil, message] of cases)
    test(what, async () => {
      await annotate('400_junior', '002', spoil(lines(0)))
      await expect(train()).rejects.toEqual(dataError('400_junior', ...message))
    })

  test('a file of one doctor only', async () => {
    await rm(join(dir, 'AnnotationsByMD/400_senior/002.txt'))
    await expect(train()).rejects.toEqual(dataError('400_senior', '002\\.txt', 'missing'))
    expect(await readIsbi(dir, { split: 'train', truth: 'junior' })).toHaveLength(2)
  })
})

describe('readAnnotations', () => {
  test('reads all 27 lines of an official file as 19 points', async () => {
    await annotate('400_senior', '002', [...lines(0), ...'12312312'])
    const points = (await readAnnotations(dir, ['002'], 'senior')).get('002')
    expect(points).toHaveLength(19)
  })

  test('works without images, with the official size as bound', async () => {
    await rm(join(dir, 'RawImage'), { recursive: true })
    await annotate('400_senior', '001', lines(0).with(3, '1934,2399'))
    expect((await readAnnotations(dir, ['001'], 'senior')).get('001')?.[3]).toEqual([1934, 2399])
    await annotate('400_senior', '001', lines(0).with(3, '1934,2400'))
    await expect(readAnnotations(dir, ['001'], 'senior')).rejects.toEqual(dataError('001\\.txt:4'))
  })

  test('an id without a file is an error, and so is a folder without annotations', async () => {
    await expect(readAnnotations(dir, ['001', '301'], 'mean')).rejects.toEqual(
      dataError('301\\.txt', 'missing'),
    )
    await expect(readAnnotations(join(dir, 'RawImage'), ['001'], 'mean')).rejects.toEqual(
      dataError('no annotation file'),
    )
  })

  test("the challenge's landmark 16 of Test 2 is missing unless its own folder is there", async () => {
    await annotate('400_senior', '301', lines(0))
    const read = async () => (await readAnnotations(dir, ['301'], 'challenge')).get('301')
    expect((await read())?.map((point) => point === null)).toEqual(
      Array.from({ length: 19 }, (_, i) => i === 15),
    )
    await annotate('400_challenge', '301', lines(5))
    expect((await read())?.[15]).toEqual([30, 35])
  })
})
