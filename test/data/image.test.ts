import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encode as encodeBmp } from 'fast-bmp'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeImage, type GreyImage, readImageSize, resampleToCanvas } from '#lib/data/image.js'
import { Random } from '#lib/data/random.js'
import { fitCanvas, type Point, type Size } from '#lib/landmarks/geometry.js'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ld-image-'))
})
afterAll(() => rm(dir, { recursive: true }))

const size = { width: 37, height: 23 }
const random = new Random(1)
const grey = Uint8Array.from({ length: size.width * size.height }, () => random.int(256))
const rgb = Uint8Array.from(
  { length: 3 * grey.length },
  (_, i) => grey[Math.floor(i / 3)] as number,
)
const raw = (data: Uint8Array, channels: 1 | 3) => sharp(data, { raw: { ...size, channels } })

function bmp24(): Uint8Array {
  return encodeBmp({ ...size, data: rgb, bitsPerPixel: 24, components: 3, channels: 3 })
}

async function file(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(dir, name)
  await writeFile(path, bytes)
  return path
}

const imageError = (text: RegExp) =>
  expect.objectContaining({ code: 'ERR_IMAGE', message: expect.stringMatching(text) })

describe('decodeImage', () => {
  test('a 24-bit bitmap written by another library comes back unchanged', async () => {
    const image = await decodeImage(await file('a.bmp', bmp24()))
    expect([image.width, image.height]).toEqual([37, 23])
    expect([...image.data]).toEqual([...grey])
  })

  test('top-down bitmaps and palettes are read', async () => {
    const bytes = Buffer.alloc(54 + 8 + 2 * 4)
    bytes.write('BM')
    bytes.writeUInt32LE(62, 10)
    bytes.writeUInt32LE(40, 14)
    bytes.writeInt32LE(3, 18)
    bytes.writeInt32LE(-2, 22)
    bytes.writeUInt16LE(1, 26)
    bytes.writeUInt16LE(8, 28)
    bytes.writeUInt32LE(2, 46)
    bytes.set([200, 200, 200, 0, 10, 10, 10, 0], 54)
    bytes.set([0, 1, 0, 0, 1, 1, 1, 0], 62)
    expect([...(await decodeImage(bytes)).data]).toEqual([200, 10, 200, 10, 10, 10])
  })

  test('grey and RGB PNG give the same pixels', async () => {
    const one = await raw(grey, 1).toColourspace('b-w').png().toBuffer()
    const three = await raw(rgb, 3).png().toBuffer()
    expect([...(await decodeImage(one)).data]).toEqual([...grey])
    expect([...(await decodeImage(three)).data]).toEqual([...grey])
  })

  test('JPEG and TIFF are read, whatever their file is called', async () => {
    const jpeg = await file('wrong.bmp', await raw(rgb, 3).jpeg({ quality: 100 }).toBuffer())
    const tiff = await file('wrong.png', await raw(rgb, 3).tiff({ compression: 'none' }).toBuffer())
    const { data } = await decodeImage(jpeg)
    expect(Math.max(...data.map((value, i) => Math.abs(value - (grey[i] as number))))).toBeLessThan(
      6,
    )
    expect([...(await decodeImage(tiff)).data]).toEqual([...grey])
  })

  test('12 bits stored in a 16-bit PNG become 8 bits, not black', async () => {
    const deep = Uint16Array.from(grey, (value) => value * 16 + 5)
    deep[0] = 4095
    const png = await sharp(deep, { raw: { ...size, channels: 1 } })
      .toColourspace('grey16')
      .png()
      .toBuffer()
    expect((await sharp(png).metadata()).depth).toBe('ushort')
    const { data } = await decodeImage(png)
    expect([...data.subarray(1)]).toEqual([...grey.subarray(1)])
  })

  test('an embedded colour profile does not change the greys', async () => {
    const png = await raw(rgb, 3).withIccProfile('p3').png().toBuffer()
    const plain = await sharp(png, { ignoreIcc: true }).raw().toBuffer()
    const { data } = await decodeImage(png)
    expect(data[5]).toBe(plain[15])
  })
})

