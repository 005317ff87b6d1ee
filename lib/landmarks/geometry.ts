/**
 * Maps between pixel grids as composed affine maps. One convention everywhere: the centre of the
 * first pixel is (0, 0), so a pixel covers [-0.5, 0.5] and a resize by s sends x to (x + 0.5) s - 0.5.
 */

/** [x, y] in pixels: x right, y down, the centre of the first pixel at (0, 0). */
export type Point = readonly [number, number]

export interface Size {
  readonly width: number
  readonly height: number
}

/** The map x' = a x + b y + c, y' = d x + e y + f. Immutable. */
export class Affine {
  static readonly identity = new Affine(1, 0, 0, 0, 1, 0)

  constructor(
    readonly a: number,
    readonly b: number,
    readonly c: number,
    readonly d: number,
    readonly e: number,
    readonly f: number,
  ) {}

  static translation(dx: number, dy: number): Affine {
    return new Affine(1, 0, dx, 0, 1, dy)
  }

  static scaling(sx: number, sy = sx): Affine {
    return new Affine(sx, 0, 0, 0, sy, 0)
  }

  /** Turns by `angle` radians; with y down, positive angles look clockwise. */
  static rotation(angle: number): Affine {
    const cos = Math.cos(angle)
    const sin = Math.sin(angle)
    return new Affine(cos, -sin, 0, sin, cos, 0)
  }

  /** x' = x + kx y, y' = ky x + y. */
  static shear(kx: number, ky: number): Affine {
    return new Affine(1, kx, 0, ky, 1, 0)
  }

  /** `map` with `center` as its fixed point instead of the origin. */
  static about(center: Point, map: Affine): Affine {
    return Affine.translation(-center[0], -center[1])
      .followedBy(map)
      .followedBy(Affine.translation(center[0], center[1]))
  }

  /** This map first, `next` after it. (Not named `then`: awaiting an object with a `then` method would call it.) */
  followedBy(next: Affine): Affine {
    return new Affine(
      next.a * this.a + next.b * this.d,
      next.a * this.b + next.b * this.e,
      next.a * this.c + next.b * this.f + next.c,
      next.d * this.a + next.e * this.d,
      next.d * this.b + next.e * this.e,
      next.d * this.c + next.e * this.f + next.f,
    )
  }

  /** Throws RangeError for a map that flattens the plane. */
  inverse(): Affine {
    const determinant = this.a * this.e - this.b * this.d
    if (!(Math.abs(determinant) > 0)) throw new RangeError('an affine map without an inverse')
    const a = this.e / determinant
    const b = -this.b / determinant
    const d = -this.d / determinant
    const e = this.a / determinant
    return new Affine(a, b, -(a * this.c + b * this.f), d, e, -(d * this.c + e * this.f))
  }

  apply(point: Point): Point {
    const [x, y] = point
    return [this.a * x + this.b * y + this.c, this.d * x + this.e * y + this.f]
  }

  /** The two rows [a, b, c, d, e, f]. */
  get matrix(): [number, number, number, number, number, number] {
    return [this.a, this.b, this.c, this.d, this.e, this.f]
  }
}

/**
 * `original` padded at the right or at the bottom, never cropped, to the aspect ratio of `canvas`;
 * whole pixels. 1935 x 2400 for a canvas of 640 x 800 gives 1935 x 2419 (McCouat 2022).
 */
export function paddedSize(original: Size, canvas: Size): Size {
  return {
    width: Math.max(original.width, Math.round((original.height * canvas.width) / canvas.height)),
    height: Math.max(original.height, Math.round((original.width * canvas.height) / canvas.width)),
  }
}

/**
 * Original pixels to network pixels: pad to the aspect ratio, then resize. As the padding is whole
 * pixels the two axes differ by up to half a pixel in the padded side, 0.01 % at 1935 x 2400.
 */
export function fitCanvas(original: Size, canvas: Size): Affine {
  const padded = paddedSize(original, canvas)
  const sx = canvas.width / padded.width
  const sy = canvas.height / padded.height
  return new Affine(sx, 0, sx / 2 - 0.5, 0, sy, sy / 2 - 0.5)
}

/** Whether the nearest pixel to `point` lies in an image of this size. */
export function isInside(point: Point, size: Size): boolean {
  const [x, y] = point
  return x >= -0.5 && y >= -0.5 && x < size.width - 0.5 && y < size.height - 0.5
}
