/** The brain case with the sella and the ear canal, and the bones of the upper face. */
import type { Point } from '../../landmarks/geometry.js'
import type { Anatomy } from './anatomy.js'
import { band, between, direction, ellipse, plus, polar, shrink, smooth } from './curves.js'
import type { Draw } from './structures.js'

export function cranium({ fill, line, random }: Draw, anatomy: Anatomy): void {
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

export function face({ fill, line, random }: Draw, anatomy: Anatomy): void {
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
