/** Named, ordered sets of landmarks. The order is the channel order of the network and the line order of the annotation files. */

export interface Landmark {
  /** Short name as cephalometry writes it, for example `S`. */
  readonly name: string
  /** Full name, for example `Sella`. */
  readonly label: string
}

export interface LandmarkSet {
  readonly name: string
  readonly landmarks: readonly Landmark[]
}

/** The 19 landmarks of the ISBI 2015 challenge (Wang et al. 2016), in its order; the face looks right. */
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
    { name: 'L1', label: 'Lower incisor incision' },
    { name: 'U1', label: 'Upper incisor incision' },
    { name: 'UL', label: 'Upper lip' },
    { name: 'LL', label: 'Lower lip' },
    { name: 'Sn', label: 'Subnasale' },
    { name: "Pog'", label: 'Soft-tissue pogonion' },
    { name: 'PNS', label: 'Posterior nasal spine' },
    { name: 'ANS', label: 'Anterior nasal spine' },
    { name: 'Ar', label: 'Articulare' },
  ],
}
