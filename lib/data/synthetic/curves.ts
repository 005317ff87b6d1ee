/** Curves of the synthetic skull, in millimetres: smooth lines through given points, ellipses, bands. */
import type { Point } from '../../landmarks/geometry.js'

export const plus = (p: Point, x: number, y: number): Point => [p[0] + x, p[1] + y]

/** The point at `t` between p (0) and q (1). */
export const between = (p: Point, q: Point, t: number): Point => [
  p[0] + (q[0] - p[0]) * t,
  p[1] + (q[1] - p[1]) * t,
]

export const distance = (p: Point, q: Point): number => Math.hypot(q[0] - p[0], q[1] - p[1])

/** From p by `length` in the direction of `degrees`: 0 is forward (right), 90 is down. */
export function polar(p: Point, length: number, degrees: number): Point {
  const angle = (degrees * Math.PI) / 180
  return [p[0] + length * Math.cos(angle), p[1] + length * Math.sin(angle)]
}

/** Direction from p to q in degrees, 0 forward, 90 down. */
export const direction = (p: Point, q: Point): number =>
  (Math.atan2(q[1] - p[1], q[0] - p[0]) * 180) / Math.PI

/**
 * A centripetal Catmull-Rom spline through all the points (no loops and no overshoot where they are
 * unevenly spaced), `steps` points a piece.
 */
export function smooth(points: readonly Point[], closed = false, steps = 8): Point[] {
  const n = points.length
  const at = (i: number): Point => {
    if (closed) return points[(i + n) % n] as Point
    if (i < 0) return mirror(points[0] as Point, points[1] as Point)
    if (i >= n) return mirror(points[n - 1] as Point, points[n - 2] as Point)
    return points[i] as Point
  }
  const line: Point[] = []
  const pieces = closed ? n : n - 1
  for (let i = 0; i < pieces; i++) {
    const p = [at(i - 1), at(i), at(i + 1), at(i + 2)] as const
    const t1 = Math.sqrt(distance(p[0], p[1])) || 1e-3
    const t2 = t1 + (Math.sqrt(distance(p[1], p[2])) || 1e-3)
    const t3 = t2 + (Math.sqrt(distance(p[2], p[3])) || 1e-3)
    for (let s = 0; s < steps; s++) {
      const t = t1 + ((t2 - t1) * s) / steps
      const a1 = between(p[0], p[1], t / t1)
      const a2 = between(p[1], p[2], (t - t1) / (t2 - t1))
      const a3 = between(p[2], p[3], (t - t2) / (t3 - t2))
      const b1 = between(a1, a2, t / t2)
      const b2 = between(a2, a3, (t - t1) / (t3 - t1))
      line.push(between(b1, b2, (t - t1) / (t2 - t1)))
    }
  }
  if (!closed) line.push(points[n - 1] as Point)
  return line
}

const mirror = (end: Point, next: Point): Point => [2 * end[0] - next[0], 2 * end[1] - next[1]]

/** An ellipse turned by `degrees`. */
export function ellipse(centre: Point, rx: number, ry: number, degrees = 0): Point[] {
  const turn = (degrees * Math.PI) / 180
  return Array.from({ length: 40 }, (_, i): Point => {
    const angle = (i * Math.PI) / 20
    const x = rx * Math.cos(angle)
    const y = ry * Math.sin(angle)
    return [
      centre[0] + x * Math.cos(turn) - y * Math.sin(turn),
      centre[1] + x * Math.sin(turn) + y * Math.cos(turn),
    ]
  })
}

/** A closed outline around a line, `halfWidths[i]` to either side of point i. */
export function band(line: readonly Point[], halfWidths: readonly number[]): Point[] {
  const left: Point[] = []
  const right: Point[] = []
  line.forEach((point, i) => {
    const degrees = direction(
      line[Math.max(0, i - 1)] as Point,
      line[Math.min(line.length - 1, i + 1)] as Point,
    )
    const half = halfWidths[Math.min(i, halfWidths.length - 1)] as number
    left.push(polar(point, half, degrees - 90))
    right.push(polar(point, half, degrees + 90))
  })
  return smooth([...left, ...right.reverse()], true, 5)
}

/** Every point moved `amount` of the way to `centre`. */
export const shrink = (line: readonly Point[], centre: Point, amount: number): Point[] =>
  line.map((point) => between(point, centre, amount))
