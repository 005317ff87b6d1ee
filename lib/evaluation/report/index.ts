/** One self-contained HTML file about a predictions file: figures, plots, and the pictures with their points, worst first. */

import { basename } from 'node:path'
import type { Annotations } from '../errors.js'
import type { PartResult } from '../parts/part.js'
import type { PredictionsFile } from '../predictions.js'
import type { TiledHeatmaps } from '../uncertainty/heatmap-file.js'
import type { Scores } from './content.js'
import type { ImageFolder } from './image-folder.js'
import type { Decode } from './pictures.js'

export type { Scores } from './content.js'
export { ImageFolder } from './image-folder.js'
export type { Decode, GreyPixels } from './pictures.js'

export interface ReportOptions {
  predictions: PredictionsFile
  /** Path of the predictions file: film strips and heatmaps lie beside it. */
  predictionsPath: string
  /** Names of the landmarks in the order of the annotations; those of the predictions file by default. */
  landmarks?: readonly string[]
  /** Full names of landmarks by short name. */
  labels?: ReadonlyMap<string, string>
  /** Absent when there are no annotations: then the report shows the predictions alone. */
  scores?: Scores | null
  /** What `evaluateParts` found: truths, clinical measures, uncertainty and the rest; without a part its section says so. */
  parts?: ReadonlyMap<string, PartResult>
  /** The truth that was scored against, and what each doctor drew, by image id. */
  truth?: Annotations | null
  junior?: Annotations | null
  senior?: Annotations | null
  /** [x, y] in mm per pixel for images whose pixel size the predictions file does not know. */
  pixelSize?: readonly [number, number] | null
  /** Where the images are; without it the points stand on a blank ground. */
  images?: ImageFolder | null
  /** Stored heatmaps by image id; by default those that the predictions file names. */
  heatmaps?: ((id: string) => Promise<TiledHeatmaps>) | null
  decode: Decode
  /** At most so many images are shown, the worst; 150 by default. */
  worst?: number
  /** At most so many of them have all pixels of the original; 24 by default. */
  originals?: number
  /** At most so many film strips; 12 by default. */
  strips?: number
  /** At most so many of the largest errors, pixel by pixel; 12 by default. */
  zooms?: number
  title?: string
  created?: Date
  /** Called after each image that was embedded. */
  onProgress?: (done: number, total: number) => void
}

/** @returns the text of the HTML file. @throws ERR_DATA for an image of another size than the predicted one */
export async function buildReport(options: ReportOptions): Promise<string> {
  // Drawing needs libraries that nothing else of the evaluation does.
  const [{ collect }, { partValues }, { renderPage }] = await Promise.all([
    import('./collect.js'),
    import('./content.js'),
    import('./page.js'),
  ])
  const { predictions, scores = null, labels = new Map<string, string>() } = options
  const { model } = predictions
  return renderPage({
    title: options.title ?? 'Landmark report',
    source: basename(options.predictionsPath),
    model: typeof model === 'object' && model !== null ? (model as Record<string, unknown>) : null,
    created: options.created ?? new Date(),
    labels,
    scores,
    parts: partValues(options.parts ?? new Map()),
    imageCount: scores?.result.images ?? predictions.images.length,
    ...(await collect(options)),
  })
}
