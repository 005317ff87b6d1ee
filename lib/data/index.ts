export { Augmentation, type AugmentationConfig, type Augmented } from './augmentation.js'
export { buildCache, type CacheOptions, ImageCache } from './cache.js'
export { decodeImage, type GreyImage, readImageSize, resampleToCanvas } from './image.js'
export {
  type IsbiSplit,
  isbiSplits,
  readAnnotations,
  readIsbi,
  type Sample,
  type Truth,
} from './isbi2015.js'
export { Loader, type LoaderOptions, type LoaderPosition } from './loader.js'
export { Random } from './random.js'
export { ResidentImages } from './resident.js'
export { type SynthesizeOptions, synthesize } from './synthetic/index.js'
