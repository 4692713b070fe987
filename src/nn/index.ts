export { AttentionKind } from './attention.ts'
export type { Attention } from './attention.ts'
export { define } from './define.ts'
export type { AnyNode, Definition, NodeOf, ShellOf } from './define.ts'
export { EmbeddingKind, PositionsKind, embedding, positions } from './embedding.ts'
export type { Embedding, Positions } from './embedding.ts'
export { context, kinds, kindsIn } from './kinds.ts'
export { LinearKind, linear } from './linear.ts'
export type { Linear } from './linear.ts'
export { LstmKind, lstm } from './lstm.ts'
export type { Lstm } from './lstm.ts'
export { MlpKind } from './mlp.ts'
export type { Mlp } from './mlp.ts'
export { LayerNormKind, norm } from './norm.ts'
export type { LayerNorm } from './norm.ts'
export { PrefixedKind } from './prefixed.ts'
export type { Prefixed } from './prefixed.ts'
export { PrefixMlpKind, PromptLstmKind, PromptMlpKind } from './prompt-encoder.ts'
export type { PrefixMlp, PromptLstm, PromptMlp } from './prompt-encoder.ts'
export { ShiftedKind } from './shifted.ts'
export type { Shifted } from './shifted.ts'
export { PromptedKind } from './prompted.ts'
export type { Prompted } from './prompted.ts'
export { AdaptedKind, placeTags } from './adapted.ts'
export type { Adapted, AdapterMode, SublayerTag } from './adapted.ts'
export { BottleneckKind } from './bottleneck.ts'
export type { Activation, LayerAdapter, Bottleneck } from './bottleneck.ts'
export { AdapterAverageKind, AdapterFusionKind, AdapterParallelKind, AdapterStackKind } from './composed.ts'
export type {
  AdapterAverage,
  AdapterFusion,
  AdapterParallel,
  AdapterStack,
  Composed,
  Composition,
  Joined,
} from './composed.ts'
export type { FuseOptions } from './compose.ts'
