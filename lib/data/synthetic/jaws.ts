/** The lower jaw and the teeth of both. */
import type { Point } from '../../landmarks/geometry.js'
import type { Anatomy } from './anatomy.js'
import { between, direction, ellipse, plus, polar, smooth } from './curves.js'
import type { Draw } from './structures.js'

export function mandible({ fill, line }: Draw, anatomy: Anatomy): void {
  const { Ar, Go, Me, Gn, Pog, B, L1 } = anatomy.landmarks
  const gum = polar(L1, 9, anatomy.lowerIncisor)
  const ramusUp = direction(Go, Ar)
  const bodyForward = direction(Go, Me)
  const side = (shift: Point): { outer: Point[]; outline: Point[] } => {
    const m = (p: Point) => plus(p, ...shift)
    const outer = smooth([
      m(plus(Ar, 9, -10)),
      m(plus(Ar, 3, -11.5)),
      m(plus(Ar, -1, -7)),
      m(Ar),
      m(plus(polar(Go, 17, ramusUp), 1.6, 0)),
      m(plus(polar(Go, 7, ramusUp), 0.3, 0)),
      m(Go),
      m(plus(polar(Go, 8, bodyForward), 0, 0.8)),
      m(plus(polar(Go, 22, bodyForward), 0, -1.2)),
      plus(between(Go, Me, 0.75), 0, 0.6),
      plus(Me, -3, -0.2),
      Me,
    ])
    const outline = [
      ...outer,
      Gn,
      Pog,
      B,
      gum,
      plus(gum, -12, 1),
      m(plus(between(gum, Go, 0.6), 4, -17)),
      m(plus(Ar, 29, 24)),
      m(plus(Ar, 24, 4)),
      m(plus(Ar, 22, -7)),
      m(plus(Ar, 17, -1)),
      m(plus(Ar, 10, 1.5)),
    ]
    return { outer, outline }
  }
  const near = side([0, 0])
  const far = side([anatomy.farSide[0] + 2.4, anatomy.farSide[1] - 2])
  fill('bone', near.outline, 0.15)
  fill('bone', far.outline, 0.12)
  line('sharp', near.outer, 0.7, 0.25)
  line('sharp', far.outer, 0.7, 0.1)
  const ridge = (shift: number, strength: number) =>
    line(
      'bone',
      smooth([
        plus(Ar, 22 + shift, -7),
        plus(Ar, 24 + shift, 8),
        plus(Ar, 29 + shift, 24),
        plus(between(gum, Go, 0.5), shift, -6),
      ]),
      0.8,
      strength,
    )
  ridge(0, 0.13)
  ridge(2.5, 0.08)
  // The canal of the mandibular nerve.
  line(
    'bone',
    smooth([
      plus(Ar, 14, 20),
      plus(between(Ar, Go, 0.8), 14, 2),
      plus(between(Go, Me, 0.4), 4, -8),
      plus(between(Go, Me, 0.75), 2, -9),
    ]),
    1.1,
    -0.07,
  )
  // Symphysis: outer and inner cortical line around a drop of dense bone.
  const front = smooth([
    gum,
    between(gum, B, 0.6),
    B,
    plus(between(B, Pog, 0.5), 0.2, 0),
    Pog,
    Gn,
    Me,
    plus(Me, -4, -0.6),
  ])
  const inside = smooth([
    plus(gum, -7, 0),
    plus(B, -11, 0),
    plus(Pog, -14, -3),
    plus(Me, -6, -3),
    plus(Me, -4, -0.6),
  ])
  fill('bone', [...front, ...inside.slice().reverse()], 0.24)
  line('sharp', front, 0.7, 0.3)
  line('sharp', inside, 0.7, 0.18)
}

