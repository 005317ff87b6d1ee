/**
 * A skull in profile by a few dozen numbers: lengths and angles that orthodontists measure, drawn at
 * random around usual adult values, give the landmarks; everything that is drawn hangs on them.
 * Millimetres, x forward (the face looks right), y down, sella at the origin, not yet posed.
 */
import type { Point } from '../../landmarks/geometry.js'
import type { Random } from '../random.js'
import { between, direction, distance, plus, polar } from './curves.js'

export type LandmarkName =
  | 'S'
  | 'N'
  | 'Or'
  | 'Po'
  | 'A'
  | 'B'
  | 'Pog'
  | 'Me'
  | 'Gn'
  | 'Go'
  | 'L1'
  | 'U1'
  | 'UL'
  | 'LL'
  | 'Sn'
  | "Pog'"
  | 'PNS'
  | 'ANS'
  | 'Ar'

export interface Anatomy {
  readonly landmarks: Readonly<Record<LandmarkName, Point>>
  /** Directions of the incisors from edge to root apex, degrees. */
  readonly upperIncisor: number
  readonly lowerIncisor: number
  /** Thickness of the soft tissue relative to the usual one. */
  readonly softTissue: number
  /** How far the nose stands out, mm. */
  readonly nose: number
  readonly vaultHeight: number
  readonly vaultLength: number
  /** Lean of the cervical spine, degrees from upright. */
  readonly neck: number
  /** Displacement of the far side of jaw and orbit, which a radiograph shows beside the near one. */
  readonly farSide: Point
}

/** A random normal, kept within 2.5 standard deviations: monsters are not anatomy. */
function vary(random: Random, mean: number, sd: number): number {
  const value = random.normal(mean, sd)
  return Math.min(mean + 2.5 * sd, Math.max(mean - 2.5 * sd, value))
}

export function drawAnatomy(random: Random): Anatomy {
  const S: Point = [0, 0]
  const N = polar(S, vary(random, 59, 2.5), vary(random, -7, 1.5))
  const downFromN = direction(N, S)
  // Jaw relation: angle ANB about 2 in class I, larger in II, negative in III.
  const jawClass = random.uniform()
  const anb =
    jawClass < 0.5
      ? vary(random, 2.5, 1)
      : jawClass < 0.8
        ? vary(random, 6, 1.2)
        : vary(random, -1.5, 1.5)
  const sna = vary(random, 82, 3) + anb * 0.2 - 0.4
  const upperFace = vary(random, 55, 3)
  const lowerFace = vary(random, 35, 3.5)
  const A = polar(N, upperFace, downFromN - sna)
  const B = polar(N, upperFace + lowerFace, downFromN - (sna - anb))
  const ANS = plus(A, vary(random, 2, 1.2), vary(random, -7, 1))
  const palate = vary(random, 44, 2.5)
  const PNS = polar(ANS, palate, 180 + vary(random, 1, 3))

  // Chin: pogonion in front of the line N-B, menton below and behind, gnathion between them.
  const mandibularPlane = vary(random, 29, 5) + (lowerFace - 35) * 0.8
  const chin = vary(random, 13, 1.6)
  const Pog = plus(polar(B, chin, direction(N, B) + vary(random, -2, 6)), 0.5, 0)
  const Me = plus(Pog, vary(random, -6, 1), vary(random, 6.5, 0.8))
  const Gn = plus(between(Pog, Me, 0.5), 1.2, 1.2)
  const Ar = polar(S, vary(random, 32, 2.5), vary(random, 116, 3.5))
  const body = polar(Me, 90, 180 + mandibularPlane)
  // Gonion: on the mandibular plane at the ramus' length, or as near to that as the plane allows.
  const ramus = vary(random, 42, 3)
  let Go = between(Me, body, 0.7)
  for (let t = 0.55; t <= 0.85; t += 0.005) {
    const candidate = between(Me, body, t)
    const miss = (p: Point) => Math.abs(distance(p, Ar) - ramus) + 0.4 * Math.abs(p[0] - Ar[0] - 6)
    if (miss(candidate) < miss(Go)) Go = candidate
  }

  const U1 = plus(A, vary(random, 5, 1.5), vary(random, 19.5, 1.6))
  const overjet = 2.5 + 0.7 * (anb - 2.5) * random.uniform(0.5, 1.3)
  const L1 = plus(U1, -overjet, -vary(random, 1.6, 1.2))
  const upperIncisor = vary(random, -112, 5) - anb * 0.5
  const lowerIncisor = vary(random, 112, 5) + anb * 0.5

  const softTissue = vary(random, 1, 0.12)
  const Sn = plus(A, 11 * softTissue + vary(random, 0, 0.8), vary(random, -2.5, 1))
  const UL = plus(U1, 11.5 * softTissue + vary(random, 0, 0.9), vary(random, -9.5, 1.2))
  const LL: Point = [
    Math.max(L1[0], U1[0] - 4) + 10.5 * softTissue + vary(random, 0, 0.9),
    Math.max(UL[1] + 16, L1[1] + vary(random, 11.5, 1.3)),
  ]
  const softPog = plus(Pog, 10.5 * softTissue, vary(random, 2, 1))
  const Or = plus(N, vary(random, -11, 2), vary(random, 25, 2.2))
  const Po = plus(Ar, vary(random, -7, 1.5), vary(random, -11.5, 1.5))

  return {
    landmarks: {
      S,
      N,
      Or,
      Po,
      A,
      B,
      Pog,
      Me,
      Gn,
      Go,
      L1,
      U1,
      UL,
      LL,
      Sn,
      "Pog'": softPog,
      PNS,
      ANS,
      Ar,
    },
    upperIncisor,
    lowerIncisor,
    softTissue,
    nose: vary(random, 17, 2),
    vaultHeight: vary(random, 97, 4),
    vaultLength: vary(random, 103, 5),
    neck: vary(random, 6, 5),
    farSide: [vary(random, 0, 1.6), vary(random, 0, 1.3)],
  }
}
