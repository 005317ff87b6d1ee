/**
 * The parts of the synthetic skull as outlines, lines and densities, from the anatomy's landmarks.
 * Each part says in which layer it is drawn: layers differ in how blurred their edges are, as rounded
 * bodies (brain, cheeks) fade towards their edge on a radiograph and cortical bone does not.
 */
import type { Point } from '../../landmarks/geometry.js'
import type { Random } from '../random.js'
import type { Anatomy } from './anatomy.js'
import { cranium, face } from './cranium.js'
import { mandible, teeth } from './jaws.js'
import { neck, softTissue } from './soft-tissue.js'

export type Layer = 'deep' | 'soft' | 'bone' | 'sharp'

export type Part =
  | { layer: Layer; kind: 'fill'; outline: readonly Point[]; density: number }
  | { layer: Layer; kind: 'line'; line: readonly Point[]; width: number; density: number }

/** All parts of one skull; `random` varies what carries no landmark (fillings, sinuses, densities). */
export function buildParts(anatomy: Anatomy, random: Random): Part[] {
  const parts: Part[] = []
  const draw: Draw = {
    fill: (layer, outline, density) => parts.push({ layer, kind: 'fill', outline, density }),
    line: (layer, line, width, density) =>
      parts.push({ layer, kind: 'line', line, width, density }),
    random,
  }
  softTissue(draw, anatomy)
  cranium(draw, anatomy)
  face(draw, anatomy)
  mandible(draw, anatomy)
  teeth(draw, anatomy)
  neck(draw, anatomy)
  return parts
}

/** How the parts' functions add to the list. */
export interface Draw {
  fill(layer: Layer, outline: readonly Point[], density: number): void
  /** width: standard deviation of the line's profile, mm. */
  line(layer: Layer, line: readonly Point[], width: number, density: number): void
  random: Random
}
