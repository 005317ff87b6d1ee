/** The network. */
export { AttentionBlock, Downsample, ResBlock, Stage, Upsample } from './blocks.js'
export { encodeTime, type TimeEmbeddingOptions } from './time-embedding.js'
export { UNet, type UNetOptions, unetDefaults } from './unet.js'
