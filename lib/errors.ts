/** The one error class of the package: a machine-readable code, and a message that names the input, what is wrong with it, and the remedy. */

export type ErrorCode =
  | 'ERR_ADDON_LOAD'
  | 'ERR_LIBTORCH_MISMATCH'
  | 'ERR_OP'
  | 'ERR_SCHEMA'
  | 'ERR_DISPOSED'
  | 'ERR_CONFIG'
  | 'ERR_DATA'
  | 'ERR_IMAGE'
  | 'ERR_CHECKPOINT'
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_DEVICE'
  | 'ERR_DIVERGED'
  | 'ERR_DISTRIBUTED'
  | 'ERR_ABORTED'
  | 'ERR_PROGRAM'
  | 'ERR_USAGE'

/** Base class of every error that this package throws on purpose. */
export class LandmarkDiffusionError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'LandmarkDiffusionError'
    this.code = code
  }
}

/** A disposed tensor was used. */
export class TensorDisposedError extends LandmarkDiffusionError {
  constructor(message: string) {
    super('ERR_DISPOSED', message)
    this.name = 'TensorDisposedError'
  }
}

const mostShown = 8

/** A caller's value as a message shows it: short, however long it is itself. */
export function shown(value: unknown, depth = 0): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80))
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value).slice(0, 80)
  if (!Array.isArray(value)) return 'an object'
  if (depth > 1) return '[...]'
  const first = Array.from({ length: Math.min(value.length, mostShown) }, (_, i) =>
    shown(value[i], depth + 1),
  )
  const more = value.length > mostShown ? [`and ${value.length - mostShown} more`] : []
  return `[${[...first, ...more].join(', ')}]`
}
