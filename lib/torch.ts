/**
 * The public `landmark-diffusion/torch`: tensors, and on top of them modules and optimisers by PyTorch's
 * names. (The rooms below import ./torch/index.js, which knows no modules.)
 */

export * as nn from './nn/index.js'
export * as optim from './optim/index.js'
export * from './torch/index.js'
