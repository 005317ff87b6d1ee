import { expect, test } from 'vitest'
import { formatFiles } from '#lib/inference/formats.js'

const predictions = {
  format: 'landmark-diffusion/predictions',
  version: 1,
  landmarks: ['S', 'N'],
  images: [
    {
      id: '151',
      file: '151.jpg',
      width: 1935,
      height: 2400,
      pixelSize: [0.1, 0.2],
      points: [[835.4, 996.5], null],
      uncertainty: [
        {
          ere: 0.9,
          covariance: [
            [0.5, 0.1],
            [0.1, 0.4],
          ],
          confidence: 0.12,
        },
        null,
      ],
    },
  ],
} as const
const unscaled = { ...predictions, images: [{ ...predictions.images[0], pixelSize: null }] }

function only(format: Parameters<typeof formatFiles>[1], from: object = predictions) {
  const files = formatFiles(from as Parameters<typeof formatFiles>[0], format, 'p')
  expect(files).toHaveLength(1)
  return files[0] as { path: string; text: string }
}

test('CSV has a line a landmark, millimetres from the pixel size, and empty cells for what is missing', () => {
  const { path, text } = only('csv')
  expect(path).toBe('p.csv')
  const [header, first, second] = text.split('\n')
  expect(header?.split(',').slice(0, 7)).toEqual([
    'id',
    'file',
    'landmark',
    'x',
    'y',
    'x_mm',
    'y_mm',
  ])
  expect(first).toBe('151,151.jpg,S,835.4,996.5,83.54,199.3,0.9,mm,0.5,0.1,0.4,0.12')
  expect(second).toBe('151,151.jpg,N,,,,,,,,,,')
})

test('CSV without a pixel size has no millimetres', () => {
  expect(only('csv', unscaled).text.split('\n')[1]).toBe(
    '151,151.jpg,S,835.4,996.5,,,0.9,px,0.5,0.1,0.4,0.12',
  )
})

test('COCO marks found landmarks with visibility 2 and missing ones with zeros', () => {
  const coco = JSON.parse(only('coco').text)
  expect(coco.categories[0].keypoints).toEqual(['S', 'N'])
  expect(coco.annotations[0].keypoints).toEqual([835.4, 996.5, 2, 0, 0, 0])
  expect(coco.annotations[0].num_keypoints).toBe(1)
  expect(coco.annotations[0].image_id).toBe(coco.images[0].id)
})

test('3D Slicer gets LPS millimetres', () => {
  const { path, text } = only('slicer')
  expect(path).toBe('p.slicer/151.mrk.json')
  const [markups] = JSON.parse(text).markups
  expect(markups.coordinateSystem).toBe('LPS')
  expect(markups.controlPoints).toHaveLength(1)
  expect(markups.controlPoints[0].label).toBe('S')
  const [x, y, z] = markups.controlPoints[0].position
  expect([x, y, z]).toEqual([expect.closeTo(83.54), expect.closeTo(199.3), 0])
})

test('3D Slicer markups are refused without a pixel size', () => {
  expect(() => only('slicer', unscaled)).toThrow(/pixel size is unknown/)
})

test('ISBI text has whole pixels, and refuses a landmark that was not found', () => {
  expect(() => only('isbi')).toThrow(/landmark 2 was not found/)
  const complete = {
    ...predictions,
    images: [
      {
        ...predictions.images[0],
        points: [
          [835.4, 996.5],
          [1.2, 3],
        ],
      },
    ],
  }
  expect(only('isbi', complete).text).toBe('835,997\n1,3\n')
})
