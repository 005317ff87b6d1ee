/** Which landmarks of two lists are the same point: data sets abbreviate differently, and share only a part of their points. */

import { knownSets } from './cephalometry.js'
import type { LandmarkSet } from './landmark-set.js'

/** Positions of one landmark in both lists. */
export interface LandmarkPair {
  readonly name: string
  readonly first: number
  readonly second: number
}

export interface LandmarkMatch {
  /** In the order of the second list, under its names. */
  readonly common: readonly LandmarkPair[]
  readonly onlyFirst: readonly string[]
  readonly onlySecond: readonly string[]
}

/** Soft-tissue points carry a prime, for which files use the apostrophe, the grave or acute accent, and typographic quotes. */
export function plainName(name: string): string {
  return name.trim().replace(/[`´’‘′]/g, "'")
}

/** A full name, such as `Soft-tissue pogonion`, however it is spelt; marked, so that it is never taken for an abbreviation. */
function fullName(label: string): string {
  return `full name ${label.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '')}`
}

/** Every abbreviation and full name with the group of those that mean the same point. */
function aliasGroups(sets: readonly LandmarkSet[]): Map<string, Set<string>> {
  const groups = new Map<string, Set<string>>()
  for (const { landmarks } of sets)
    for (const { name, label, aliases = [] } of landmarks) {
      const group = new Set<string>()
      // Without a label of its own the name stands in for it: spelt freely, N and N' would be one point.
      const full = label === name ? [] : [fullName(label)]
      for (const word of [...[name, ...aliases].map(plainName), ...full])
        for (const known of groups.get(word) ?? [word]) group.add(known)
      for (const word of group) groups.set(word, group)
    }
  return groups
}

/**
 * Pairs landmarks by abbreviation: equal names first, so that a set which uses a word in its own
 * way keeps it; then names that a landmark set lists as aliases of each other, or as a full name.
 * @param sets sets whose aliases count beside those of the known ones
 */
export function matchLandmarks(
  first: readonly string[],
  second: readonly string[],
  sets: readonly LandmarkSet[] = [],
): LandmarkMatch {
  const groups = aliasGroups([...knownSets, ...sets])
  const position = new Map(
    first.flatMap((name, i): [string, number][] => [
      [fullName(name), i],
      [plainName(name), i],
    ]),
  )
  const partner = second.map((name) => position.get(plainName(name)))
  const taken = new Set(partner)
  for (const [j, name] of second.entries()) {
    if (partner[j] !== undefined) continue
    for (const word of groups.get(plainName(name)) ?? groups.get(fullName(name)) ?? []) {
      const i = position.get(word)
      if (i === undefined || taken.has(i)) continue
      partner[j] = i
      taken.add(i)
      break
    }
  }
  return {
    common: second.flatMap((name, j) => {
      const i = partner[j]
      return i === undefined ? [] : { name, first: i, second: j }
    }),
    onlyFirst: first.filter((_, i) => !taken.has(i)),
    onlySecond: second.filter((_, j) => partner[j] === undefined),
  }
}
