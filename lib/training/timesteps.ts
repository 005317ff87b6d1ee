/** Which timesteps a batch is trained at. */

import * as torch from '../torch/index.js'
import type { Config } from './config-schema.js'

type Tensor = torch.Tensor

/** t: int64 [batch] in {0, ..., timesteps - 1}; nothing for uniform ones, which the objective draws. */
export function drawTimesteps(
  sampling: Config['train']['timestepSampling'],
  batch: number,
  timesteps: number,
  generator: torch.Generator,
): { t?: Tensor } {
  const last = timesteps - 1
  const spread = (uniform: Tensor) => uniform.mul(timesteps).floor().clamp(0, last)
  const draw = () => torch.rand([batch], { generator, device: generator.device })
  switch (sampling.kind) {
    case 'uniform':
      return {}
    case 'high':
      return { t: spread(draw().pow(1 / sampling.power)).to('int64') }
    case 'last': {
      const uniform = spread(draw())
      const latest = uniform.mul(0).add(last)
      return { t: torch.where(draw().lt(sampling.probability), latest, uniform).to('int64') }
    }
  }
}
