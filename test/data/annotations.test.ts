import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openAnnotations, readPointTable } from '#lib/data/annotations/index.js'

let home = ''
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'annotations-'))
})
afterAll(() => rm(home, { recursive: true }))

/** Writes files below a folder of their own and returns its path. */
async function folder(files: Record<string, string | object>): Promise<string> {
  const dir = await mkdtemp(join(home, 'set-'))
  for (const [name, content] of Object.entries(files)) {
    const path = join(dir, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  }
  return dir
}
const file = async (name: string, content: string | object) =>
  join(await folder({ [name]: content }), name)

/** Points by landmark name of one image. */
async function pointsOf(path: string, id: string, truth = 'mean', options = {}) {
  const source = await openAnnotations(path, options)
  const points = (await source.read([id], truth)).get(id) ?? []
  return Object.fromEntries(source.landmarkSet.landmarks.map(({ name }, j) => [name, points[j]]))
}
const refusal = (...parts: string[]) => ({
  code: 'ERR_DATA',
  message: expect.stringMatching(new RegExp(parts.join('.*'), 's')),
})

describe('CSV', () => {
  test('with a row a point is read by the names of its columns, in any order', async () => {
    const path = await file(
      'a.csv',
      'Y,landmark,x,image file,pixel_size\n2,S,1.5,dir/7.png,0.1\n,N,,dir/7.png,0.1\n',
    )
    expect(await pointsOf(path, '7')).toEqual({ S: [1.5, 2], N: null })
    const { pixelSizes, ids } = await openAnnotations(path)
    expect([...pixelSizes]).toEqual([['7', [0.1, 0.1]]])
    expect(ids).toEqual(['7'])
  })

  test('with a row an image takes pairs of columns, and empty cells for what is not marked', async () => {
    const path = await file('b.csv', "id;S_x;S_y;Pog'_x;Pog'_y\n1;10;20;nan;\n2;11;21;5;6\n")
    expect(await pointsOf(path, '1')).toEqual({ S: [10, 20], "Pog'": null })
    expect(await pointsOf(path, '2')).toEqual({ S: [11, 21], "Pog'": [5, 6] })
  })

  test('of CL-Detection 2024 is read as it is: 53 numbered points and the spacing', async () => {
    const head = Array.from({ length: 53 }, (_, i) => `p${i + 1}x,p${i + 1}y`).join(',')
    const row = Array.from({ length: 53 }, (_, i) => `${i},${i + 100}`).join(',')
    const path = await file('labels.csv', `image file,spacing(mm),${head}\n12.bmp,0.125,${row}\n`)
    const points = await pointsOf(path, '12')
    expect(points['1']).toEqual([0, 100])
    expect(points['53']).toEqual([52, 152])
    expect((await openAnnotations(path)).pixelSizes.get('12')).toEqual([0.125, 0.125])
  })

  test('numbers 19 points as ISBI 2015 does', async () => {
    const head = Array.from({ length: 19 }, (_, i) => `p${i + 1}x,p${i + 1}y`).join(',')
    const path = await file('c.csv', `file,${head}\n1.bmp,${Array(38).fill(3).join(',')}\n`)
    expect(Object.keys(await pointsOf(path, '1')).slice(0, 3)).toEqual(['S', 'N', 'Or'])
  })

  test('keeps annotators apart', async () => {
    const path = await file('d.csv', 'id,annotator,landmark,x,y\n1,ann,S,1,1\n1,bob,S,3,5\n')
    expect((await openAnnotations(path)).truths).toEqual(['mean', 'ann', 'bob'])
    expect(await pointsOf(path, '1')).toEqual({ S: [2, 3] })
    expect(await pointsOf(path, '1', 'bob')).toEqual({ S: [3, 5] })
  })

  test.each([
    ['no header', '1,2,3\n', ['\\.csv:1', 'no column names the image', 'id, landmark, x, y']],
    ['no points', 'id,a\n1,2\n', ['\\.csv:1', 'no column holds points']],
    ['a word', 'id,landmark,x,y\n1,S,1,2\n1,N,1,b\n', ['\\.csv:3', '"b"', 'y of N']],
    ['half a point', 'id,landmark,x,y\n1,S,1,\n', ['\\.csv:2', '""', 'y of S']],
    [
      'a mark twice',
      'id,landmark,x,y\n1,S,1,2\n1,S,1,2\n',
      ['\\.csv:3', 'S of image .1. is marked twice'],
    ],
    ['half a landmark', 'id,S_x,S_y,N_x\n', ['\\.csv:1', 'N has only one of its columns']],
    ['infinity', 'id,landmark,x,y\n1,S,1e999,2\n', ['\\.csv:2', '"1e999"']],
    ['a place that is none', 'id,landmark,x,y\n1,S,1e9,2\n', ['\\.csv:2', 'no place in an image']],
    ['an open quote', 'id,landmark,x,y\n1,"S,1,2\n', ['\\.csv:', 'not CSV']],
    [
      'two pixel sizes',
      'id,landmark,x,y,spacing\n1,S,1,2,0.1\n1,N,1,2,0.2\n',
      ['\\.csv:3', 'second pixel size'],
    ],
    ['nothing', '', ['no image']],
  ])('with %s is refused with its line', async (_, text, parts) => {
    await expect(readPointTable(await file('w.csv', text))).rejects.toMatchObject(refusal(...parts))
  })
})

const coco = (change: object = {}) => ({
  images: [{ id: 9, file_name: 'x/7.png', width: 50, height: 60, spacing: [0.1, 0.2] }],
  categories: [{ id: 1, name: 'head', keypoints: ['S', 'N'] }],
  annotations: [{ id: 1, image_id: 9, category_id: 1, keypoints: [1, 2, 2, 0, 0, 0] }],
  ...change,
})

describe('COCO keypoints', () => {
  test('give points, what is not visible as missing, and the spacing of each axis', async () => {
    const path = await file('coco.json', coco())
    expect(await pointsOf(path, '7')).toEqual({ S: [1, 2], N: null })
    expect((await openAnnotations(path)).pixelSizes.get('7')).toEqual([0.1, 0.2])
  })

  test.each([
    [
      'an unknown image',
      { annotations: [{ image_id: 8, category_id: 1, keypoints: [] }] },
      ['annotations\\[0\\]', 'image 8'],
    ],
    [
      'too few numbers',
      { annotations: [{ image_id: 9, category_id: 1, keypoints: [1, 2] }] },
      ['keypoints', 'has 2 numbers', 'expected 6'],
    ],
    [
      'a text as number',
      { annotations: [{ image_id: 9, category_id: 1, keypoints: ['1', 2, 2, 0, 0, 0] }] },
      ['annotations\\[0\\]\\.keypoints\\[0\\]'],
    ],
    ['no file name', { images: [{ id: 9 }] }, ['images\\[0\\]\\.file_name']],
  ])('with %s are refused with the key', async (_, change, parts) => {
    const path = await file('coco.json', coco(change))
    await expect(readPointTable(path)).rejects.toMatchObject(refusal('coco\\.json', ...parts))
  })
})

describe('CL-Detection', () => {
  const points = Array.from({ length: 38 }, (_, i) => ({
    name: String(i + 1),
    point: [i, 2 * i, 4],
    scale: '0.125',
  }))

  test('ground truth gives 38 named points by image number and the scale in mm', async () => {
    const path = await file('train-gt.json', { name: 'Orthodontic landmarks', points })
    const marks = await pointsOf(path, '4')
    expect(marks.S).toEqual([0, 0])
    expect(marks.Ar).toEqual([18, 36])
    expect(marks.L6).toEqual([37, 74])
    expect((await openAnnotations(path)).pixelSizes.get('4')).toEqual([0.125, 0.125])
  })

  test('output of one image is read too, named by its file', async () => {
    const path = await file('5.json', {
      'Multiple landmarks points': {
        'landmarks points': [{ point: [200, 230], probability: 0.6, name: '1' }],
      },
    })
    expect(await pointsOf(path, '5')).toEqual({ '1': [200, 230] })
  })

  test('a wrong point is named', async () => {
    const path = await file('gt.json', { points: [...points, { name: '2', point: [1] }] })
    await expect(readPointTable(path)).rejects.toMatchObject(refusal('gt\\.json', 'points\\[38\\]'))
  })
})

describe('Aariz', () => {
  const marks = (shift: number) => ({
    ceph_id: 'c1',
    landmarks: [
      { title: 'Sella', symbol: 'S', value: { x: 10 + shift, y: 20 } },
      { title: 'Soft Tissue Pogonion', symbol: 'Pog`', value: { x: 30, y: 40 + shift } },
    ],
  })
  const at = (split: string, who: string) =>
    `${split}/Annotations/Cephalometric Landmarks/${who} Orthodontists/c1.json`

  test('folders give two annotators, splits, and the pixel size of each machine', async () => {
    const dir = await folder({
      [at('train', 'Junior')]: marks(0),
      [at('train', 'Senior')]: marks(4),
      'cephalogram_machine_mappings.csv':
        'cephalogram_id,machine,pixel_size,image_format,mode\nc1,X,0.0935,png,TRAIN\n',
    })
    expect((await pointsOf(dir, 'c1', 'junior')).S).toEqual([10, 20])
    const mean = await pointsOf(dir, 'c1')
    expect([mean.S, mean["Pog'"], mean.ANS]).toEqual([[12, 20], [30, 42], null])
    const source = await openAnnotations(dir)
    expect(source.landmarkSet.landmarks).toHaveLength(29)
    expect(source.splits.get('train')).toEqual(['c1'])
    expect(source.pixelSizes.get('c1')).toEqual([0.0935, 0.0935])
    const inside = await openAnnotations(join(dir, 'train'))
    expect(inside.pixelSizes.get('c1')).toEqual([0.0935, 0.0935])
  })

  test('an image that one of the two has not marked has no mean', async () => {
    const dir = await folder({ [at('test', 'Junior')]: marks(0) })
    await expect((await openAnnotations(dir)).read(['c2'], 'junior')).rejects.toMatchObject(
      refusal("'c2' has no points by 'junior'"),
    )
  })

  test('a wrong file is named with its key', async () => {
    const dir = await folder({
      [at('test', 'Senior')]: { landmarks: [{ symbol: 'S', value: { x: 'a', y: 1 } }] },
    })
    await expect(readPointTable(dir)).rejects.toMatchObject(
      refusal('c1\\.json', 'landmarks\\[0\\]\\.value\\.x'),
    )
  })
})

describe('3D Slicer markups', () => {
  const markups = (coordinateSystem: string) => ({
    markups: [
      {
        type: 'Fiducial',
        coordinateSystem,
        controlPoints: [
          { label: 'S', position: [1, 4, 0], positionStatus: 'defined' },
          { label: 'N', position: [0, 0, 0], positionStatus: 'undefined' },
        ],
      },
    ],
  })
  const pixelSize = [0.1, 0.2] as const

  test('in LPS and in RAS become pixels by the pixel size', async () => {
    const lps = await folder({ '7.mrk.json': markups('LPS') })
    expect(await pointsOf(lps, '7', 'mean', { pixelSize })).toEqual({ S: [10, 20], N: null })
    const ras = await file('7.mrk.json', markups('RAS'))
    expect((await pointsOf(ras, '7', 'mean', { pixelSize })).S).toEqual([-10, -20])
  })

  test('are refused without a pixel size', async () => {
    const path = await file('7.mrk.json', markups('LPS'))
    await expect(openAnnotations(path)).rejects.toMatchObject(refusal('pixel size is unknown'))
  })
})

describe('text files', () => {
  test('outside of the ISBI folders hold a landmark a line, and classes after them', async () => {
    const lines = Array.from({ length: 19 }, (_, i) => `${i + 0.5},${i}`)
    const dir = await folder({ '151.txt': [...lines, ...'12312312'].join('\r\n') })
    expect((await pointsOf(dir, '151')).Ar).toEqual([18.5, 18])
  })

  test('are refused with the line', async () => {
    const dir = await folder({ '1.txt': '1,2\n3;4\n' })
    await expect(readPointTable(dir)).rejects.toMatchObject(refusal('1\\.txt:2', '"3;4"'))
  })
})

test('a predictions file serves as annotations', async () => {
  const path = await file('p.json', {
    format: 'landmark-diffusion/predictions',
    version: 1,
    landmarks: ['S', 'N'],
    images: [
      {
        id: '1',
        file: '1.png',
        width: 9,
        height: 9,
        pixelSize: [0.1, 0.1],
        points: [[1, 2], null],
      },
    ],
  })
  expect(await pointsOf(path, '1')).toEqual({ S: [1, 2], N: null })
})

describe('what is no annotation is refused:', () => {
  test('a folder of nothing that is known, with the layouts that are', async () => {
    await expect(readPointTable(await folder({ 'a.bin': 'x' }))).rejects.toMatchObject(
      refusal('holds no annotations', 'AnnotationsByMD', 'mrk\\.json'),
    )
  })

  test('JSON of another kind', async () => {
    await expect(readPointTable(await file('a.json', [1]))).rejects.toMatchObject(
      refusal('no format of points', 'COCO'),
    )
  })

  test('JSON that is cut short, with line and column', async () => {
    await expect(readPointTable(await file('a.json', '{\n "points": [1,'))).rejects.toMatchObject(
      refusal('line 2, column 15'),
    )
  })

  test('a file of a gigabyte, by its size before it is read', async () => {
    for (const name of ['big.json', 'big.csv']) {
      const path = await file(name, '')
      const handle = await open(path, 'w')
      await handle.truncate(2 ** 30)
      await handle.close()
      await expect(readPointTable(path)).rejects.toMatchObject(refusal('has 1024 MiB; at most 64'))
    }
  })
})
