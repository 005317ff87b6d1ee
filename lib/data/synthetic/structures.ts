/**
 * The parts of the synthetic skull as outlines, lines and densities, from the anatomy's landmarks.
 * Each part says in which layer it is drawn: layers differ in how blurred their edges are, as rounded
 * bodies (brain, cheeks) fade towards their edge on a radiograph and cortical bone does not.
 */
import type { Point } from '../../landmarks/geometry.js'
import type { Random } from '../random.js'
import type { Anatomy } from './anatomy.js'
import { band, between, direction, ellipse, plus, polar, shrink, smooth } from './curves.js'

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

interface Draw {
  fill(layer: Layer, outline: readonly Point[], density: number): void
  /** width: standard deviation of the line's profile, mm. */
  line(layer: Layer, line: readonly Point[], width: number, density: number): void
  random: Random
}

function softTissue({ fill, line }: Draw, anatomy: Anatomy): void {
  const { N, A, B, Sn, UL, LL, "Pog'": softPog, Pog, Me, Gn } = anatomy.landmarks
  const t = anatomy.softTissue
  const tip = plus(Sn, anatomy.nose, -11)
  const mouth: Point = [Math.min(UL[0], LL[0]) - 5 * t, (UL[1] + LL[1]) / 2 - 1]
  const profile = smooth([
    [N[0] - 22, -anatomy.vaultHeight + 16],
    plus(N, 5 * t, -52),
    plus(N, 9 * t, -18),
    plus(N, 7 * t, 0),
    between(plus(N, 7 * t, 0), tip, 0.6),
    plus(tip, -2.5, -3.5),
    tip,
    plus(tip, -3, 4.5),
    plus(Sn, 6, 0.8),
    Sn,
    plus(between(Sn, UL, 0.5), -1.8, 0.5),
    UL,
    plus(UL, -1.8, 4),
    mouth,
    plus(LL, -2.2, -4.5),
    LL,
    plus(LL, -4.5, 6.5),
    [B[0] + 10 * t, Math.max(B[1] + 1, LL[1] + 9)],
    softPog,
    plus(Gn, 8 * t, 7 * t),
    plus(Me, 1, 8.5 * t),
    plus(Me, -16, 10),
    plus(Pog, -40, 28),
    plus(Pog, -47, 52),
    plus(Pog, -49, 95),
  ])
  const head: Point[] = [
    ...profile,
    [-112, Me[1] + 90],
    ...smooth([
      [-98, 60],
      [-anatomy.vaultLength - 7, 5],
      [-anatomy.vaultLength + 1, -50],
      [-62, -anatomy.vaultHeight + 3],
      [-15, -anatomy.vaultHeight - 7],
      [N[0] - 24, -anatomy.vaultHeight + 14],
    ]),
  ]
  fill('sharp', head, 0.09)
  fill('soft', head, 0.11)
  fill('deep', head, 0.1)
  line('sharp', profile, 0.5, 0.03)
  // The cheek and the base of the tongue: the middle of the head is thicker than its edge.
  fill(
    'deep',
    smooth(
      [plus(A, -2, -16), plus(A, -4, 12), plus(B, -8, 5), plus(B, -45, 2), [0, 55], [-10, 30]],
      true,
    ),
    0.16,
  )
}