export function teeth(draw: Draw, anatomy: Anatomy): void {
  const { fill, line, random } = draw
  const { U1, L1, A, PNS, Go, Me } = anatomy.landmarks
  /** A tooth from the middle of its edge to the apex: enamel over dentine with a pulp canal. */
  const tooth = (edge: Point, degrees: number, length: number, width: number, density: number) => {
    const across = (p: Point, w: number) => polar(p, w, degrees + 90)
    const at = (t: number, w: number) => across(polar(edge, length * t, degrees), w)
    const outline = smooth(
      [
        at(0, -width * 0.28),
        at(0.22, -width * 0.5),
        at(0.42, -width * 0.42),
        at(0.8, -width * 0.26),
        at(1, 0),
        at(0.8, width * 0.26),
        at(0.42, width * 0.42),
        at(0.22, width * 0.5),
        at(0, width * 0.28),
      ],
      true,
      5,
    )
    fill('sharp', outline, density)
    fill(
      'sharp',
      smooth(
        [
          at(-0.01, -width * 0.28),
          at(0.22, -width * 0.5),
          at(0.38, -width * 0.4),
          at(0.3, 0),
          at(0.38, width * 0.4),
          at(0.22, width * 0.5),
          at(-0.01, width * 0.28),
        ],
        true,
        5,
      ),
      density * 0.6,
    )
    line('sharp', [at(0.3, 0), at(0.85, 0)], 0.45, -density * 0.3)
  }
  /** Incisors are thin at the edge, so that the edge is a point. */
  const incisor = (
    edge: Point,
    degrees: number,
    length: number,
    width: number,
    density: number,
  ) => {
    const at = (t: number, w: number) => polar(polar(edge, length * t, degrees), w, degrees + 90)
    fill(
      'sharp',
      smooth(
        [
          edge,
          at(0.16, -width * 0.42),
          at(0.38, -width * 0.5),
          at(0.75, -width * 0.3),
          at(1, 0),
          at(0.75, width * 0.3),
          at(0.38, width * 0.5),
          at(0.16, width * 0.36),
        ],
        true,
        5,
      ),
      density,
    )
    fill(
      'sharp',
      smooth(
        [
          edge,
          at(0.16, -width * 0.42),
          at(0.36, -width * 0.5),
          at(0.28, 0),
          at(0.36, width * 0.5),
          at(0.16, width * 0.36),
        ],
        true,
        5,
      ),
      density * 0.7,
    )
    line('sharp', [at(0.32, 0), at(0.9, 0)], 0.45, -density * 0.3)
  }
  incisor(U1, anatomy.upperIncisor, 24, 6.6, 0.34)
  incisor(plus(U1, -1.4, -0.8), anatomy.upperIncisor + 4, 23, 6, 0.14)
  incisor(L1, anatomy.lowerIncisor, 21, 5.6, 0.34)
  incisor(plus(L1, -1, 0.9), anatomy.lowerIncisor - 3, 20, 5.4, 0.14)
  // Side teeth along the occlusal plane.
  const front: Point = [Math.min(U1[0], L1[0]) - 3, (U1[1] + L1[1]) / 2]
  const back: Point = [PNS[0] + 9, (PNS[1] + between(Go, Me, 0.35)[1]) / 2 - 2]
  const plane = direction(back, front)
  const roles: readonly [number, number, number][] = [
    [0.08, 6.5, 23],
    [0.26, 6.6, 20],
    [0.43, 6.8, 19],
    [0.66, 10, 19],
    [0.92, 10, 18],
  ]
  for (const [t, width, length] of roles) {
    const place = between(front, back, t)
    const missing = random.uniform() < 0.06
    if (!missing) {
      tooth(plus(place, -1.5, -0.2), plane - 90 + random.uniform(-5, 5), length, width, 0.17)
      tooth(plus(place, -0.4, -0.5), plane - 90 + random.uniform(-5, 5), length, width, 0.12)
    }
    tooth(plus(place, 0, 0.4), plane + 90 + random.uniform(-5, 5), length, width, 0.17)
    tooth(plus(place, 1.2, 0.7), plane + 90 + random.uniform(-5, 5), length, width, 0.12)
    if (random.uniform() < 0.18)
      fill(
        'sharp',
        ellipse(
          plus(place, random.uniform(-1.5, 1.5), random.uniform() < 0.5 ? -3 : 3),
          width * 0.3,
          1.8,
          plane,
        ),
        0.5,
      )
  }
  fill('bone', [plus(A, -6, 4), plus(U1, -9, -6), plus(back, 0, -5), plus(PNS, 8, 6)], 0.07)
}
