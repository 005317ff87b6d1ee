/** Devices by name, and the error of one that cannot be used. */
import { LandmarkDiffusionError } from '../errors.js'

const pattern = /^(cpu|cuda|meta)(:\d+)?$/

/** A device by its name; checks it. */
export function device(name: string): string {
  if (typeof name !== 'string' || !pattern.test(name)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `'${name}' is no device; there are 'cpu' and 'cuda:0', 'cuda:1', ...`,
    )
  }
  return name
}

export function isCuda(name: string): boolean {
  return /^cuda(:\d+)?$/.test(name)
}

/** The name that tensors there give as theirs. */
export function canonicalDevice(name: string): string {
  return name === 'cuda' ? 'cuda:0' : name
}

/** Runs `call`; the addon's word that a device cannot be used becomes ERR_DEVICE. */
export function withDevice<T>(name: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw deviceError(error, name) ?? error
  }
}

/** ERR_DEVICE where the addon says that a device cannot be used; undefined for any other error. */
export function deviceError(cause: unknown, where: string): LandmarkDiffusionError | undefined {
  const { code, message = '' } = cause as { code?: unknown; message?: string }
  if (code !== 'ERR_DEVICE') return undefined
  return new LandmarkDiffusionError('ERR_DEVICE', `${where}: ${message}`, { cause })
}
