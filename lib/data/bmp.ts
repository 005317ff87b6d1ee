/**
 * Reader of uncompressed Windows bitmaps, which libvips (sharp) cannot read and in which ISBI 2015
 * was released: 1, 4 and 8 bits with a palette, 24 and 32 bits, bottom-up and top-down. Every offset
 * is checked against the file before a pixel is read.
 */

export interface BmpHeader {
  width: number
  height: number
  topDown: boolean
  bits: 1 | 4 | 8 | 24 | 32
  pixels: number
  /** Grey value of each palette entry; null without a palette. */
  palette: Uint8Array | null
}

/** Throws Error with a phrase that completes "the bitmap ...". */
export function readBmpHeader(file: Uint8Array): BmpHeader {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  if (file.length < 54) throw new Error('ends inside its header')
  const headerSize = view.getUint32(14, true)
  if (headerSize < 40 || headerSize > 124) throw new Error(`has a header of ${headerSize} bytes`)
  const width = view.getInt32(18, true)
  const signedHeight = view.getInt32(22, true)
  const bits = view.getUint16(28, true)
  const compression = view.getUint32(30, true)
  const height = Math.abs(signedHeight)
  if (width <= 0 || height === 0) throw new Error(`has the size ${width} x ${signedHeight}`)
  if (bits !== 1 && bits !== 4 && bits !== 8 && bits !== 24 && bits !== 32)
    throw new Error(`has ${bits} bits a pixel (1, 4, 8, 24 and 32 are read)`)
  // 3 is BI_BITFIELDS: with 32 bits, nearly always the plain order of channels.
  if (compression !== 0 && !(compression === 3 && bits === 32))
    throw new Error(`is compressed (type ${compression}; only uncompressed ones are read)`)
  if (compression === 3) {
    if (file.length < 66) throw new Error('ends inside its header')
    const masks = [54, 58, 62].map((offset) => view.getUint32(offset, true))
    if (masks[0] !== 0xff0000 || masks[1] !== 0xff00 || masks[2] !== 0xff)
      throw new Error('has unusual channel masks')
  }
  let palette: Uint8Array | null = null
  if (bits <= 8) {
    const colours = view.getUint32(46, true) || 1 << bits
    const start = 14 + headerSize
    if (colours > 1 << bits || start + 4 * colours > file.length)
      throw new Error('ends inside its palette')
    palette = new Uint8Array(1 << bits)
    for (let i = 0; i < colours; i++) {
      const at = start + 4 * i
      palette[i] = grey(file[at + 2] as number, file[at + 1] as number, file[at] as number)
    }
  }
  const header = {
    width,
    height,
    topDown: signedHeight < 0,
    bits: bits as BmpHeader['bits'],
    pixels: view.getUint32(10, true),
    palette,
  }
  if (header.pixels < 14 + headerSize) throw new Error('has its pixels inside its header')
  return header
}

/** Grey pixels, top row first. The caller has checked that width * height is acceptable. */
export function readBmpPixels(file: Uint8Array, header: BmpHeader): Uint8Array {
  const { width, height, bits, palette } = header
  const stride = Math.ceil((width * bits) / 32) * 4
  const wanted = header.pixels + stride * height
  if (wanted > file.length)
    throw new Error(`is cut off: ${file.length} bytes of at least ${wanted}`)
  const data = new Uint8Array(width * height)
  for (let y = 0; y < height; y++) {
    const row = header.pixels + stride * (header.topDown ? y : height - 1 - y)
    const out = y * width
    if (palette) {
      const mask = (1 << bits) - 1
      const perByte = 8 / bits
      for (let x = 0; x < width; x++) {
        const byte = file[row + Math.floor(x / perByte)] as number
        const shift = 8 - bits * ((x % perByte) + 1)
        data[out + x] = palette[(byte >> shift) & mask] as number
      }
    } else {
      const step = bits / 8
      for (let x = 0, at = row; x < width; x++, at += step)
        data[out + x] = grey(file[at + 2] as number, file[at + 1] as number, file[at] as number)
    }
  }
  return data
}

/** Luma of BT.601 in integers; equal channels come out unchanged. */
export function grey(red: number, green: number, blue: number): number {
  return (77 * red + 150 * green + 29 * blue) >> 8
}
