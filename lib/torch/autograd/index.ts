/** `torch.autograd`: passes, derivatives as values, custom functions and numerical checks. */
export { liveCallbacks } from './callbacks.js'
export {
  Function,
  type FunctionClass,
  FunctionContext,
} from './function.js'
export * as functional from './functional.js'
export { type BackwardManyOptions, backward, type GradOptions, grad } from './grad.js'
export { type GradcheckOptions, gradcheck, gradgradcheck } from './gradcheck.js'
export type { GradNode } from './graph.js'
export type { HookHandle } from './hooks.js'
