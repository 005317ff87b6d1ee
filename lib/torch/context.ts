/**
 * What surrounds an op: the gradient mode, inference mode, autocast and the memory scope. One frame in
 * AsyncLocalStorage holds them all, so each follows async code and none leaks into a concurrent task.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { LandmarkDiffusionError } from '../errors.js'
import { dtypeNumber } from './dtype.js'
import { modeFlags } from './native.js'
import type { Scope } from './scope.js'

export interface Frame {
  /** Flags of `modeFlags`, sent with every op. */
  readonly mode: number
  /** What owns the tensors made here; null outside of any scope. */
  readonly scope: Scope | null
}

const root: Frame = { mode: modeFlags.grad, scope: null }
const storage = new AsyncLocalStorage<Frame>()
// A program that never enters a frame pays no look-up.
let entered = false

export function currentFrame(): Frame {
  return entered ? (storage.getStore() ?? root) : root
}

/** Runs `fn`, and all that it starts, under a changed frame. */
export function within<T>(change: Partial<Frame>, fn: () => T): T {
  if (typeof fn !== 'function') {
    throw new LandmarkDiffusionError('ERR_SCHEMA', `wants a function to run, got ${typeof fn}`)
  }
  const frame = { ...currentFrame(), ...change }
  entered = true
  return storage.run(frame, fn)
}

function withMode<T>(set: number, clear: number, fn: () => T): T {
  return within({ mode: (currentFrame().mode & ~clear) | set }, fn)
}

/** Runs `fn` (plain or async) without recording gradients. As `torch.no_grad`. */
export function noGrad<T>(fn: () => T): T {
  return withMode(0, modeFlags.grad, fn)
}

/** Runs `fn` with gradients recorded, inside a `noGrad`. As `torch.enable_grad`. */
export function enableGrad<T>(fn: () => T): T {
  return withMode(modeFlags.grad, modeFlags.inference, fn)
}

/**
 * Runs `fn` (plain or async) in inference mode: no gradients, and what it makes can never take part in
 * a backward pass. As `torch.inference_mode`.
 */
export function inferenceMode<T>(fn: () => T): T {
  return withMode(modeFlags.inference, modeFlags.grad, fn)
}

const deviceTypes: Readonly<Record<string, number>> = { cpu: 0, cuda: 1 }
/** Of a mode: autocast's dtype and device. */
const autocastBits = 0xffff00

/**
 * Runs `fn` (plain or async) with libtorch's autocast: operators that gain from it compute in `dtype`.
 * `{ enabled: false }` in place of the dtype makes a region inside of one without it. As `torch.autocast`.
 */
export function autocast<T>(
  device: 'cpu' | 'cuda',
  dtype: 'bfloat16' | 'float16' | { readonly enabled: false },
  fn: () => T,
): T {
  const bits = (deviceTypes[device] ?? 0) << 16
  if (typeof dtype === 'string') {
    return withMode(modeFlags.autocast | bits | (dtypeNumber(dtype) << 8), autocastBits, fn)
  }
  const other = (currentFrame().mode & 0xff0000) !== bits
  return withMode(0, other ? 0 : modeFlags.autocast | autocastBits, fn)
}

/** Whether autocast is on here. As `torch.is_autocast_enabled`. */
export function isAutocastEnabled(device: 'cpu' | 'cuda' = 'cpu'): boolean {
  const { mode } = currentFrame()
  return (mode & modeFlags.autocast) !== 0 && (mode >> 16) % 256 === deviceTypes[device]
}

/** Whether inference mode is on here. As `torch.is_inference_mode_enabled`. */
export function isInferenceModeEnabled(): boolean {
  return (currentFrame().mode & modeFlags.inference) !== 0
}

/** Whether ops record gradients here. As `torch.is_grad_enabled`. */
export function isGradEnabled(): boolean {
  return (currentFrame().mode & modeFlags.grad) !== 0
}

/** For optimiser steps: list positions whose tensor is undefined are dropped from all lists of the op. */
export function skippingUndefined<T>(fn: () => T): T {
  return withMode(modeFlags.skipUndefined, 0, fn)
}
