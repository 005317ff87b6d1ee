import type { Case } from './frames.mjs'

export interface Outcome {
  problems: { kind: string; text: string }[]
  exact: boolean
  determined?: boolean
}

export function replay(one: Case): Promise<Outcome>
