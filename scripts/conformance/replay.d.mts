import type { Case } from './frames.mjs'

export interface Outcome {
  problems: { kind: string; text: string }[]
  exact: boolean
  /** A guard of native/dispatch/guards.cpp refused the call, which is no problem. */
  guarded?: boolean
  determined?: boolean
}

export function replay(one: Case): Promise<Outcome>
