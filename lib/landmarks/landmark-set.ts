/** Named, ordered sets of landmarks. The order is the channel order of the network and the line order of the annotation files. */

export interface Landmark {
  /** Short name as cephalometry writes it, for example `S`. */
  readonly name: string
  /** Full name, for example `Sella`. */
  readonly label: string
  /** Other abbreviations of the same point in public data sets; see `matchLandmarks`. */
  readonly aliases?: readonly string[]
}

export interface LandmarkSet {
  readonly name: string
  readonly landmarks: readonly Landmark[]
  /** Landmarks that change places when an image is mirrored, by name; a landmark of no pair stays itself. */
  readonly flipPairs?: readonly (readonly [string, string])[]
  /** Landmarks for which public annotations follow more than one convention: results are also given without them. */
  readonly disputed?: readonly string[]
  /** Distances that nature fixes, with the range in mm that the median of a data set may have: others betray a wrong pixel size. */
  readonly lengths?: readonly {
    readonly between: readonly [string, string]
    readonly plausible: readonly [number, number]
  }[]
}

/** The short names of a set, in its order. */
export function landmarkNames({ landmarks }: LandmarkSet): string[] {
  return landmarks.map(({ name }) => name)
}
