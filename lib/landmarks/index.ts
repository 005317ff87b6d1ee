export { Affine, fitCanvas, type Point, type Size } from './geometry.js'
export { type DecodeMethod, decodeHeatmap, encodeTargets } from './heatmap.js'
export { cephalometric19, type Landmark, type LandmarkSet } from './landmark-set.js'
