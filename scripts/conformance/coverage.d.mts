import type { Outcome } from './replay.mjs'

export interface Overload {
  cases: number
  callable: boolean
  tested: boolean
  reason?: string | null
}

export function coverage(
  names: readonly string[],
  outcomes: readonly (Outcome & { op: string })[],
): { overloads: Record<string, Overload>; failed: boolean }
