/** Angles and distances between landmarks, in image axes: x grows forward, y grows down. */

import type { Point } from '../predictions.js'

/** From the first point to the second. */
export type Direction = readonly [Point, Point]

/** Angle in degrees from one direction to another, in (-180, 180]; positive where it turns from x towards y. NaN where a direction is empty. */
export function signedAngle([a, b]: Direction, [c, d]: Direction): number {
  const [ux, uy, vx, vy] = [b[0] - a[0], b[1] - a[1], d[0] - c[0], d[1] - c[1]]
  if ((ux === 0 && uy === 0) || (vx === 0 && vy === 0)) return Number.NaN
  // atan2 keeps its precision near 0 and 180 degrees, where acos loses half of the digits. A cross product of -0 is 0.
  return (Math.atan2(ux * vy - uy * vx || 0, ux * vx + uy * vy) * 180) / Math.PI
}

/** Angle in degrees between two directions, in [0, 180]. */
export function angle(first: Direction, second: Direction): number {
  return Math.abs(signedAngle(first, second))
}

/** In the unit of the points. */
export function distance(a: Point, b: Point): number {
  return Math.hypot(b[0] - a[0], b[1] - a[1])
}
