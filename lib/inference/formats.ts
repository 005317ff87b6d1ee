/** Predictions in other people's formats: CSV, COCO keypoints, 3D Slicer markups, and the text files of ISBI 2015. All from the predictions file, so that none can say more than it. */

import { LandmarkDiffusionError } from '../errors.js'
import {
  formatPredictions,
  type PredictedImage,
  type PredictionsFile,
} from '../evaluation/predictions.js'

/** What `predict --format` takes. */
export const predictionFormats = ['json', 'csv', 'coco', 'slicer', 'isbi'] as const
export type PredictionFormat = (typeof predictionFormats)[number]

/** A file to be written: its path relative to the folder of the predictions file, and its text. */
export interface OutputFile {
  readonly path: string
  readonly text: string
}

/**
 * The files of a format. `stem` is the predictions file's name without `.json`: `csv` gives
 * `stem.csv`, `coco` `stem.coco.json`, `slicer` `stem.slicer/ID.mrk.json`, `isbi` `stem.isbi/ID.txt`.
 * @throws ERR_DATA where the format cannot hold the predictions.
 */
export function formatFiles(
  predictions: PredictionsFile,
  format: PredictionFormat,
  stem: string,
): OutputFile[] {
  switch (format) {
    case 'json':
      return [{ path: `${stem}.json`, text: formatPredictions(predictions) }]
    case 'csv':
      return [{ path: `${stem}.csv`, text: formatCsv(predictions) }]
    case 'coco':
      return [{ path: `${stem}.coco.json`, text: formatCoco(predictions) }]
    case 'slicer':
      return predictions.images.map((image) => ({
        path: `${stem}.slicer/${image.id}.mrk.json`,
        text: formatSlicer(image, predictions.landmarks),
      }))
    case 'isbi':
      return predictions.images.map((image) => ({
        path: `${stem}.isbi/${image.id}.txt`,
        text: formatIsbi(image),
      }))
  }
}

const csvHeader =
  'id,file,landmark,x,y,x_mm,y_mm,ere,ere_unit,covariance_xx,covariance_xy,covariance_yy,confidence'

/** One line a landmark. Millimetres are empty where the image has no pixel size; so is a landmark that was not found. */
export function formatCsv({ landmarks, images }: PredictionsFile): string {
  const lines = [csvHeader]
  for (const { id, file, points, uncertainty, pixelSize } of images) {
    for (const [i, name] of landmarks.entries()) {
      const [x, y] = points[i] ?? []
      const { ere, covariance, confidence } = uncertainty?.[i] ?? {}
      const cells = [
        id,
        file,
        name,
        x,
        y,
        x !== undefined && pixelSize ? x * pixelSize[0] : undefined,
        y !== undefined && pixelSize ? y * pixelSize[1] : undefined,
        ere,
        ere === undefined ? undefined : pixelSize ? 'mm' : 'px',
        covariance?.[0]?.[0],
        covariance?.[0]?.[1],
        covariance?.[1]?.[1],
        confidence,
      ]
      lines.push(cells.map(csvCell).join(','))
    }
  }
  return `${lines.join('\n')}\n`
}

function csvCell(value: string | number | undefined): string {
  if (value === undefined) return ''
  if (typeof value === 'number') return String(Number(value.toPrecision(8)))
  // A spreadsheet would run a text that starts like a formula.
  const text = /^[=+@\t\r-]/.test(value) ? `'${value}` : value
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** COCO keypoints: one annotation an image; visibility 2 for a found landmark, 0 0 0 for a missing one. x and y count from the centre of the first pixel. */
export function formatCoco({ landmarks, images }: PredictionsFile): string {
  const coco = {
    info: { description: 'landmark-diffusion predictions' },
    categories: [{ id: 1, name: 'cephalogram', keypoints: landmarks, skeleton: [] }],
    images: images.map(({ file, width, height }, i) => ({
      id: i + 1,
      file_name: file,
      width,
      height,
    })),
    annotations: images.map(({ points, width, height }, i) => ({
      id: i + 1,
      image_id: i + 1,
      category_id: 1,
      iscrowd: 0,
      bbox: [0, 0, width, height],
      area: width * height,
      num_keypoints: points.filter((point) => point !== null).length,
      keypoints: points.flatMap((point) => (point ? [point[0], point[1], 2] : [0, 0, 0])),
    })),
  }
  return `${JSON.stringify(coco, null, 2)}\n`
}

const slicerSchema =
  'https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#'

/** A fiducial list for 3D Slicer, LPS millimetres, for the image as a volume with its pixel size as spacing, identity directions and the origin at the first pixel's centre. */
export function formatSlicer(image: PredictedImage, landmarks: readonly string[]): string {
  const { id, points, pixelSize } = image
  if (!pixelSize) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${image.file}: 3D Slicer markups are in millimetres and the pixel size is unknown; give --pixel-size MM`,
    )
  }
  const controlPoints = landmarks.flatMap((label, i) => {
    const point = points[i]
    if (!point) return []
    return {
      id: String(i + 1),
      label,
      position: [point[0] * pixelSize[0], point[1] * pixelSize[1], 0],
      selected: true,
      locked: false,
      visibility: true,
      positionStatus: 'defined',
    }
  })
  const markups = {
    type: 'Fiducial',
    coordinateSystem: 'LPS',
    coordinateUnits: 'mm',
    name: id,
    controlPoints,
  }
  return `${JSON.stringify({ '@schema': slicerSchema, markups: [markups] }, null, 2)}\n`
}

/** The coordinate lines of an ISBI 2015 annotation: `x,y` in whole pixels, one landmark a line; without the 8 lines of clinical classes. */
export function formatIsbi({ file, points }: PredictedImage): string {
  const lines = points.map((point, i) => {
    if (point) return `${Math.round(point[0])},${Math.round(point[1])}`
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${file}: landmark ${i + 1} was not found, and an ISBI file has no way to say so; choose another --format`,
    )
  })
  return `${lines.join('\n')}\n`
}
