/**
 * Random changes of the training images: the paper's eight (rotation, translation, scale, shear,
 * multiplication, elastic deformation, cutout, gamma; imgaug 0.4.0 gives them their meaning). All
 * geometry is one map, sampled once for the whole batch; random numbers are drawn on the JavaScript
 * side (some thousand a batch), pixels are tensor operations.
 */
import { Affine, isInside, type Point, type Size } from '../landmarks/geometry.js'
import * as torch from '../torch/index.js'
import type { Random } from './random.js'
import { elasticDeviation, type Lattice, latticeFor, splineBasis, Warp } from './warp.js'

/** Amounts in pixels are those of a canvas of 640 x 800, and are scaled to the actual one. Ranges are uniform. */
export interface AugmentationConfig {
  /** Up to +- this many degrees about the centre. */
  readonly rotate: number
  /** Up to +- this many pixels on each axis. */
  readonly translate: number
  /** Factor. */
  readonly scale: readonly [number, number]
  /**
   * Up to +- this many degrees. As in imgaug the same angle shears x and y, in opposite senses, so
   * that most of it is a rotation: the map of (x, y) is nearly (x - s y, y + s x).
   */
  readonly shear: number
  /** Factor of the greys; null switches it off. */
  readonly multiply: readonly [number, number] | null
  /** Strength uniform in [0, alpha]; displacements have a standard deviation of 2.7 px at 500 and 30. */
  readonly elastic: { readonly alpha: number; readonly sigma: number } | null
  /** Greatest width and height of a rectangle of one random grey, as a share of the image's; every other image gets one. */
  readonly cutout: number | null
  /** Exponent of greys / 255. */
  readonly gamma: readonly [number, number] | null
}

/** What was drawn for one batch, as tensors, and what it does to the points. Its tensors are the caller's. */
export interface Drawn {
  /** How grid_sample fills the outside. */
  readonly padding: number
  readonly tensors: {
    /** [B, 2, rows, columns] */
    readonly lattice: torch.Tensor
    /** [B, 1, H, 1], [B, 1, 1, W] and [B, 1, 1, 1]: where a rectangle is filled, and with which grey. */
    readonly hole: {
      readonly down: torch.Tensor
      readonly across: torch.Tensor
      readonly grey: torch.Tensor
    } | null
    /** [B, 1, 1, 1] */
    readonly factor: torch.Tensor | null
    readonly exponent: torch.Tensor | null
  }
  /** [B * N * 2] x, y in pixels; NaN where missing. */
  readonly points: Float64Array
}

export interface Augmented {
  /** [B, 1, H, W] float, 0 ... 255 */
  readonly images: torch.Tensor
  /** [B * N * 2] x, y in pixels; NaN where missing. */
  readonly points: Float64Array
}

const reference = { width: 640, height: 800 }
const cutoutProbability = 0.5
/** Draws of a geometry that keeps all landmarks in the image, before a weak one is taken. */
const attempts = 5
const weakness = 0.2

/** As `grid_sampler` numbers them. */
const paddings = { zeros: 0, border: 1, reflection: 2 }

export class Augmentation {
  readonly #config: AugmentationConfig
  readonly #size: Size
  readonly #device: string
  readonly #lattice: Lattice
  readonly #rows: Float32Array
  readonly #columns: Float32Array
  #basis: { rows: torch.Tensor; columns: torch.Tensor } | null = null