function cranium({ fill, line, random }: Draw, anatomy: Anatomy): void {
  const { N, Po, Ar } = anatomy.landmarks
  const { vaultHeight: h, vaultLength: l } = anatomy
  const vault = smooth([
    plus(N, -0.5, 0),
    plus(N, 2, -6),
    plus(N, 4, -15),
    plus(N, 2, -38),
    [N[0] - 15, -h * 0.76],
    [15, -h],
    [-25, -h - 1],
    [-66, -h * 0.84],
    [-l + 8, -h * 0.5],
    [-l, -8],
    [-l + 10, 24],
    [-72, 42],
  ])
  const inner = shrink(vault, [-20, -30], 0.065)
  const base: Point[] = [
    [-48, 46],
    [-26, 39],
    [-14, 12],
    [-4, -6],
    [12, -6],
    [30, -5],
    plus(N, -8, -2),
  ]
  fill('soft', [...vault, ...base], 0.22)
  fill('deep', [...inner, ...base], 0.32)
  line('bone', vault, 0.9, 0.28)
  line('bone', inner.slice(10), 0.8, 0.2)
  line('soft', shrink(vault, [-20, -30], 0.03), 2.2, 0.3)
  // Meningeal and sutural marks on the vault.
  line(
    'bone',
    smooth([
      [-22, -h + 2],
      [-20, -h + 30],
      [-14, -45],
      [2, -20],
    ]),
    0.7,
    -0.04,
  )
  line(
    'bone',
    smooth([
      [-l + 12, -20],
      [-78, -30],
      [-66, -20],
      [-58, 8],
    ]),
    0.7,
    -0.05,
  )
  // Anterior base and orbital roofs.
  line('bone', smooth([[8, -6], [20, -8], [36, -8], plus(N, -7, -5)]), 0.7, 0.16)
  line('bone', smooth([[10, -10], [28, -17], [44, -17], plus(N, -4, -9)]), 0.7, 0.12)
  // Sella turcica: a U between tuberculum and dorsum; its centre is S. Then the clivus.
  fill(
    'sharp',
    smooth(
      [
        [-4.6, -3.6],
        [-4.8, 1],
        [0, 4.6],
        [4.8, 1],
        [5, -3.4],
      ],
      true,
    ),
    -0.1,
  )
  line(
    'sharp',
    smooth([
      [15, -7],
      [7.5, -6],
      [5.4, -4.6],
      [5, 1],
      [0, 5],
      [-5, 1],
      [-5, -4.6],
      [-6.2, -6],
      [-8, -4],
      [-11, 5],
      [-18, 22],
      [-26, 38],
    ]),
    0.6,
    0.32,
  )
  line(
    'bone',
    smooth([
      [3, -7.2],
      [0, -6.4],
      [5, -4.4],
    ]),
    0.6,
    0.14,
  )
  // Sphenoid sinus, great wings.
  fill(
    'bone',
    ellipse([9, random.uniform(11, 14)], random.uniform(8, 12), random.uniform(5, 7.5), 15),
    -0.16,
  )
  line(
    'bone',
    smooth([
      [14, -20],
      [19, -6],
      [17, 8],
      [10, 20],
    ]),
    0.7,
    0.14,
  )
  line(
    'bone',
    smooth([
      [16, -21],
      [22, -5],
      [19, 9],
      [11, 22],
    ]),
    0.7,
    0.11,
  )
  // Frontal sinus.
  fill(
    'bone',
    ellipse(plus(N, -3.5, -12), random.uniform(2.5, 4.5), random.uniform(6, 10), 8),
    -0.17,
  )
  // Petrous bone and mastoid: the densest place, with air cells.
  fill(
    'soft',
    smooth(
      [
        plus(Po, 12, -12),
        plus(Po, -6, -12),
        plus(Po, -26, -2),
        plus(Po, -24, 20),
        plus(Po, -8, 24),
        plus(Ar, 2, -2),
      ],
      true,
    ),
    0.42,
  )
  for (let i = 0; i < 9; i++)
    fill(
      'bone',
      ellipse(
        plus(Po, random.uniform(-22, -6), random.uniform(6, 22)),
        random.uniform(1, 2.6),
        random.uniform(1, 2),
      ),
      -0.1,
    )
  // The ear canal: porion is the top of its wall.
  const canal = plus(Po, 0, 4.6)
  fill('sharp', ellipse(canal, 3.8, 4.2), -0.22)
  line('sharp', [...ellipse(canal, 4.2, 4.6), plus(canal, 4.2, 0)], 0.5, 0.26)
  // Base of the occiput, whose lower outline the neck of the condyle crosses at articulare.
  line(
    'bone',
    smooth([[-14, 20], Ar, plus(Ar, -8, 9), plus(Ar, -20, 16), plus(Ar, -44, 18)]),
    0.6,
    0.24,
  )
}

