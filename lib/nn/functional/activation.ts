/** Activations that are no operators of their own (`torch.nn.functional`). */
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'
import { type Optional, optional } from '../optional.js'

export { logSigmoid as logsigmoid } from '../../torch/index.js'

/** x - tanh(x). */
export function tanhshrink(x: Tensor): Tensor {
  return torch.scope(() => torch.sub(x, torch.tanh(x)))
}

/** x / (1 + |x|). */
export function softsign(x: Tensor): Tensor {
  return torch.scope(() => torch.div(x, torch.abs(x).add(1)))
}

/** exp(-x) / sum exp(-x) along `dim`. */
export function softmin(x: Tensor, dim: number): Tensor {
  return torch.scope(() => torch.softmax(torch.neg(x), dim))
}

export interface GumbelOptions {
  /** Temperature; default 1. */
  tau?: number
  /** One-hot, with the gradient of the soft sample; default false. */
  hard?: boolean
  /** Default -1. */
  dim?: number
}

/** A sample of the Gumbel-softmax distribution (Jang et al. 2016), of unnormalised log-probabilities. */
export function gumbelSoftmax(
  logits: Tensor,
  ...rest: Optional<[tau: number, hard: boolean], GumbelOptions>
): Tensor {
  const { tau, hard, dim } = optional('gumbelSoftmax', rest, { tau: 1, hard: false, dim: -1 })
  return torch.scope(() => {
    const noise = torch.emptyLike(logits).exponential_().log().neg()
    const soft = torch.softmax(logits.add(noise).div(tau), dim)
    if (!hard) return soft
    const index = soft.max(dim, { keepdim: true })[1]
    const oneHot = torch.zerosLike(logits).scatter_(dim, index, 1)
    return oneHot.sub(soft.detach()).add(soft)
  })
}