  /** size: of the canvas, in pixels; device: of the images */
  constructor(config: AugmentationConfig, size: Size, device = 'cpu') {
    this.#config = config
    this.#size = size
    this.#device = device
    const sigma = config.elastic?.sigma ?? 30
    const spacing = (length: number, full: number) => (sigma * Math.sqrt(3) * length) / full
    this.#lattice = latticeFor(size, {
      x: spacing(size.width, reference.width),
      y: spacing(size.height, reference.height),
    })
    const { columns, rows, spacing: step } = this.#lattice
    this.#rows = splineBasis(size.height, step.y, rows)
    this.#columns = splineBasis(size.width, step.x, columns)
  }

  /**
   * Changes a batch; returns at once, as its operations are only queued. Equal `random`s
   * give equal results. The images given are left as they are, and stay the caller's.
   * @param images [B, 1, H, W] float, 0 ... 255
   * @param points [B * N * 2] x, y in pixels; NaN where missing
   */
  apply(images: torch.Tensor, points: Float64Array, random: Random): Augmented {
    let moved = points
    const changed = torch.scope(() => {
      const drawn = this.draw(points, images.shape[0] as number, random)
      moved = drawn.points
      return this.change(images, drawn)
    })
    return { images: changed, points: moved }
  }

  /** The random part of `apply`, for `batch` images. */
  draw(points: Float64Array, batch: number, random: Random): Drawn {
    const stride = points.length / batch
    const moved = new Float64Array(points.length)
    const { rows, columns } = this.#lattice
    const lattice = new Float32Array(batch * 2 * rows * columns)
    const own = Array.from({ length: batch }, (_, b) => {
      const warp = this.#drawWarp(points.subarray(b * stride, (b + 1) * stride), random)
      warp.writeSamplingLattice(lattice, b * 2 * rows * columns)
      for (let i = b * stride; i < (b + 1) * stride; i += 2)
        moved.set(warp.invert([points[i] as number, points[i + 1] as number]), i)
      return this.#drawGreys(random)
    })
    // imgaug draws how the outside is filled for each image; grid_sample takes one for the batch.
    const padding = [paddings.zeros, paddings.border, paddings.reflection][random.int(3)] as number
    const { multiply, gamma } = this.#config
    const device = this.#device
    // Not inside a program, which would make them anew each time.
    this.#basisTensors()
    return {
      padding,
      points: moved,
      tensors: {
        lattice: torch.tensor(lattice, { shape: [batch, 2, rows, columns], device }),
        hole: this.#holes(own),
        factor: multiply
          ? perImage(
              own.map(({ factor }) => factor),
              device,
            )
          : null,
        exponent: gamma
          ? perImage(
              own.map(({ exponent }) => exponent),
              device,
            )
          : null,
      },
    }
  }

  /** The part of `apply` that changes the images: operations on tensors alone, fit for a program. */
  change(images: torch.Tensor, { padding, tensors }: Omit<Drawn, 'points'>): torch.Tensor {
    const { rows, columns } = this.#basisTensors()
    const { lattice, hole, factor, exponent } = tensors
    const { down, across, grey } = hole ?? { down: null, across: null, grey: null }
    // Sampled once, and cubically, as linear interpolation would blur what the network later sees sharp.
    return torch.call('landmark_diffusion::augment', [
      ...[images, lattice, rows, columns],
      ...[down, across, grey],
      ...[factor, exponent],
      padding,
    ]) as torch.Tensor
  }

  /** A random map that keeps in the image every landmark that was in it. */
  #drawWarp(points: Float64Array, random: Random): Warp {
    const keeps = (warp: Warp) => {
      for (let i = 0; i < points.length; i += 2) {
        const point: Point = [points[i] as number, points[i + 1] as number]
        if (isInside(point, this.#size) && !isInside(warp.invert(point), this.#size)) return false
      }
      return true
    }
    for (let attempt = 0; attempt < attempts; attempt++) {
      const warp = this.#randomWarp(1, random)
      if (keeps(warp)) return warp
    }
    const weak = this.#randomWarp(weakness, random)
    return keeps(weak) ? weak : new Warp(this.#lattice, Affine.identity)
  }

  #randomWarp(strength: number, random: Random): Warp {
    const { rotate, translate, scale, shear, elastic } = this.#config
    const { width, height } = this.#size
    const symmetric = (amount: number) => strength * random.uniform(-amount, amount)
    const radians = (degrees: number) => (degrees * Math.PI) / 180
    const turn = radians(symmetric(rotate))
    const slant = radians(symmetric(shear))
    const zoom = 1 + strength * (random.uniform(scale[0], scale[1]) - 1)
    const shift: Point = [
      (symmetric(translate) * width) / reference.width,
      (symmetric(translate) * height) / reference.height,
    ]
    // imgaug: a shear along y, then skimage's AffineTransform, which shears along x and rotates.
    const shearY = new Affine(Math.cos(slant), 0, 0, Math.sin(slant), 1, 0)
    const rest = new Affine(
      zoom * Math.cos(turn),
      -zoom * Math.sin(turn + slant),
      shift[0],
      zoom * Math.sin(turn),
      zoom * Math.cos(turn + slant),
      shift[1],
    )
    const centre: Point = [(width - 1) / 2, (height - 1) / 2]
    const forward = Affine.about(centre, shearY.followedBy(rest))
    if (!elastic) return new Warp(this.#lattice, forward.inverse())
    const deviation = elasticDeviation(strength * random.uniform(0, elastic.alpha), elastic.sigma)
    return Warp.random(
      this.#lattice,
      forward.inverse(),
      { x: (deviation * width) / reference.width, y: (deviation * height) / reference.height },
      random,
    )
  }

  #drawGreys(random: Random): Greys {
    const { multiply, gamma, cutout } = this.#config
    const { width, height } = this.#size
    let hole: Greys['hole'] = null
    if (cutout !== null && random.uniform() < cutoutProbability) {
      const w = random.uniform(0, cutout) * width
      const h = random.uniform(0, cutout) * height
      const x = random.uniform(0, width - w)
      const y = random.uniform(0, height - h)
      hole = { left: x, right: x + w, top: y, bottom: y + h, grey: random.uniform(0, 255) }
    }
    return {
      hole,
      factor: multiply ? random.uniform(multiply[0], multiply[1]) : 1,
      exponent: gamma ? random.uniform(gamma[0], gamma[1]) : 1,
    }
  }

  #holes(greys: readonly Greys[]): Drawn['tensors']['hole'] {
    if (this.#config.cutout === null) return null
    const { width, height } = this.#size
    const batch = greys.length
    const down = new Float32Array(batch * height)
    const across = new Float32Array(batch * width)
    greys.forEach(({ hole }, b) => {
      if (!hole) return
      down.fill(1, b * height + Math.round(hole.top), b * height + Math.round(hole.bottom))
      across.fill(1, b * width + Math.round(hole.left), b * width + Math.round(hole.right))
    })
    const device = this.#device
    return {
      down: torch.tensor(down, { shape: [batch, 1, height, 1], device }),
      across: torch.tensor(across, { shape: [batch, 1, 1, width], device }),
      grey: perImage(
        greys.map(({ hole }) => hole?.grey ?? 0),
        device,
      ),
    }
  }

  /** Constant tensors, made at the first batch and kept. */
  #basisTensors() {
    const device = this.#device
    const { rows, columns } = this.#lattice
    const { width, height } = this.#size
    this.#basis ??= {
      rows: torch.keep(torch.tensor(this.#rows, { shape: [height, rows], device })),
      columns: torch.keep(
        torch
          .tensor(this.#columns, { shape: [width, columns], device })
          .transpose(0, 1)
          .contiguous(),
      ),
    }
    return this.#basis
  }

  /** Frees the constant tensors. */
  [Symbol.dispose](): void {
    this.#basis?.rows.dispose()
    this.#basis?.columns.dispose()
    this.#basis = null
  }
}

interface Greys {
  readonly hole: { left: number; right: number; top: number; bottom: number; grey: number } | null
  readonly factor: number
  readonly exponent: number
}

/** [B, 1, 1, 1] */
function perImage(values: readonly number[], device: string): torch.Tensor {
  return torch.tensor(Float32Array.from(values), { shape: [values.length, 1, 1, 1], device })
}