function face({ fill, line, random }: Draw, anatomy: Anatomy): void {
  const { N, Or, A, ANS, PNS, U1 } = anatomy.landmarks
  // Nasal bone, ending in a sharp tip, and the suture that leaves a notch at nasion.
  const nasal = polar(N, 24, direction(N, plus(N, 9, 21)))
  fill(
    'sharp',
    smooth(
      [
        N,
        plus(between(N, nasal, 0.5), 1.2, 0),
        nasal,
        plus(between(N, nasal, 0.5), -2.2, 0.5),
        plus(N, -4, 3),
      ],
      true,
    ),
    0.2,
  )
  line('sharp', smooth([plus(N, -7, 2.4), plus(N, -3, 0.8), plus(N, 0.6, -0.3)]), 0.5, -0.26)
  // Both orbits' rims: orbitale is the lowest point of the near one.
  const orbit = (shift: Point, strength: number) => {
    const low = plus(Or, ...shift)
    line(
      'sharp',
      smooth([
        plus(low, -17, -3.5),
        plus(low, -9, -0.9),
        low,
        plus(low, 6, -2.4),
        plus(low, 10.5, -9),
        plus(low, 11, -18),
      ]),
      0.6,
      strength,
    )
    line(
      'bone',
      smooth([plus(low, -10, -30), plus(low, -14, -20), plus(low, -13, -8), plus(low, -5, 1)]),
      0.8,
      strength * 0.8,
    )
  }
  orbit([0, 0], 0.3)
  orbit([anatomy.farSide[0] - 1.5, anatomy.farSide[1] - 1.8], 0.15)
  fill('soft', ellipse(plus(Or, -2, -17), 13, 14), -0.08)
  // Zygoma and key ridge.
  fill(
    'bone',
    smooth(
      [plus(Or, -17, 2), plus(Or, 1, 2), plus(Or, -3, 14), plus(Or, -9, 27), plus(Or, -14, 14)],
      true,
    ),
    0.18,
  )
  line(
    'bone',
    smooth([
      plus(Or, -15, 4),
      plus(Or, -12, 16),
      plus(Or, -8, 27),
      plus(Or, -5, 16),
      plus(Or, -2, 4),
    ]),
    0.7,
    0.18,
  )
  line('bone', smooth([plus(Or, -16, 3), plus(Or, -36, 2), plus(Or, -52, 4)]), 1.2, 0.1)
  // Maxilla: piriform rim down to the anterior nasal spine, point A in the curve below it, alveolus.
  const neckOfTooth = plus(polar(U1, 10, anatomy.upperIncisor), 3, 0)
  const front = smooth([
    plus(N, 1, 24),
    plus(ANS, -4, -12),
    plus(ANS, -3.2, -3),
    ANS,
    plus(ANS, -1.6, 2.4),
    A,
    plus(A, 0.8, 4.5),
    neckOfTooth,
  ])
  const maxilla: Point[] = [
    ...front,
    plus(neckOfTooth, -30, 4),
    plus(PNS, 6, 10),
    PNS,
    plus(PNS, 3, -18),
    plus(Or, -14, 4),
  ]
  fill('bone', maxilla, 0.2)
  line('sharp', front.slice(14), 0.5, 0.2)
  const palate = band(
    [ANS, between(ANS, PNS, 0.1), between(ANS, PNS, 0.5), between(ANS, PNS, 0.85), PNS],
    [0.5, 1.4, 1.7, 1.3, 0.4],
  )
  fill('sharp', palate, 0.26)
  // Maxillary sinus, pterygomaxillary fissure (an upturned drop above PNS), turbinates.
  fill(
    'bone',
    smooth(
      [plus(Or, -3, 4), plus(ANS, -15, -4), plus(PNS, 8, -4), plus(PNS, 8, -15), plus(Or, -18, 5)],
      true,
    ),
    -0.14,
  )
  fill(
    'sharp',
    smooth(
      [
        plus(PNS, -1, -4),
        plus(PNS, 0.8, -12),
        plus(PNS, 0, -19),
        plus(PNS, -3.4, -18),
        plus(PNS, -3, -10),
      ],
      true,
    ),
    -0.13,
  )
  line('sharp', smooth([plus(PNS, -1, -3), plus(PNS, 1.2, -12), plus(PNS, 0, -20)]), 0.4, 0.16)
  line('sharp', smooth([plus(PNS, -1, -3), plus(PNS, -4, -11), plus(PNS, -4, -19)]), 0.4, 0.14)
  fill(
    'soft',
    ellipse(between(plus(PNS, 6, -10), plus(ANS, -8, -10), random.uniform(0.3, 0.6)), 15, 4, 4),
    0.08,
  )
}

