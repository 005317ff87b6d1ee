/** The statistics of the evaluation, one concept a file; cross-checked against SciPy and others by `scripts/reference/evaluation_statistics.py`. */

export { rocAuc } from './auc.js'
export { type BlandAltman, blandAltman } from './bland-altman.js'
export {
  type BootstrapOptions,
  bootstrapIntervals,
  type DrawnStatistics,
  type PairedDifference,
  pairedBootstrap,
} from './bootstrap.js'
export { pearson, spearman } from './correlation.js'
export { mean, populationSd, quantile, ranks, sampleSd } from './descriptive.js'
export { chiSquared, type Distribution, fisherF, normal, studentT } from './distributions.js'
export { drawnMeans } from './drawn-means.js'
export { holm } from './holm.js'
export { type Icc, intraclassCorrelation } from './icc.js'
export { cohenKappa, type KappaWeights } from './kappa.js'
export { seededUniform } from './random.js'
export { linearRegression, type RegressionLine } from './regression.js'
export { type WilcoxonResult, wilcoxonSignedRank } from './wilcoxon.js'
