/** Modules with the names, defaults and initial values of `torch.nn`. */
export * from './activation.js'
export {
  type AttentionOptions,
  MultiheadAttention,
  type MultiheadAttentionOptions,
} from './attention.js'
export {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormOptions,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
} from './batch-norm.js'
export { ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential } from './containers.js'
export { Conv1d, Conv2d, Conv3d, type ConvOptions } from './conv.js'
export {
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type ConvTransposeOptions,
} from './conv-transpose.js'
export { CosineSimilarity, PairwiseDistance } from './distance.js'
export {
  AlphaDropout,
  Dropout,
  Dropout1d,
  Dropout2d,
  Dropout3d,
  FeatureAlphaDropout,
} from './dropout.js'
export {
  Embedding,
  EmbeddingBag,
  type EmbeddingBagOptions,
  type EmbeddingOptions,
} from './embedding.js'
export type { ForwardHook, ForwardHookHandle, ForwardPreHook } from './forward-hooks.js'
export * as functional from './functional/index.js'
export * as init from './init.js'
export { Bilinear, Identity, Linear } from './linear.js'
export * from './loss.js'
export {
  type Layer,
  type LoadReport,
  Module,
  type ModuleTarget,
  parameter,
  type StateDict,
} from './module.js'
export {
  GroupNorm,
  LayerNorm,
  type LayerNormOptions,
  LocalResponseNorm,
  RMSNorm,
} from './normalization.js'
export * from './padding.js'
export * from './pooling.js'
export {
  GRU,
  LSTM,
  type LSTMOptions,
  type RecurrentOptions,
  RNN,
  type RNNOptions,
} from './recurrent.js'
export {
  type CellOptions,
  GRUCell,
  LSTMCell,
  RNNCell,
  type RNNCellOptions,
} from './recurrent-cells.js'
export {
  ChannelShuffle,
  Flatten,
  Fold,
  PixelShuffle,
  PixelUnshuffle,
  Unflatten,
  Unfold,
} from './shape.js'
export {
  type DecoderMasks,
  type EncoderMasks,
  TransformerDecoder,
  TransformerDecoderLayer,
  TransformerEncoder,
  TransformerEncoderLayer,
  type TransformerLayerOptions,
} from './transformer.js'
export { Transformer, type TransformerMasks, type TransformerOptions } from './transformer-pair.js'
export * from './unpooling.js'
export * from './upsample.js'
export * as utils from './utils.js'
