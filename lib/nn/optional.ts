/** Optional arguments as PyTorch takes them: the first ones in order, the others by name in a last object. */
import { closest } from 'fastest-levenshtein'
import { LandmarkDiffusionError } from '../errors.js'
import * as torch from '../torch/index.js'
import type { Tail } from '../torch/parameters.js'

/** Parameters of a function whose optional arguments are `P` in order, or any of `O` by name. */
export type Optional<P extends readonly unknown[], O> = Tail<P, O>

/**
 * `given` over `defaults`, whose keys stand in the order of the arguments; undefined leaves a default.
 *
 * @throws ERR_SCHEMA for a name that is not among the defaults, for too many arguments, and for one given twice.
 */
export function optional<Options extends object>(
  name: string,
  given: readonly unknown[],
  defaults: Options,
): Options {
  const names = Object.keys(defaults)
  const last = given.at(-1)
  const named = isNamed(last) ? last : {}
  const inOrder = isNamed(last) ? given.slice(0, -1) : given
  if (inOrder.length > names.length) {
    throw refusal(name, `takes ${names.length} optional arguments, not ${inOrder.length}`, names)
  }
  const result = { ...defaults } as Record<string, unknown>
  for (const [i, value] of inOrder.entries()) {
    if (value !== undefined) result[names[i] as string] = value
  }
  for (const [key, value] of Object.entries(named)) {
    const index = names.indexOf(key)
    if (index < 0) {
      throw refusal(name, `has no option '${key}'`, names, closest(key, names))
    }
    if (index < inOrder.length) throw refusal(name, `was given '${key}' twice`, names)
    if (value !== undefined) result[key] = value
  }
  return result as Options
}

function refusal(
  name: string,
  reason: string,
  names: readonly string[],
  nearest?: string,
): LandmarkDiffusionError {
  const hint = nearest ? ` Did you mean '${nearest}'?` : ''
  return new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `${name} ${reason}.${hint} It takes ${names.join(', ') || 'none'}.`,
  )
}

function isNamed(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return !(value instanceof torch.Tensor) && !(value instanceof torch.Generator)
}
