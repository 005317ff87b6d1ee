/** A landmark set in a file, so that hands, hips or other heads can be evaluated like the cephalograms that the package knows: names, aliases, flip pairs, and measures made of angles, distances and ratios. */

import { z } from 'zod'
import { LandmarkDiffusionError } from '../errors.js'
import { describeIssues, type FileKind, parseJson, readTextFile } from '../outside-file.js'
import type { LandmarkSet } from './landmark-set.js'

const name = z.string().trim().min(1).max(200)
const segment = z.tuple([name, name])
const range = z
  .tuple([z.number(), z.number()])
  .refine(([low, high]) => low <= high, 'the lower bound is above the upper one')

const measure = z
  .strictObject({
    name,
    label: name.optional(),
    angle: z.tuple([segment, segment]).optional(),
    distance: segment.optional(),
    ratio: z.tuple([segment, segment]).optional(),
    normal: range.optional(),
    classes: z.strictObject({ below: name, within: name, above: name }).optional(),
  })
  .refine(
    ({ angle, distance, ratio }) => [angle, distance, ratio].filter(Boolean).length === 1,
    'has to be one of angle, distance and ratio',
  )
  .refine(({ normal, classes }) => !classes || normal, 'classes need the range "normal"')

const landmarkFile = z.strictObject({
  format: z.literal('landmark-diffusion/landmarks'),
  version: z.literal(1),
  name,
  /** Unit of the results; points are in pixels and images say how many mm a pixel has. */
  unit: z.literal('mm').default('mm'),
  landmarks: z
    .array(
      z.strictObject({
        name,
        label: name.optional(),
        aliases: z.array(name).max(100).optional(),
      }),
    )
    .min(1)
    .max(1000),
  flipPairs: z.array(segment).max(1000).default([]),
  disputed: z.array(name).max(1000).default([]),
  measures: z.array(measure).max(1000).default([]),
})

/** From one landmark to another. */
export type Segment = readonly [from: string, to: string]

/** A measure as a landmark file describes it: exactly one of `angle`, `distance` and `ratio`. */
export interface MeasureDescription {
  readonly name: string
  readonly label?: string | undefined
  /** Unsigned angle between two directions in degrees, 0 to 180. */
  readonly angle?: readonly [Segment, Segment] | undefined
  /** Length in mm. */
  readonly distance?: Segment | undefined
  /** Length of the first over length of the second. */
  readonly ratio?: readonly [Segment, Segment] | undefined
  /** The normal range; both bounds belong to it. */
  readonly normal?: readonly [number, number] | undefined
  /** Names of the classes below, within and above the normal range. */
  readonly classes?:
    | { readonly below: string; readonly within: string; readonly above: string }
    | undefined
}

export interface DescribedLandmarkSet extends LandmarkSet {
  readonly measures: readonly MeasureDescription[]
}

const kind: FileKind = {
  what: 'landmark file',
  remedy: 'Give a JSON file as in docs/formats.md, "Landmark sets".',
  limit: 2 ** 20,
}

/** Every landmark that a part of the file names, with the place where it does. */
function* references({ flipPairs, disputed, measures }: z.infer<typeof landmarkFile>) {
  for (const [i, pair] of flipPairs.entries())
    for (const landmark of pair) yield [landmark, `flipPairs[${i}]`] as const
  for (const [i, landmark] of disputed.entries()) yield [landmark, `disputed[${i}]`] as const
  for (const [i, { angle, distance, ratio }] of measures.entries())
    for (const landmark of [angle, distance, ratio].flat(2))
      if (landmark !== undefined) yield [landmark, `measures[${i}]`] as const
}

/** The first value that is there twice. */
function twice(values: readonly string[]): string | undefined {
  return values.find((value, i) => values.indexOf(value) < i)
}

/** Checks a parsed landmark file. @throws ERR_DATA with the file and the key */
export function parseLandmarkSet(value: unknown, path: string): DescribedLandmarkSet {
  const refuse = (problem: string): never => {
    throw new LandmarkDiffusionError('ERR_DATA', `${path}: ${problem}; correct the landmark file.`)
  }
  const parsed = landmarkFile.safeParse(value)
  if (!parsed.success) return refuse(describeIssues(parsed.error).join('; '))
  const { name: title, landmarks, flipPairs, disputed, measures } = parsed.data
  const names = landmarks.map((landmark) => landmark.name)
  for (const [what, list] of [
    ['landmarks', [...names, ...landmarks.flatMap(({ aliases = [] }) => aliases)]],
    ['flipPairs', flipPairs.flat()],
    ['measures', measures.map((each) => each.name)],
  ] as const) {
    const again = twice(list)
    if (again !== undefined) return refuse(`${what}: '${again}' is there twice`)
  }
  const known = new Set(names)
  for (const [landmark, where] of references(parsed.data))
    if (!known.has(landmark)) return refuse(`${where}: there is no landmark '${landmark}'`)
  return {
    name: title,
    landmarks: landmarks.map(({ name: short, label = short, aliases = [] }) => ({
      name: short,
      label,
      aliases,
    })),
    flipPairs,
    disputed,
    measures,
  }
}

/** Reads a landmark file. @throws ERR_DATA naming the file and the key */
export async function readLandmarkSet(path: string): Promise<DescribedLandmarkSet> {
  return parseLandmarkSet(parseJson(await readTextFile(path, kind), path, kind.what), path)
}
