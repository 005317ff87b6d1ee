/**
 * Mutates files of predictions and annotations in every format and reads them: each must give a
 * result or an error of this package that names the file, without a crash, a hang or much memory.
 *
 *     node scripts/fuzz/evaluation-files.mjs [--count 100000] [--seed 1] [--from 0]
 *
 * Needs the compiled package (`npm run build:ts`), no libtorch.
 */
import { join } from 'node:path'
import { fuzzFiles, fuzzOptions } from './mutated-files.mjs'

const library = (path) => import(new URL(`../../dist/${path}`, import.meta.url).href)
const { LandmarkDiffusionError } = await library('errors.js')
const { openAnnotations } = await library('data/annotations/index.js')
const { readAnyPredictions } = await library('cli/predictions.js')
const { readLandmarkSet } = await library('landmarks/landmark-file.js')
const { compareErrors, evaluate, radialErrors } = await library('evaluation/index.js')

const isbiLines = Array.from({ length: 19 }, (_, i) => `${100 + i},${200 + i}`).join('\n')
const aariz = JSON.stringify({
  ceph_id: 'c',
  landmarks: [
    { title: 'Sella', symbol: 'S', value: { x: 1, y: 2 } },
    { title: 'Nasion', symbol: 'N', value: { x: 3, y: 4 } },
  ],
})
const home = 'Annotations/Cephalometric Landmarks'

/** Each format: the files of a small valid example, and what is opened. The first file is mutated. */
const examples = [
  {
    open: 'p.json',
    files: {
      'p.json': JSON.stringify({
        format: 'landmark-diffusion/predictions',
        version: 1,
        landmarks: ['S', 'N'],
        images: [
          {
            id: '1',
            file: '1.png',
            width: 50,
            height: 60,
            pixelSize: [0.1, 0.1],
            points: [[1, 2], null],
            uncertainty: [
              {
                ere: 1,
                covariance: [
                  [1, 0],
                  [0, 1],
                ],
                confidence: 0.5,
              },
              null,
            ],
            chains: [
              [[1, 2], null],
              [[1, 3], null],
            ],
          },
        ],
      }),
    },
  },
  {
    open: 'long.csv',
    files: { 'long.csv': 'id,annotator,landmark,x,y,pixel_size\n1,a,S,1,2,0.1\n1,b,"N",3,4,0.1\n' },
  },
  {
    open: 'wide.csv',
    files: {
      'wide.csv': 'image file,spacing(mm),p1x,p1y,p2x,p2y\n1.bmp,0.1,1,2,,nan\n2.bmp,0.1,1,2,3,4\n',
    },
  },
  {
    open: 'coco.json',
    files: {
      'coco.json': JSON.stringify({
        images: [{ id: 1, file_name: '1.png', width: 9, height: 9, spacing: [0.1, 0.2] }],
        categories: [{ id: 1, keypoints: ['S', 'N'] }],
        annotations: [{ image_id: 1, category_id: 1, keypoints: [1, 2, 2, 3, 4, 0] }],
      }),
    },
  },
  {
    open: 'gt.json',
    files: {
      'gt.json': JSON.stringify({
        type: 'Multiple points',
        points: [
          { name: '1', point: [1, 2, 1], scale: '0.1' },
          { name: '2', point: [3, 4, 1], scale: '0.1' },
        ],
      }),
    },
  },
  {
    open: 's.mrk.json',
    files: {
      's.mrk.json': JSON.stringify({
        markups: [
          {
            type: 'Fiducial',
            coordinateSystem: 'LPS',
            coordinateUnits: 'mm',
            controlPoints: [{ label: 'S', position: [1, 2, 0], positionStatus: 'defined' }],
          },
        ],
      }),
    },
  },
  {
    open: 'aariz',
    files: {
      [`aariz/train/${home}/Senior Orthodontists/c.json`]: aariz,
      [`aariz/train/${home}/Junior Orthodontists/c.json`]: aariz,
    },
  },
  {
    open: 'machines',
    files: {
      'machines/cephalogram_machine_mappings.csv': 'cephalogram_id,machine,pixel_size\nc,X,0.1\n',
      [`machines/train/${home}/Senior Orthodontists/c.json`]: aariz,
    },
  },
  {
    open: 'isbi',
    files: {
      'isbi/AnnotationsByMD/400_senior/151.txt': `${isbiLines}\n1\n2\n`,
      'isbi/AnnotationsByMD/400_junior/151.txt': isbiLines,
    },
  },
  {
    open: 'settings',
    files: {
      'settings/dataset.json':
        '{"format":"landmark-diffusion/dataset","version":1,"pixelSize":[0.1,0.1]}',
      'settings/AnnotationsByMD/400_senior/151.txt': isbiLines,
      'settings/AnnotationsByMD/400_junior/151.txt': isbiLines,
    },
  },
  { open: 'text', files: { 'text/151.txt': isbiLines } },
  {
    open: 'hand.json',
    landmarks: true,
    files: {
      'hand.json': JSON.stringify({
        format: 'landmark-diffusion/landmarks',
        version: 1,
        name: 'hand',
        landmarks: [{ name: 'L', aliases: ['l'] }, { name: 'R' }],
        flipPairs: [['L', 'R']],
        measures: [{ name: 'w', distance: ['L', 'R'], normal: [1, 2] }],
      }),
    },
  },
]

