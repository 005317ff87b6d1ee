/** Call sites: an operator with the constants of a call, made once and then named by a number. */
import { LandmarkDiffusionError } from '../errors.js'
import { addon } from './addon.js'
import { deviceError } from './device.js'
import { dtypeNumber } from './dtype.js'
import { slots } from './native.js'
import { type Argument, Kind, type Operator } from './operator.js'
import { TypedScalar } from './scalar.js'

export function createSite(op: Operator, args: readonly unknown[]): number {
  const kinds: number[] = []
  const constants: unknown[] = []
  op.arguments.forEach((argument, i) => {
    const value = args[i]
    const { kind, constant } = slotOf(argument, value)
    kinds.push(kind)
    constants.push(constant)
  })
  try {
    return addon().native.createSite(op.name, kinds, constants)
  } catch (cause) {
    const unusable = deviceError(cause, op.name)
    if (unusable) throw unusable
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `${op.name}: ${cause instanceof Error ? cause.message : cause}. Schema: ${op.text}`,
      { cause },
    )
  }
}

function slotOf(argument: Argument, value: unknown): { kind: number; constant?: unknown } {
  const { kind, hasDefault, optional } = argument
  if (kind === Kind.Tensor) return { kind: slots.tensor }
  if (value === undefined && hasDefault) return { kind: slots.default }
  if (value === undefined || (value === null && optional)) {
    return { kind: slots.constant, constant: null }
  }
  switch (kind) {
    case Kind.TensorList:
      return { kind: slots.tensorList, constant: (value as unknown[]).length }
    case Kind.OptionalTensorList:
      return { kind: slots.optionalTensorList, constant: (value as unknown[]).length }
    case Kind.Scalar:
      if (typeof value === 'number') {
        return { kind: Number.isSafeInteger(value) ? slots.int : slots.double }
      }
      if (value instanceof TypedScalar) return { kind: value.integer ? slots.int : slots.double }
      return { kind: slots.constant, constant: value }
    case Kind.Float:
      return { kind: slots.double }
    case Kind.VaryingInt:
      return { kind: slots.int }
    case Kind.Generator:
      return { kind: slots.generator }
    case Kind.Storage:
      return { kind: slots.storage }
    case Kind.DType:
      return { kind: slots.constant, constant: dtypeNumber(value) }
    default: {
      const plain = value instanceof TypedScalar && !argument.type.startsWith('Scalar')
      return { kind: slots.constant, constant: plain ? value.value : value }
    }
  }
}