function mandible({ fill, line }: Draw, anatomy: Anatomy): void {
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

function teeth(draw: Draw, anatomy: Anatomy): void {
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

function neck({ fill, line, random }: Draw, anatomy: Anatomy): void {
  const { PNS, Ar, B, Me } = anatomy.landmarks
  const down = 90 + anatomy.neck
  let at = plus(Ar, -16, 28)
  // Second vertebra with its dens behind the arch of the first.
  fill(
    'bone',
    band([at, polar(at, 9, down), polar(at, 18, down), polar(at, 34, down)], [3, 4.5, 5.5, 8]),
    0.2,
  )
  fill('bone', ellipse(plus(at, 8.5, 3), 2.6, 4.5), 0.18)
  fill('bone', ellipse(plus(at, -22, 5), 8, 3.6, -8), 0.16)
  at = polar(at, 25, down)
  for (let i = 0; i < 5; i++) {
    const next = polar(at, 17.5, down)
    const body = between(at, next, i === 0 ? 0.1 : 0.5)
    if (i > 0) {
      const corner = (along: number, across: number) =>
        polar(polar(body, along, down), across, down - 90)
      const box = smooth(
        [
          corner(-6.4, 7.6),
          corner(-7, 0),
          corner(-6, -7.6),
          corner(0, -7),
          corner(6.4, -7.8),
          corner(6.2, 0),
          corner(7, 7.8),
          corner(0, 6.9),
        ],
        true,
        5,
      )
      fill('bone', box, 0.2)
      line('bone', [...box, box[0] as Point], 0.6, 0.15)
    }
    const spine = polar(body, -22, down - 90)
    fill('bone', ellipse(plus(spine, -6, 4), 12, 3.6, -16), 0.15)
    fill('bone', ellipse(polar(body, -13, down - 90), 4.5, 5.5, -20), 0.12)
    at = next
  }
  // Airway from the nose down, soft palate in it, hyoid bone.
  const palateTip: Point = [PNS[0] - 13, PNS[1] + 27]
  fill(
    'bone',
    smooth(
      [
        plus(PNS, -2, -12),
        plus(PNS, -4, 2),
        plus(PNS, -13, 12),
        plus(palateTip, -3, 4),
        [B[0] - 55, Me[1] - 16],
        [B[0] - 56, Me[1] + 8],
        [B[0] - 64, Me[1] + 30],
        [B[0] - 71, Me[1] + 10],
        plus(palateTip, -10, 8),
        plus(PNS, -23, 10),
        plus(PNS, -20, -8),
      ],
      true,
    ),
    -0.17,
  )
  fill('bone', band([PNS, plus(PNS, -6, 9), palateTip], [2.5, 4, 2]), 0.08)
  line(
    'soft',
    smooth([plus(PNS, 0, 5), between(PNS, B, 0.4), plus(B, -12, -14)]),
    1.6,
    random.uniform(-0.07, 0),
  )
  const hyoid = plus(Me, random.uniform(-36, -28), random.uniform(6, 14))
  fill('sharp', band([plus(hyoid, -20, -3), plus(hyoid, -9, 0), hyoid], [0.8, 1.3, 3]), 0.17)
}
