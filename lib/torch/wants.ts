/**
 * Checks of arguments that TypeScript makes for its callers and nobody for those in JavaScript. Each throws ERR_SCHEMA
 * that says what the argument is for, and what was given.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { Tensor } from './tensor.js'

function wrong(what: string, wanted: string, got: unknown): LandmarkDiffusionError {
  const shown = got === null ? 'null' : Array.isArray(got) ? 'an array' : typeof got
  return new LandmarkDiffusionError('ERR_SCHEMA', `${what} must be ${wanted}, got ${shown}.`)
}

export function wantTensor(value: unknown, what: string): asserts value is Tensor {
  if (!Tensor.isTensor(value)) throw wrong(what, 'a tensor', value)
}

export function wantTensors(values: unknown, what: string): asserts values is readonly Tensor[] {
  if (!Array.isArray(values)) throw wrong(what, 'an array of tensors', values)
  for (const [i, value] of values.entries()) wantTensor(value, `${what}[${i}]`)
}

export function wantFunction(value: unknown, what: string): void {
  if (typeof value !== 'function') throw wrong(what, 'a function', value)
}

export function wantNumber(value: unknown, what: string): asserts value is number {
  if (typeof value !== 'number') throw wrong(what, 'a number', value)
}

export function wantText(value: unknown, what: string): asserts value is string {
  if (typeof value !== 'string') throw wrong(what, 'a text', value)
}

/** What is iterated over, as an array. */
export function listOf<Element>(values: Iterable<Element>, what: string): Element[] {
  const given: unknown = values
  if (typeof given === 'object' && given !== null && Symbol.iterator in given) return [...values]
  throw wrong(what, 'an array or another iterable', given)
}
