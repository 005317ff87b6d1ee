/** One self-contained HTML file about a predictions file: figures, plots, and the pictures with their points, worst first. */

import { basename } from 'node:path'
import type { Annotations } from '../errors.js'
import type { Point, PredictedImage, PredictionsFile } from '../predictions.js'
import type { Case } from './overlay.js'
import { renderPage, type Scores, worstFirst } from './page.js'
import {
  type Decode,
  embedFilmstrip,
  embedPicture,
  type ImageFolder,
  type StripFrame,
} from './pictures.js'

export type { Scores } from './page.js'
export { type Decode, type GreyPixels, ImageFolder } from './pictures.js'

export interface ReportOptions {
  predictions: PredictionsFile
  /** Path of the predictions file: film strips lie beside it. */
  predictionsPath: string
  /** Names of the landmarks in the order of the annotations; those of the predictions file by default. */
  landmarks?: readonly string[]
  /** Full names of landmarks by short name. */
  labels?: ReadonlyMap<string, string>
  /** Absent when there are no annotations: then the report shows the predictions alone. */
  scores?: Scores | null
  /** The truth that was scored against, and what each doctor drew, by image id. */
  truth?: Annotations | null
  junior?: Annotations | null
  senior?: Annotations | null
  /** [x, y] in mm per pixel for images whose pixel size the predictions file does not know. */
  pixelSize?: readonly [number, number] | null
  /** Where the images are; without it the points stand on a blank ground. */
  images?: ImageFolder | null
  decode: Decode
  /** At most so many images are shown, the worst; 24 by default. */
  worst?: number
  /** At most so many film strips are shown; 6 by default. */
  strips?: number
  title?: string
  created?: Date
  /** Called after each image that was embedded. */
  onProgress?: (done: number, total: number) => void
}

/** The images to show, worst first; in the order of the file where there are no scores. */
function choose(
  predictions: PredictionsFile,
  scores: Scores | null,
  worst: number,
): PredictedImage[] {
  if (scores === null) return predictions.images.slice(0, worst)
  const byId = new Map(predictions.images.map((image) => [image.id, image]))
  return [...scores.result.perImage]
    .sort(worstFirst)
    .slice(0, worst)
    .map(({ id }) => byId.get(id))
    .filter((image) => image !== undefined)
}

/** Hundredths of a pixel are enough to draw with. */
function round(coordinate: number): number {
  return Number(coordinate.toFixed(2))
}

/** The points of one image in the order of `names`, from a list in the order of `landmarks`. */
function pick(
  points: readonly (Point | null)[] | undefined,
  landmarks: readonly string[],
  names: readonly string[],
): (Point | null)[] | null {
  if (points === undefined) return null
  return names.map((name) => {
    const point = points[landmarks.indexOf(name)]
    return point ? [round(point[0]), round(point[1])] : null
  })
}

/** @returns the text of the HTML file. @throws ERR_DATA for an image of another size than the predicted one */
export async function buildReport(options: ReportOptions): Promise<string> {
  const {
    predictions,
    predictionsPath,
    landmarks = predictions.landmarks,
    labels = new Map<string, string>(),
    scores = null,
    images = null,
    decode,
    worst = 24,
    strips = 6,
    title = 'Landmark report',
    created = new Date(),
    onProgress,
  } = options
  const names = scores?.errors.landmarks ?? predictions.landmarks
  const chosen = choose(predictions, scores, worst)
  const cases: Case[] = []
  // One after the other: a full-size image is decoded at a time, and memory stays that of one.
  for (const image of chosen) {
    const row = scores?.errors.ids.indexOf(image.id) ?? -1
    cases.push({
      image,
      picture: await embedPicture(image, images, decode),
      landmarks: names,
      predicted: pick(image.points, predictions.landmarks, names) ?? [],
      truth: pick(options.truth?.get(image.id), landmarks, names),
      junior: pick(options.junior?.get(image.id), landmarks, names),
      senior: pick(options.senior?.get(image.id), landmarks, names),
      errors:
        scores && row >= 0
          ? [...scores.errors.values.subarray(row * names.length, (row + 1) * names.length)]
          : null,
      scale: image.pixelSize ?? options.pixelSize ?? null,
    })
    onProgress?.(cases.length, chosen.length)
  }
  const filmstrips: { id: string; frames: StripFrame[] }[] = []
  const filmed = predictions.images.filter(({ filmstrip }) => (filmstrip?.length ?? 0) > 0)
  for (const { id, filmstrip = [] } of filmed.slice(0, strips)) {
    filmstrips.push({ id, frames: await embedFilmstrip(filmstrip, predictionsPath, decode) })
  }
  return renderPage({
    title,
    source: basename(predictionsPath),
    created,
    scores,
    labels,
    cases,
    imageCount: scores?.result.images ?? predictions.images.length,
    filmstrips,
  })
}
