export { flow, pipe } from 'fp-ts/lib/function.js'
export * from './tree/index.ts'
export { engine } from './ops/index.ts'
export * from './kind/index.ts'
export * from './weight/index.ts'
export * from './nn/index.ts'
export { sllm } from './model/sllm.ts'
export type { AnySllm, Block, EmbeddingBlock, Sllm, SllmBlock, SllmConfig } from './model/sllm.ts'
export { gpt2 } from './model/gpt2.ts'
export { llama } from './model/llama.ts'
export type { Llama, LlamaConfig } from './model/llama.ts'
export { mistral } from './model/mistral.ts'
export type { Mistral, MistralConfig } from './model/mistral.ts'
export { qwen2, qwen3 } from './model/qwen.ts'
export type { Qwen2, Qwen2Config, Qwen3, Qwen3Config } from './model/qwen.ts'
export { gemma, gemma2 } from './model/gemma.ts'
export type { Gemma, Gemma2, Gemma2Config, GemmaConfig } from './model/gemma.ts'
export type {
  Biased,
  CausalDecoder,
  Decoder,
  DecoderBlock,
  MaybeBiased,
  Norm,
  Plain,
  SandwichBlock,
} from './model/decoder.ts'
export type { DecoderConfig, LayerType, WindowConfig } from './model/decoder-config.ts'
export type { RopeParameters } from './model/rope.ts'
export type { Gpt2, Gpt2Attention, Gpt2Block, Gpt2Body, Gpt2Config, Gpt2Mlp } from './model/gpt2.ts'
export { bert } from './model/bert.ts'
export type { Bert, BertClassifier, BertEmbeddings, FreshEncoder } from './model/bert.ts'
export { distilbert } from './model/distilbert.ts'
export type {
  DistilBert,
  DistilBertClassifier,
  DistilBertEmbeddings,
  DistilBertTokenClassifier,
} from './model/distilbert.ts'
export type {
  DistilBertAttention,
  DistilBertBlock,
  DistilBertFfn,
  DistilBertTransformer,
} from './model/distilbert-layers.ts'
export { roberta } from './model/roberta.ts'
export type {
  Roberta,
  RobertaClassificationHead,
  RobertaClassifier,
  RobertaEmbeddings,
  RobertaTokenClassifier,
} from './model/roberta.ts'
export { sentenceEmbedding } from './model/sentence.ts'
export type { SentenceOptions } from './model/sentence.ts'
export type { BertConfig, DistilBertConfig, RobertaConfig } from './model/encoder-config.ts'
export type {
  BertAttention,
  BertEncoder,
  BertIntermediate,
  BertLayer,
  BertOutput,
  BertPooler,
  BertSelfAttention,
  BertSelfOutput,
} from './model/encoder.ts'
export type { CausalFamily, EncoderFamily, FamilyModels, TaskOptions } from './model/family-run.ts'
export { anyModel, families, modelKinds } from './model/families.ts'
export type { AnyFamily, Family, Plan, Task, TaskPlan } from './model/family.ts'
export { generate, generateTokens } from './model/generate.ts'
export type { GenerateOptions, GeneratedTokens } from './model/generate.ts'
export type { Sampling } from './model/sample.ts'
export type { ConfigSpec, HubConfig } from './model/hub-config.ts'
export type { CausalRun, ModelRun } from './model/run.ts'
export * from './transform/index.ts'
export * from './train/index.ts'
