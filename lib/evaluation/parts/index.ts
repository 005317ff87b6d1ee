/** All parts of an evaluation, in the order in which they are printed. A new part is a file and a line here. */

import { clinicalPart } from '../clinical/part.js'
import { annotatorsPart } from './annotators.js'
import { biasPart } from './bias.js'
import { distributionPart } from './distribution.js'
import type { Evidence, Part, PartResult } from './part.js'
import { publishedPart } from './published.js'
import { seedsPart } from './seeds.js'
import { truthsPart } from './truths.js'
import { uncertaintyPart } from './uncertainty.js'
import { worstPart } from './worst.js'

export const parts: readonly Part[] = [
  publishedPart,
  seedsPart,
  truthsPart,
  clinicalPart,
  annotatorsPart,
  distributionPart,
  biasPart,
  worstPart,
  uncertaintyPart,
]

/** Every part that the evidence has enough for, by key. */
export async function evaluateParts(evidence: Evidence): Promise<ReadonlyMap<string, PartResult>> {
  const results = new Map<string, PartResult>()
  for (const { key, run } of parts) {
    const result = await run(evidence)
    if (result !== null) results.set(key, result)
  }
  return results
}
