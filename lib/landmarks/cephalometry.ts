/** The landmark sets of public lateral cephalogram data. The face looks right. Everything that is only true of cephalometry stays here. */

import type { LandmarkSet } from './landmark-set.js'

/** Sella to nasion: 59 mm in ISBI 2015 at its 0.1 mm, 71 mm is the usual norm of adults; the range leaves room for children and magnification. */
const cranialBase: LandmarkSet['lengths'] = [{ between: ['S', 'N'], plausible: [50, 90] }]

/**
 * The 19 landmarks of the ISBI 2015 challenge (Wang et al. 2016), in its order. Aliases: those of
 * CL-Detection 2023 (Pos, LI, UI) and of Aariz (LIT, UIT, Ls, Li). The soft-tissue pogonion is
 * disputed: the senior's convention for it changes in Test 2.
 */
export const cephalometric19: LandmarkSet = {
  name: 'cephalometric19',
  landmarks: [
    { name: 'S', label: 'Sella' },
    { name: 'N', label: 'Nasion' },
    { name: 'Or', label: 'Orbitale' },
    { name: 'Po', label: 'Porion' },
    { name: 'A', label: 'Subspinale' },
    { name: 'B', label: 'Supramentale' },
    { name: 'Pog', label: 'Pogonion' },
    { name: 'Me', label: 'Menton' },
    { name: 'Gn', label: 'Gnathion' },
    { name: 'Go', label: 'Gonion' },
    { name: 'L1', label: 'Lower incisor incision', aliases: ['LIT', 'LI'] },
    { name: 'U1', label: 'Upper incisor incision', aliases: ['UIT', 'UI'] },
    { name: 'UL', label: 'Upper lip', aliases: ['Ls'] },
    { name: 'LL', label: 'Lower lip', aliases: ['Li'] },
    { name: 'Sn', label: 'Subnasale' },
    { name: "Pog'", label: 'Soft-tissue pogonion', aliases: ['Pos'] },
    { name: 'PNS', label: 'Posterior nasal spine' },
    { name: 'ANS', label: 'Anterior nasal spine' },
    { name: 'Ar', label: 'Articulare' },
  ],
  disputed: ["Pog'"],
  lengths: cranialBase,
}

/** The 38 landmarks of the MICCAI CL-Detection 2023 challenge, in the order of its README (cwwang1979/CL-detection2023); the first 19 are those of ISBI 2015. */
export const clDetection38: LandmarkSet = {
  name: 'clDetection38',
  landmarks: [
    ...cephalometric19.landmarks,
    { name: 'D', label: 'Centre of the symphysis' },
    { name: 'U1A', label: 'Upper incisor apex', aliases: ['UIA'] },
    { name: 'L1A', label: 'Lower incisor apex', aliases: ['LIA'] },
    { name: 'Cm', label: 'Columella' },
    { name: 'Ptm', label: 'Pterygomaxillary fissure' },
    { name: 'Co', label: 'Condylion' },
    { name: 'Prn', label: 'Pronasale', aliases: ['Pn'] },
    { name: 'Ba', label: 'Basion' },
    { name: 'PT', label: 'Pterygoid point' },
    { name: 'Bo', label: 'Bolton point' },
    { name: "UL'", label: 'Upper lip margin' },
    { name: "LL'", label: 'Lower lip margin' },
    { name: "Gn'", label: 'Soft-tissue gnathion' },
    { name: "Me'", label: 'Soft-tissue menton', aliases: ['Mes'] },
    { name: 'G', label: 'Glabella' },
    { name: "N'", label: 'Soft-tissue nasion', aliases: ["Ns'"] },
    { name: 'C', label: 'Cervical point' },
    { name: 'U6', label: 'Upper molar', aliases: ['UMo'] },
    { name: 'L6', label: 'Lower molar', aliases: ['LMo'] },
  ],
  disputed: ["Pog'"],
  lengths: cranialBase,
}

/** The 29 landmarks of Aariz, the CEPHA29 challenge (Khalid et al., arXiv 2302.07797), in the order of its config.py (manwaarkhd/aariz-cephalometric-dataset). */
export const aariz29: LandmarkSet = {
  name: 'aariz29',
  landmarks: [
    { name: 'A', label: 'A-point' },
    { name: 'ANS', label: 'Anterior nasal spine' },
    { name: 'B', label: 'B-point' },
    { name: 'Me', label: 'Menton' },
    { name: 'N', label: 'Nasion' },
    { name: 'Or', label: 'Orbitale' },
    { name: 'Pog', label: 'Pogonion' },
    { name: 'PNS', label: 'Posterior nasal spine' },
    { name: 'Pn', label: 'Pronasale', aliases: ['Prn'] },
    { name: 'R', label: 'Ramus' },
    { name: 'S', label: 'Sella' },
    { name: 'Ar', label: 'Articulare' },
    { name: 'Co', label: 'Condylion' },
    { name: 'Gn', label: 'Gnathion' },
    { name: 'Go', label: 'Gonion' },
    { name: 'Po', label: 'Porion' },
    { name: 'LPM', label: 'Lower second premolar cusp tip' },
    { name: 'LIT', label: 'Lower incisor tip', aliases: ['L1', 'LI'] },
    { name: 'LMT', label: 'Lower molar cusp tip' },
    { name: 'UPM', label: 'Upper second premolar cusp tip' },
    { name: 'UIA', label: 'Upper incisor apex', aliases: ['U1A'] },
    { name: 'UIT', label: 'Upper incisor tip', aliases: ['U1', 'UI'] },
    { name: 'UMT', label: 'Upper molar cusp tip' },
    { name: 'LIA', label: 'Lower incisor apex', aliases: ['L1A'] },
    { name: 'Li', label: 'Labrale inferius', aliases: ['LL'] },
    { name: 'Ls', label: 'Labrale superius', aliases: ['UL'] },
    { name: "N'", label: 'Soft-tissue nasion', aliases: ["Ns'"] },
    { name: "Pog'", label: 'Soft-tissue pogonion', aliases: ['Pos'] },
    { name: 'Sn', label: 'Subnasale' },
  ],
  disputed: ["Pog'"],
  lengths: cranialBase,
}

/** The sets that the package knows by name. */
export const knownSets: readonly LandmarkSet[] = [cephalometric19, clDetection38, aariz29]
