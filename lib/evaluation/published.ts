/**
 * Published results on the cephalograms of ISBI 2015, each with its source: rows to read a model's figures against. The truth is the
 * mean of the two doctors. A figure that its source does not give, or that could not be read there, is absent.
 */

import type { DetectionRates } from './evaluate.js'

/** Figures of one method on one test set; MRE and SD in mm, rates in percent. */
export interface PublishedFigures {
  readonly mre?: number
  readonly sd?: number
  readonly sdr?: Partial<DetectionRates>
}

export interface PublishedResult {
  readonly method: string
  readonly source: string
  readonly test1?: PublishedFigures
  readonly test2?: PublishedFigures
}

const paper = 'Wyatt and Voiculescu, arXiv 2407.09192'

/** Rates at 2, 2.5 and 4 mm, which is what the paper's table has. */
function rates(two: number, twoAndHalf: number, four: number): Partial<DetectionRates> {
  return { '2': two, '2.5': twoAndHalf, '4': four }
}

/** The paper's own rows, by what they are. */
export const paperResults = {
  baseline: {
    method: 'the paper, without diffusion',
    source: paper,
    test1: { mre: 1.27, sdr: rates(82.6, 88.25, 96.0) },
    test2: { mre: 1.6, sdr: rates(74.11, 81.11, 93.95) },
  },
  singleStep: {
    method: 'the paper, single step',
    source: paper,
    test1: { mre: 1.45, sdr: rates(80.21, 86.95, 95.97) },
    test2: { mre: 1.92, sdr: rates(69.42, 78.11, 91.32) },
  },
  multiStep: {
    method: 'the paper, 200 steps',
    source: paper,
    test1: { mre: 1.11, sd: 1.04, sdr: rates(86.04, 90.84, 97.37) },
    test2: { mre: 1.4, sd: 1.38, sdr: rates(75.32, 82.53, 94.58) },
  },
} as const satisfies Record<string, PublishedResult>

/** All published rows: the paper's, those that it compares with (figures as in its table), and one public notebook. */
export const publishedResults: readonly PublishedResult[] = [
  ...Object.values(paperResults),
  {
    method: 'Lindner et al. 2016',
    source: `as cited by ${paper}`,
    test1: { mre: 1.67, sdr: rates(74.95, 80.28, 89.68) },
    test2: { mre: 1.92, sdr: rates(66.11, 72.0, 87.42) },
  },
  {
    method: 'Chen et al. 2019',
    source: `as cited by ${paper}`,
    test1: { mre: 1.17, sdr: rates(86.67, 92.67, 98.53) },
    test2: { mre: 1.48, sdr: rates(75.05, 82.84, 95.05) },
  },
  {
    method: 'Zhong et al. 2019',
    source: `as cited by ${paper}`,
    test1: { mre: 1.12, sdr: rates(84.91, 91.82, 97.9) },
    test2: { mre: 1.42, sdr: rates(76.0, 82.9, 94.32) },
  },
  {
    method: 'McCouat and Voiculescu 2022',
    source: `as cited by ${paper}`,
    test1: { mre: 1.2, sdr: rates(83.47, 89.16, 96.49) },
    test2: { mre: 1.46, sdr: rates(74.64, 83.58, 93.79) },
  },
  {
    method: 'Ye et al. 2023',
    source: `as cited by ${paper}`,
    test1: { mre: 1.16, sdr: rates(86.25, 92.18, 98.59) },
    test2: { mre: 1.48, sdr: rates(74.26, 82.11, 95.21) },
  },
  {
    method: 'Di Via et al. 2024',
    source: `as cited by ${paper}`,
    test2: { mre: 1.5, sdr: rates(77.79, 85.33, 96.48) },
  },
  {
    method: 'landmarker, adaptive heatmaps',
    source: 'notebook of predict-idlab/landmarker, 512 x 512',
    test1: { mre: 1.2, sdr: { '2': 84.5 } },
    test2: { mre: 1.51, sdr: { '2': 73.1 } },
  },
]

/**
 * How far eleven annotators scatter around their mean on 100 of the images: SD in mm along the major and the minor axis of
 * the residuals, computed from the tables of Thaler et al. (MELBA 2021). The only public measure of the shape that a predicted
 * distribution should have: points on a contour are 1.5 to 2.6 times as uncertain along it as across it.
 */
export const annotatorSpread: Readonly<Record<string, readonly [major: number, minor: number]>> = {
  Gn: [1.03, 0.4],
  Go: [2.53, 1.19],
  Or: [1.97, 1.3],
  U1: [0.56, 0.5],
  Sn: [1.35, 0.92],
}
