/** Multi-head self-attention on the fused kernels. */
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'
import { wantTensor } from '../../torch/wants.js'

/** How the rows of a joint query-key-value projection are ordered: see `selfAttention`. */
export type HeadOrder = 'new' | 'legacy'

/**
 * Multi-head self-attention softmax(q k^T / sqrt(c)) v over tokens (Vaswani et al. 2017), c = C / heads.
 *
 * qkv: [B, T, 3C] -> [B, T, C]. The 3C columns are read as 3 x heads x c ('new': first q, k, v, then
 * the heads) or as heads x 3 x c ('legacy', latent-diffusion's default). Tokens come before channels
 * because the fused kernels want unit stride along c: with any other layout libtorch falls back to
 * the form that holds all T x T scores, 8 GB at 32 000 tokens.
 */
export function selfAttention(
  qkv: Tensor,
  { heads, headOrder = 'new' }: { heads: number; headOrder?: HeadOrder },
): Tensor {
  wantTensor(qkv, 'qkv')
  const [batch = 0, tokens = 0, width = 0] = qkv.shape
  const channels = width / 3
  const size = channels / heads
  const parts =
    headOrder === 'new'
      ? qkv.reshape([batch, tokens, 3, heads, size]).permute([2, 0, 3, 1, 4])
      : qkv.reshape([batch, tokens, heads, 3, size]).permute([3, 0, 2, 1, 4])
  // Views of the one tensor, and their gradients are written into one.
  const [q, k, v] = parts.unbind(0) as [Tensor, Tensor, Tensor]
  const mixed = torch.scaledDotProductAttention(q, k, v)
  return mixed.transpose(1, 2).reshape([batch, tokens, channels])
}
