/** Seeds and generators. The same seed gives PyTorch's numbers: the streams are libtorch's own. */
import { LandmarkDiffusionError, TensorDisposedError } from '../errors.js'
import { addon } from './addon.js'
import { device as checkDevice, withDevice } from './device.js'
import { freeIds, takeId } from './handles.js'
import { refuseInProgram } from './recording.js'

const seedOutside = 'Seed before the program is called.'

function toSeed(seed: number | bigint): bigint {
  const whole = typeof seed === 'bigint' || Number.isSafeInteger(seed)
  if (!whole) {
    throw new LandmarkDiffusionError('ERR_SCHEMA', `a seed is a whole number, got ${seed}`)
  }
  return BigInt.asUintN(64, BigInt(seed))
}

function checkState(state: unknown): void {
  if (state instanceof Uint8Array) return
  throw new LandmarkDiffusionError('ERR_SCHEMA', 'a state is the Uint8Array that getState() gave')
}

/** A source of random numbers apart from the default one. Pass it to random operators as `generator`. */
export class Generator {
  #id: number

  constructor(
    readonly device = 'cpu',
    seed: number | bigint = 67280421310721,
  ) {
    refuseInProgram('A generator was made', 'Make it outside, or give it to the program.')
    const value = toSeed(seed)
    checkDevice(device)
    this.#id = takeId()
    try {
      withDevice('random numbers', () => addon().native.createGenerator(this.#id, device, value))
    } catch (error) {
      this.dispose()
      throw error
    }
  }

  /** @internal */
  get id(): number {
    if (this.#id === 0) throw new TensorDisposedError('the generator is disposed')
    return this.#id
  }

  manualSeed(seed: number | bigint): this {
    refuseInProgram('A generator was seeded', seedOutside)
    addon().native.manualSeed(this.id, toSeed(seed))
    return this
  }

  /** The bytes of PyTorch's `get_state()`, as of the ops queued so far. */
  getState(): Promise<Uint8Array> {
    return addon().native.generatorState(this.id, 'cpu')
  }

  setState(state: Uint8Array): this {
    checkState(state)
    refuseInProgram('A generator was seeded', seedOutside)
    addon().native.setGeneratorState(this.id, state, 'cpu')
    return this
  }

  dispose(): void {
    if (this.#id !== 0) freeIds([this.#id])
    this.#id = 0
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** Seeds the default generators of all devices. As `torch.manual_seed`. */
export function manualSeed(seed: number | bigint): void {
  refuseInProgram('manualSeed() was called', seedOutside)
  addon().native.manualSeed(0, toSeed(seed))
}

/** State of a device's default generator, as of the ops queued so far. */
export function getRngState(device = 'cpu'): Promise<Uint8Array> {
  checkDevice(device)
  return withDevice('random numbers', () => addon().native.generatorState(0, device))
}

export function setRngState(state: Uint8Array, device = 'cpu'): void {
  checkState(state)
  checkDevice(device)
  refuseInProgram('setRngState() was called', seedOutside)
  withDevice('random numbers', () => addon().native.setGeneratorState(0, state, device))
}
