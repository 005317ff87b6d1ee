import { existsSync } from 'node:fs'
import {
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parsePredictions, readPredictions, writePredictions } from 'landmark-diffusion/evaluation'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'predictions-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** The example of the public interface's documentation, with three landmarks written out. */
const example = () => ({
  format: 'landmark-diffusion/predictions',
  version: 1,
  landmarks: ['S', 'N'],
  images: [
    {
      id: '151',
      file: '151.jpg',
      width: 1935,
      height: 2400,
      pixelSize: [0.1, 0.1],
      points: [[835.0, 996.5], null],
      uncertainty: [
        {
          ere: 0.9,
          covariance: [
            [0.5, 0.1],
            [0.1, 0.4],
          ],
          confidence: 0.12,
        },
        null,
      ],
      chains: [[[834.2, 996.0], null]],
    },
  ],
})

async function written(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}

/** The example with one change, as a file. */
async function changed(change: (file: ReturnType<typeof example>) => unknown): Promise<string> {
  const file = example()
  change(file)
  return written('changed.json', JSON.stringify(file))
}

describe('a predictions file', () => {
  it('is read as documented', async () => {
    const path = await written('example.json', JSON.stringify(example()))
    expect(await readPredictions(path)).toEqual(example())
  })

  it('keeps keys that are not known, at every level', async () => {
    const path = await changed((file) => {
      Object.assign(file, { model: { name: 'small' } })
      Object.assign(file.images[0] as object, { machine: 'X' })
      Object.assign(file.images[0]?.uncertainty[0] as object, { entropy: 3 })
    })
    const read = await readPredictions(path)
    const copy = join(folder, 'copy.json')
    await writePredictions(copy, read)
    expect(JSON.parse(await readFile(copy, 'utf8'))).toEqual(
      JSON.parse(await readFile(path, 'utf8')),
    )
    expect(read.model).toEqual({ name: 'small' })
  })

  it('is written with a line for each image', async () => {
    const path = join(folder, 'lines.json')
    const file = parsePredictions(example())
    const [first] = file.images
    await writePredictions(path, {
      ...file,
      images: [first, { ...first, id: '152' }] as typeof file.images,
    })
    const lines = (await readFile(path, 'utf8')).split('\n')
    expect(lines.filter((line) => line.includes('"id":')).length).toBe(2)
    expect((await readPredictions(path)).images.length).toBe(2)
  })

  it('may have no image', async () => {
    const path = join(folder, 'none.json')
    await writePredictions(path, { ...parsePredictions(example()), images: [] })
    expect((await readPredictions(path)).images).toEqual([])
  })

  it('leaves no half file behind when it cannot be written', async () => {
    const path = join(folder, 'occupied')
    await mkdir(path, { recursive: true })
    await expect(writePredictions(path, parsePredictions(example()))).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringMatching(/predictions file cannot be written to .*occupied \(EISDIR\)/),
    })
    expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([])
  })

  it.skipIf(!existsSync('/dev/full'))('names the full disk', async () => {
    await expect(writePredictions('/dev/full', parsePredictions(example()))).rejects.toThrow(
      /cannot be written to \/dev\/full \(ENOSPC\)/,
    )
  })

  it('follows a link to the file that it replaces', async () => {
    const path = join(folder, 'target.json')
    const link = join(folder, 'link.json')
    await writeFile(path, 'old')
    await symlink(path, link)
    await writePredictions(link, parsePredictions(example()))
    expect((await lstat(link)).isSymbolicLink()).toBe(true)
    expect((await readPredictions(path)).images.length).toBe(1)
  })

  it('is not written when it would not be read again', async () => {
    const wrong = { ...parsePredictions(example()), landmarks: ['S'] }
    await expect(writePredictions(join(folder, 'wrong.json'), wrong)).rejects.toThrow(
      /images\[0\]\.points: has 2 entries, but the file lists 1 landmarks/,
    )
  })
})

