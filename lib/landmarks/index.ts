export { aariz29, cephalometric19, clDetection38, knownSets } from './cephalometry.js'
export { Affine, fitCanvas, type Point, type Size } from './geometry.js'
export { type DecodeMethod, decodeHeatmap, encodeTargets } from './heatmap.js'
export {
  type DescribedLandmarkSet,
  type MeasureDescription,
  readLandmarkSet,
} from './landmark-file.js'
export { type Landmark, type LandmarkSet, landmarkNames } from './landmark-set.js'
export { type LandmarkMatch, type LandmarkPair, matchLandmarks } from './match.js'
