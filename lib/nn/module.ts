/**
 * Module, the base of every layer: parameters are plain Tensor fields, child modules are plain
 * fields, and names are the paths to them, as in `torch.nn.Module`.
 */
import { closest } from 'fastest-levenshtein'
import { LandmarkDiffusionError } from '../errors.js'
import type { DType, Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { wantFunction, wantTensor } from '../torch/wants.js'
import {
  type ForwardHook,
  type ForwardHookHandle,
  type ForwardPreHook,
  hooksOf,
} from './forward-hooks.js'

/** What a state dict holds: parameter and buffer names to tensors. */
export type StateDict = Record<string, Tensor>

/** The names that `loadStateDict({ strict: false })` left out, on either side. */
export interface LoadReport {
  missing: string[]
  unexpected: string[]
}

/** A module of one tensor in, one tensor out: what Sequential chains. */
export interface Layer extends Module {
  forward(x: Tensor): Tensor
}

/** Makes `value` a parameter: a leaf that records gradients and that no scope frees. */
export function parameter(value: Tensor): Tensor {
  wantTensor(value, 'a parameter')
  return torch.keep(value.requiresGrad_())
}

/**
 * A node of the model tree. Every field that holds a Tensor is a parameter, unless `registerBuffer`
 * named it; every field that holds a Module is a child. Parameters come before children and fields
 * in order of declaration, which is PyTorch's order.
 *
 * Tensors of a module live until `dispose()`; scopes do not free them.
 */
export abstract class Module {
  /** True while training: Dropout looks at it. `train()` and `eval()` set it for the whole tree. */
  training = true
  readonly #buffers = new Map<string, { persistent: boolean }>()

  /**
   * Declares the field `name` a buffer: moved by `to`, never trained, and saved by `stateDict`
   * only when `persistent` (the default).
   */
  protected registerBuffer(name: string, value: Tensor, { persistent = true } = {}): Tensor {
    this.#buffers.set(name, { persistent })
    return torch.keep(value)
  }

  /** Child modules with their names; containers override it. */
  *namedChildren(): Generator<[string, Module]> {
    for (const [name, value] of Object.entries(this)) {
      if (value instanceof Module) yield [name, value]
    }
  }

  *children(): Generator<Module> {
    for (const [, child] of this.namedChildren()) yield child
  }

  /** This module (with the empty name) and all below it, depth first, with dotted names. */
  *namedModules(prefix = ''): Generator<[string, Module]> {
    yield [prefix, this]
    for (const [name, child] of this.namedChildren()) {
      yield* child.namedModules(prefix ? `${prefix}.${name}` : name)
    }
  }

  /** This module and all below it; one that stands in two places comes once. */
  *modules(): Generator<Module> {
    yield* new Set([...this.namedModules()].map(([, module]) => module))
  }

  /** The module of a dotted name; the empty name is this one. Throws ERR_SCHEMA with the nearest name. */
  getSubmodule(name: string): Module {
    return find('module', name, this.namedModules())
  }

  /** The parameter of a dotted name. Throws ERR_SCHEMA with the nearest name. */
  getParameter(name: string): Tensor {
    return find('parameter', name, this.namedParameters())
  }

  /** The buffer of a dotted name. Throws ERR_SCHEMA with the nearest name. */
  getBuffer(name: string): Tensor {
    return find('buffer', name, this.namedBuffers())
  }

  /** Calls `fn` with every module of the tree, children before their parents; for initial values, for example. */
  apply(fn: (module: Module) => void): this {
    wantFunction(fn, 'what is applied')
    for (const child of this.children()) child.apply(fn)
    fn(this)
    return this
  }

  /**
   * Calls `hook` before each `forward` of this module, with its arguments. An array that it returns takes their
   * place. As PyTorch's `register_forward_pre_hook`.
   */
  registerForwardPreHook(hook: ForwardPreHook): ForwardHookHandle {
    return hooksOf(this).addBefore(hook)
  }

  /**
   * Calls `hook` after each `forward` of this module, with its arguments and its result. What it returns, if
   * anything, takes the result's place. As PyTorch's `register_forward_hook`.
   */
  registerForwardHook(hook: ForwardHook): ForwardHookHandle {
    return hooksOf(this).addAfter(hook)
  }

  /** Parameters with dotted names; a tensor shared by two modules comes once. */
  *namedParameters(): Generator<[string, Tensor]> {
    const seen = new Set<Tensor>()
    for (const { path, tensor, buffer } of this.#tensors()) {
      if (buffer || seen.has(tensor)) continue
      seen.add(tensor)
      yield [path, tensor]
    }
  }

  *parameters(): Generator<Tensor> {
    for (const [, tensor] of this.namedParameters()) yield tensor
  }

  *namedBuffers(): Generator<[string, Tensor]> {
    for (const { path, tensor, buffer } of this.#tensors()) if (buffer) yield [path, tensor]
  }

  *buffers(): Generator<Tensor> {
    for (const [, tensor] of this.namedBuffers()) yield tensor
  }

  /** How many numbers the parameters hold. */
  parameterCount(): number {
    let count = 0
    for (const tensor of this.parameters()) count += tensor.numel
    return count
  }

  /** The live parameters and persistent buffers by name: handles, not copies. */
  stateDict(): StateDict {
    const dict: StateDict = {}
    for (const { path, tensor, buffer } of this.#tensors()) {
      if (!buffer || buffer.persistent) dict[path] = tensor
    }
    return dict
  }

  /**
   * Copies values into the parameters and buffers of the same name; dtypes and devices are converted.
   * With `assign` the module takes the tensors of `dict` themselves, as they are, and frees its own: so a
   * worker holds the weights that `torch.share` gave it, not a copy. Make optimisers afterwards.
   *
   * @throws ERR_CHECKPOINT naming every missing name, unexpected name (both only when `strict`, the
   * default) and differing shape; nothing has been changed then.
   */
  loadStateDict(dict: Readonly<StateDict>, { strict = true, assign = false } = {}): LoadReport {
    const own = this.stateDict()
    const missing = Object.keys(own).filter((name) => !Object.hasOwn(dict, name))
    const unexpected = Object.keys(dict).filter((name) => !Object.hasOwn(own, name))
    const pairs = Object.entries(own).flatMap(([name, target]) => {
      const source = dict[name]
      if (source === undefined) return []
      wantTensor(source, `'${name}'`)
      return [{ name, target, source }]
    })
    const differing = pairs.filter(({ target, source }) => !sameShape(target.shape, source.shape))
    if (differing.length > 0 || (strict && missing.length + unexpected.length > 0)) {
      throw mismatch(this.constructor.name, {
        missing: strict ? missing : [],
        unexpected: strict ? unexpected : [],
        shapes: differing.map(
          ({ name, target, source }) =>
            `${name} [${source.shape.join(', ')}] where the model has [${target.shape.join(', ')}]`,
        ),
      })
    }
    if (assign) {
      this.#assign(dict)
    } else {
      torch.noGrad(() => {
        torch.scope(() => {
          for (const { target, source } of pairs) target.copy_(source)
        })
      })
    }
    return { missing, unexpected }
  }

  #assign(dict: Readonly<StateDict>): void {
    for (const { owner, path, name, tensor, buffer } of [...this.#tensors()]) {
      const source = dict[path]
      if (source === undefined || source === tensor) continue
      const taken = buffer ? source : source.requiresGrad_(tensor.requiresGrad)
      owner.#write(name, torch.keep(taken))
      tensor.dispose()
    }
  }

  train(mode = true): this {
    for (const [, module] of this.namedModules()) module.training = mode
    return this
  }

  eval(): this {
    return this.train(false)
  }

  requiresGrad_(on = true): this {
    for (const tensor of this.parameters()) tensor.requiresGrad_(on)
    return this
  }

  /** Forgets the gradients, so that the next backward pass writes instead of adding. */
  zeroGrad(): void {
    torch.clearGradients([...this.parameters()])
  }

  /**
   * Moves parameters and buffers to a device, and converts those of a floating-point dtype:
   * `to('cuda:0')`, `to('float16')`, `to('cuda:0', 'float16')`, or `to({ device, dtype })`. The tensors are new
   * ones: make optimisers and averages after the move, not before.
   */
  to(target: DType | string | ModuleTarget, dtype?: DType): this {
    const { dtype: wanted, ...place } = destination(target, dtype)
    for (const { owner, name, tensor, buffer } of [...this.#tensors()]) {
      const converts = wanted !== undefined && (tensor.isFloatingPoint() || tensor.isComplex())
      const moved = torch.noGrad(() => tensor.to(converts ? { ...place, dtype: wanted } : place))
      if (moved === tensor) continue
      owner.#write(name, torch.keep(buffer ? moved : moved.requiresGrad_(tensor.requiresGrad)))
      tensor.dispose()
    }
    return this
  }

  float(): this {
    return this.to('float32')
  }

  double(): this {
    return this.to('float64')
  }

  half(): this {
    return this.to('float16')
  }

  bfloat16(): this {
    return this.to('bfloat16')
  }

  cpu(): this {
    return this.to('cpu')
  }

  /** To `cuda:0`, or to the device with this number. */
  cuda(index = 0): this {
    return this.to(`cuda:${index}`)
  }

  /** Frees every parameter and buffer of the tree. */
  dispose(): void {
    for (const { tensor } of [...this.#tensors()]) tensor.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  /** What stands between the parentheses of `toString`: sizes and options of the layer. */
  protected toStringExtra(): string {
    return ''
  }

  /** The tree, one line a module, as PyTorch prints it. */
  toString(): string {
    const extra = this.toStringExtra()
    const children = [...this.namedChildren()].map(
      ([name, child]) => `(${name}): ${child.toString().replaceAll('\n', '\n  ')}`,
    )
    if (children.length === 0) return `${this.constructor.name}(${extra})`
    const lines = extra ? [extra, ...children] : children
    return `${this.constructor.name}(\n  ${lines.join('\n  ')}\n)`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }

  /** The object whose fields are this module's own tensors; containers of parameters override it. */
  protected holder(): object {
    return this
  }

  #write(name: string, tensor: Tensor): void {
    ;(this.holder() as Record<string, Tensor>)[name] = tensor
  }

  *#tensors(): Generator<OwnedTensor> {
    for (const [prefix, owner] of this.namedModules()) {
      for (const [name, tensor] of Object.entries(owner.holder())) {
        if (!(tensor instanceof torch.Tensor)) continue
        const buffer = owner.#buffers.get(name) ?? null
        yield { owner, name, path: prefix ? `${prefix}.${name}` : name, tensor, buffer }
      }
    }
  }
}

/** Where `Module.to` moves a module, and what it makes of it. */
export interface ModuleTarget {
  device?: string
  dtype?: DType
}

function destination(target: DType | string | ModuleTarget, dtype?: DType): ModuleTarget {
  if (typeof target === 'object') return target
  if (!/^(cpu|cuda|meta)(:\d+)?$/.test(target)) return { dtype: target as DType }
  return dtype === undefined ? { device: target } : { device: target, dtype }
}

/** What stands under `name`. */
function find<T>(what: string, name: string, entries: Iterable<[string, T]>): T {
  const found = new Map(entries)
  const value = found.get(name)
  if (value !== undefined) return value
  const names = [...found.keys()]
  const nearest = names.length > 0 ? `; did you mean '${closest(name, names)}'?` : '.'
  throw new LandmarkDiffusionError('ERR_SCHEMA', `There is no ${what} '${name}'${nearest}`)
}

interface OwnedTensor {
  owner: Module
  name: string
  path: string
  tensor: Tensor
  buffer: { persistent: boolean } | null
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i])
}

function mismatch(
  model: string,
  found: { missing: string[]; unexpected: string[]; shapes: string[] },
): LandmarkDiffusionError {
  const list = (title: string, names: string[]) =>
    names.length === 0
      ? []
      : [
          `${title} (${names.length}): ${names.slice(0, 10).join('; ')}${names.length > 10 ? '; ...' : ''}`,
        ]
  const parts = [
    ...list('missing', found.missing),
    ...list('unexpected', found.unexpected),
    ...list('of another shape', found.shapes),
  ]
  return new LandmarkDiffusionError(
    'ERR_CHECKPOINT',
    `These weights do not fit ${model}. ${parts.join('. ')}. ` +
      'Build the model with the configuration that was saved with the weights.',
  )
}