const words = [
  'null',
  '[]',
  '{}',
  '""',
  '-1',
  '1e999',
  'NaN',
  '"__proto__"',
  '1e-320',
  '[[',
  ']]',
  ',',
  '\n',
  '\0',
  '\ufeff',
  '"',
  '\u{1f9b7}',
  'true',
  '9'.repeat(400),
  '['.repeat(5000),
  '{"a":'.repeat(2000),
]

/** One change of a text: cut, repeated, exchanged, flipped, or a hostile word put in. */
function mutate(text, random) {
  const at = random.int(0, text.length)
  const length = random.int(0, 11)
  switch (random.int(0, 6)) {
    case 0:
      return text.slice(0, at)
    case 1:
      return text.slice(0, at) + text.slice(at + length)
    case 2:
      return text.slice(0, at) + text.slice(at, at + 40).repeat(random.int(1, 30)) + text.slice(at)
    case 3:
      return text.slice(0, at) + random.pick(words) + text.slice(at + length)
    case 4:
      return text.slice(0, at) + String.fromCharCode(random.int(0, 0x2ff)) + text.slice(at + 1)
    case 5: {
      // A value of JSON, or a cell, becomes another.
      const values = [...text.matchAll(/-?\d+(\.\d+)?|"[^"]*"|null/g)]
      if (values.length === 0) return text
      const { index, 0: found } = random.pick(values)
      return text.slice(0, index) + random.pick(words) + text.slice(index + found.length)
    }
    default: {
      const lines = text.split(/(?<=[\n,])/)
      const [a, b] = [random.int(0, lines.length - 1), random.int(0, lines.length - 1)]
      ;[lines[a], lines[b]] = [lines[b], lines[a]]
      return lines.join('')
    }
  }
}

const pixelSize = [0.1, 0.1]

/** Everything that is done with such a file: points as annotations and as predictions, scored and compared. */
async function read(example, folder) {
  const path = join(folder, example.open)
  if (example.landmarks) return readLandmarkSet(path)
  const source = await openAnnotations(path, { pixelSize })
  const annotations = await source.read(source.ids, source.truths[0])
  const landmarks = source.landmarkSet.landmarks.map(({ name }) => name)
  const predictions = await readAnyPredictions(path, {
    set: null,
    pixelSizeOf: () => pixelSize,
    annotated: source.ids,
    landmarks,
  })
  const bootstrap = { resamples: 2 }
  const pairing = { predictions, annotations, landmarks, pixelSize }
  evaluate({ ...pairing, bootstrap })
  const errors = radialErrors(pairing)
  return compareErrors(
    [
      { name: 'a', errors },
      { name: 'b', errors },
    ],
    { bootstrap },
  )
}

await fuzzFiles(
  {
    examples,
    mutate,
    read,
    isClear: (error) =>
      error instanceof LandmarkDiffusionError &&
      (error.code === 'ERR_DATA' || error.code === 'ERR_USAGE'),
  },
  fuzzOptions(),
)
