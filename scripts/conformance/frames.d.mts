/** Places [start, length] in a case's body. */
type Place = [number, number]

export interface TensorSpec {
  dtype: string
  shape: number[]
  strides?: number[]
  memory?: Place
  values?: Place
  parts?: Record<string, TensorSpec>
}

export interface Answer {
  tensor?: TensorSpec
  list?: Answer[]
  value?: unknown
}

export interface Case {
  header: {
    op: string
    from: string
    determined?: boolean
    refused?: string
    args: unknown[]
    named: Record<string, unknown>
    tensors: TensorSpec[]
    result: Answer
    aliases: Place[]
  }
  body: Buffer
}

export function readCases(path: string): Generator<Case>