describe('a wrong predictions file is refused with its name and the key', () => {
  const wrong: [string, (file: ReturnType<typeof example>) => unknown, RegExp][] = [
    [
      'another format',
      (file) => Object.assign(file, { format: 'coco' }),
      /changed\.json.*: format: /,
    ],
    ['a newer version', (file) => Object.assign(file, { version: 2 }), /: version: /],
    ['no landmarks', (file) => Object.assign(file, { landmarks: [] }), /: landmarks: /],
    [
      'a landmark twice',
      (file) => Object.assign(file, { landmarks: ['S', 'S'] }),
      /landmarks\[1\]: landmark 'S' is listed twice/,
    ],
    [
      'an image twice',
      (file) => file.images.push(...file.images),
      /images\[1\]\.id: image '151' is listed twice/,
    ],
    [
      'a fraction as id',
      (file) => Object.assign(file.images[0] as object, { id: 151.5 }),
      /images\[0\]\.id: /,
    ],
    [
      'a text as coordinate',
      (file) => Object.assign(file.images[0] as object, { points: [['1', 2], null] }),
      /images\[0\]\.points\[0\]\[0\]: /,
    ],
    [
      'a point with three coordinates',
      (file) => Object.assign(file.images[0] as object, { points: [[1, 2, 3], null] }),
      /images\[0\]\.points\[0\]: /,
    ],
    [
      'a point far outside',
      (file) => Object.assign(file.images[0] as object, { points: [[1e300, 2], null] }),
      /images\[0\]\.points\[0\]\[0\]: is more than a million pixels/,
    ],
    [
      'a point too few',
      (file) => file.images[0]?.points.pop(),
      /images\[0\]\.points: has 1 entries/,
    ],
    [
      'a chain with a point too few',
      (file) => file.images[0]?.chains[0]?.pop(),
      /images\[0\]\.chains\[0\]: has 1 entries/,
    ],
    [
      'a pixel size of nothing',
      (file) => Object.assign(file.images[0] as object, { pixelSize: [0, 0.1] }),
      /images\[0\]\.pixelSize\[0\]: /,
    ],
    [
      'a width of nothing',
      (file) => Object.assign(file.images[0] as object, { width: 0 }),
      /images\[0\]\.width: /,
    ],
    ['a list instead of an object', (file) => Object.assign(file, { images: {} }), /: images: /],
  ]

  it.each(wrong)('%s', async (_, change, message) => {
    await expect(readPredictions(await changed(change))).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringMatching(message),
    })
  })

  it('an array at the top', async () => {
    await expect(readPredictions(await written('array.json', '[]'))).rejects.toThrow(
      /array\.json .*the file: /,
    )
  })

  it('a file that is cut short', async () => {
    const path = await written('cut.json', JSON.stringify(example()).slice(0, 200))
    await expect(readPredictions(path)).rejects.toThrow(/cut\.json is not JSON/)
  })

  it('NaN, which JSON does not have', async () => {
    const path = await written('nan.json', JSON.stringify(example()).replace('996.5', 'NaN'))
    await expect(readPredictions(path)).rejects.toThrow(/nan\.json is not JSON/)
  })

  it('a number that overflows to infinity', async () => {
    const path = await written('big.json', JSON.stringify(example()).replace('996.5', '1e999'))
    await expect(readPredictions(path)).rejects.toThrow(/images\[0\]\.points\[0\]\[1\]: /)
  })

  it('a file that does not exist', async () => {
    await expect(readPredictions(join(folder, 'absent.json'))).rejects.toThrow(
      /absent\.json cannot be opened \(ENOENT\)/,
    )
  })

  it('a folder', async () => {
    await expect(readPredictions(folder)).rejects.toThrow(/is not a regular file/)
  })

  it('a device that never ends', async () => {
    await expect(readPredictions('/dev/zero')).rejects.toThrow(/is not a regular file/)
  })

  it('a file too large to read, before it is read', async () => {
    const path = join(folder, 'huge.json')
    const handle = await open(path, 'w')
    await handle.truncate(300 * 2 ** 20)
    await handle.close()
    await expect(readPredictions(path)).rejects.toThrow(/has 300 MiB; at most 64 MiB/)
  })
})

describe('a hostile predictions file', () => {
  it.each(['__proto__', '\\u005f_proto__', '_\\u005Fproto__'])(
    'cannot give objects another prototype through the key %s',
    async (key) => {
      const text = JSON.stringify(example()).replace('{', `{"${key}":{"polluted":true},`)
      const read = await readPredictions(await written('proto.json', text))
      expect(Object.getPrototypeOf(read)).toBe(Object.prototype)
      expect('polluted' in read).toBe(false)
      expect('polluted' in {}).toBe(false)
      expect(Object.hasOwn(read, '__proto__')).toBe(false)
    },
  )
})
