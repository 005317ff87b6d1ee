/** Whether the predictions know how uncertain they are; where they, or their stored heatmaps, say anything of it. */

import { evaluateUncertainty } from '../uncertainty/evaluate.js'
import { formatUncertainty } from '../uncertainty/text.js'
import type { Part } from './part.js'

export const uncertaintyPart: Part = {
  key: 'uncertainty',
  run: async ({ uncertainty: { heatmaps, ...options } = {}, ...evidence }) => {
    // Regions need one truth a point, whatever was predicted.
    if (evidence.truth === 'nearest' || evidence.truth === 'either') return null
    const value = await evaluateUncertainty({ ...evidence, ...(heatmaps && { heatmaps }) }, options)
    return value && { value, text: formatUncertainty(value) }
  },
}