describe('what is not a whole image is refused with its name:', () => {
  for (const format of ['png', 'jpeg', 'tiff', 'bmp'] as const)
    test(`a ${format} cut in half`, async () => {
      const bytes = format === 'bmp' ? bmp24() : await raw(rgb, 3)[format]().toBuffer()
      const path = await file(`half.${format}`, bytes.subarray(0, Math.floor(bytes.length / 2)))
      await expect(decodeImage(path)).rejects.toEqual(imageError(new RegExp(`half\\.${format}`)))
    })

  test('a text file called .png', async () => {
    const path = await file('notes.png', Buffer.from('835,996\n1473,1029\n'))
    await expect(decodeImage(path)).rejects.toEqual(imageError(/notes\.png.*found text/))
  })

  test('a DICOM file', async () => {
    const bytes = Buffer.alloc(200)
    bytes.write('DICM', 128)
    await expect(decodeImage(await file('x.png', bytes))).rejects.toEqual(imageError(/DICOM/))
  })

  test('an empty file, and a missing one', async () => {
    const empty = await file('empty.jpg', Buffer.alloc(0))
    await expect(decodeImage(empty)).rejects.toEqual(imageError(/empty/))
    await expect(decodeImage(join(dir, 'none.jpg'))).rejects.toEqual(imageError(/none\.jpg/))
    await expect(readImageSize(join(dir, 'none.jpg'))).rejects.toEqual(imageError(/none\.jpg/))
  })

  test('a bitmap of 2 000 000 000 pixels in 54 bytes', async () => {
    const bytes = Buffer.from(bmp24().subarray(0, 54))
    bytes.writeInt32LE(50000, 18)
    bytes.writeInt32LE(40000, 22)
    await expect(decodeImage(await file('bomb.bmp', bytes))).rejects.toEqual(imageError(/limit/))
  })

  test('a bitmap with any damaged header byte gives an image or an ERR_IMAGE, nothing else', async () => {
    const good = bmp24()
    for (let at = 2; at < 54; at++)
      for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
        const bytes = Uint8Array.from(good)
        bytes[at] = value
        await decodeImage(bytes).catch((error) => expect(error).toEqual(imageError(/./)))
      }
  })
})

test('readImageSize agrees with the decoded size', async () => {
  const paths = [
    await file('s.bmp', bmp24()),
    await file('s.png', await raw(rgb, 3).png().toBuffer()),
    await file('s.jpg', await raw(rgb, 3).jpeg().toBuffer()),
  ]
  for (const path of paths) expect(await readImageSize(path)).toEqual(size)
})

describe('resampleToCanvas', () => {
  /** Gaussian blobs on black, far enough apart to be told from each other. */
  function blobs(size: Size, centres: readonly Point[], sigma: number): GreyImage {
    const data = new Uint8Array(size.width * size.height)
    for (const [cx, cy] of centres)
      for (let y = Math.floor(cy - 4 * sigma); y <= cy + 4 * sigma; y++)
        for (let x = Math.floor(cx - 4 * sigma); x <= cx + 4 * sigma; x++)
          data[y * size.width + x] = Math.round(
            250 * Math.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma * sigma)),
          )
    return { ...size, data }
  }

  function centroid(data: Uint8Array, size: Size, near: Point, radius: number): Point {
    let [sum, sumX, sumY] = [0, 0, 0]
    for (let y = Math.round(near[1] - radius); y <= near[1] + radius; y++)
      for (let x = Math.round(near[0] - radius); x <= near[0] + radius; x++) {
        const value = data[y * size.width + x] ?? 0
        sum += value
        sumX += value * x
        sumY += value * y
      }
    return [sumX / sum, sumY / sum]
  }

  const original = { width: 967, height: 1200 }
  for (const canvas of [
    { width: 160, height: 200 },
    { width: 640, height: 800 },
    { width: 1290, height: 1600 },
  ])
    test(`blobs land on the pixel that fitCanvas names, on ${canvas.width} x ${canvas.height}`, () => {
      const centres: Point[] = [
        [100, 90],
        [860.3, 120.6],
        [480.5, 600.25],
        [120.2, 1100.7],
        [870, 1105],
      ]
      const small = resampleToCanvas(blobs(original, centres, 14), canvas)
      const map = fitCanvas(original, canvas)
      for (const centre of centres) {
        const expected = map.apply(centre)
        const found = centroid(small, canvas, expected, 50 * map.a)
        expect(Math.hypot(found[0] - expected[0], found[1] - expected[1])).toBeLessThan(0.05)
      }
    })

  test('an image of the size of the canvas is unchanged', () => {
    expect([...resampleToCanvas({ ...size, data: grey }, size)]).toEqual([...grey])
  })

  test('a constant image stays constant up to the padding, which is black', () => {
    const small = resampleToCanvas(
      { width: 100, height: 100, data: new Uint8Array(10000).fill(99) },
      { width: 20, height: 40 },
    )
    expect([...small.subarray(0, 20 * 17)].every((value) => value === 99)).toBe(true)
    expect([...small.subarray(20 * 22)].every((value) => value === 0)).toBe(true)
  })

  test('detail finer than a pixel turns grey instead of aliasing', () => {
    const stripes = Uint8Array.from({ length: 400 * 400 }, (_, i) => (i % 2) * 200)
    const small = resampleToCanvas(
      { width: 400, height: 400, data: stripes },
      { width: 57, height: 57 },
    )
    const inner = [...small].filter((_, i) => i % 57 > 2 && i % 57 < 54)
    expect(Math.max(...inner) - Math.min(...inner)).toBeLessThan(6)
  })
})
