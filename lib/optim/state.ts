/** Saved statistics put back: of optimisers and of moving averages. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'

/** Copies `source` into the tensors of the same names, all or nothing. */
export function copyInto(
  target: Readonly<Record<string, Tensor>>,
  source: Readonly<Record<string, Tensor>>,
  owner: string,
): void {
  const names = Object.keys(target)
  const wrong = [
    ...names.filter((name) => !Object.hasOwn(source, name)).map((name) => `${name} is missing`),
    ...Object.keys(source)
      .filter((name) => !Object.hasOwn(target, name))
      .map((name) => `${name} is unexpected`),
    ...names
      .filter((name) => source[name] && String(source[name].shape) !== String(target[name]?.shape))
      .map((name) => `${name} is [${source[name]?.shape}], not [${target[name]?.shape}]`),
  ]
  if (wrong.length > 0) {
    throw new LandmarkDiffusionError(
      'ERR_CHECKPOINT',
      `The saved state does not fit ${owner}: ${wrong.slice(0, 5).join('; ')}` +
        `${wrong.length > 5 ? `; and ${wrong.length - 5} more` : ''}. ` +
        'Resume with the configuration that was saved beside it.',
    )
  }
  torch.noGrad(() => {
    torch.scope(() => {
      for (const name of names) target[name]?.copy_(source[name] as Tensor)
    })
  })
}
