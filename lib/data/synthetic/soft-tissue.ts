/** The profile of the face with the head behind it, and the neck with spine and airway. */
import type { Point } from '../../landmarks/geometry.js'
import type { Anatomy } from './anatomy.js'
import { band, between, ellipse, plus, polar, smooth } from './curves.js'
import type { Draw } from './structures.js'

export function softTissue({ fill, line }: Draw, anatomy: Anatomy): void {
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

export function neck({ fill, line, random }: Draw, anatomy: Anatomy): void {
  const { PNS, Ar, B, Me } = anatomy.landmarks
  const down = 90 + anatomy.neck
  let at = plus(Ar, -16, 28)
  // Second vertebra with its dens behind the arch of the first.
  fill(
    'bone',
    band(
      [0, 7, 14, 19, 26, 32].map((along) => polar(at, along, down)),
      [2.2, 3.4, 4, 6.8, 7.2, 7.6],
    ),
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
