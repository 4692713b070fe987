import { absent, buffer } from '../kind/index.ts'
import type { AnyField, Dims, NodeField } from '../kind/index.ts'
import { EmbeddingKind, GatedMlpKind, GroupedAttentionKind, ScaledEmbeddingKind, linear, rmsNorm } from '../nn/index.ts'
import type { ActivationName } from '../nn/index.ts'
import { headWidth } from './decoder-config.ts'
import type { DecoderConfig } from './decoder-config.ts'
import { DecoderBlockKind, DecoderKind, SandwichBlockKind, blockDims } from './decoder.ts'
import { besideSublayers } from './family.ts'
import type { Family, Plan } from './family.ts'
import { fixedAll, node, withFields } from './fields.ts'
import { languageModelKind, sequenceClassifierKind, tokenScorerKind } from './heads.ts'
import type { ConfigSpec } from './hub-config.ts'
import { frequenciesOf, ropeOf } from './rope.ts'

/** What a family has otherwise than Llama; what is left out is as there. */
export interface DecoderDesign {
  readonly activation: ActivationName
  /** Which linear layers have a bias. */
  readonly bias?: { readonly qkv?: boolean; readonly out?: boolean; readonly mlp?: boolean }
  /** Whether each head's queries and keys are normed. */
  readonly headNorms?: boolean
  /** What is added to the scales of norms. */
  readonly normOffset?: 0 | 1
  /** Whether a sublayer is normed behind as well as before. */
  readonly sandwich?: boolean
  /** What embeddings are multiplied by. */
  readonly embedScale?: number
  /** What scores of attention are multiplied by; 1/√head_dim. */
  readonly scoreScale?: number
  /** What scores of attention, and logits, are softly kept below. */
  readonly scoreCap?: number | null
  readonly logitCap?: number | null
  /** Of each layer, how many of the last tokens it sees; 0 for all. */
  readonly windows?: readonly number[]
}

/** What makes a family of decoders. */
export interface DecoderRecord<C extends DecoderConfig> {
  /** `model_type` of its configurations. */
  readonly name: string
  /** What its classes are called in transformers, and its models here. */
  readonly tag: string
  readonly spec: ConfigSpec<C>
  /** What its models are with nothing told. */
  readonly design: (config: C) => DecoderDesign
  /** Whether AdapterHub has it. */
  readonly adapterHub?: boolean
}

const dense = (inputs: string, outputs: string, bias = false): AnyField =>
  bias ? linear(inputs, outputs) : linear(inputs, outputs, { bias: false })

const groups = (config: DecoderConfig): number => config.num_key_value_heads ?? config.num_attention_heads

const blockField = (config: DecoderConfig, design: DecoderDesign, window: number): NodeField => {
  const { bias = {}, normOffset = 0 } = design
  const width = headWidth(config)
  const normed = (axis: string): AnyField => rmsNorm(axis, { eps: config.rms_norm_eps, offset: normOffset })
  const headNorm = design.headNorms === true ? normed('head_dim') : absent
  const attention = withFields(GroupedAttentionKind, {
    q_proj: dense('d', 'heads*head_dim', bias.qkv),
    k_proj: dense('d', 'kv_heads*head_dim', bias.qkv),
    v_proj: dense('d', 'kv_heads*head_dim', bias.qkv),
    o_proj: dense('heads*head_dim', 'd', bias.out),
    q_norm: headNorm,
    k_norm: headNorm,
    ...fixedAll({
      heads: config.num_attention_heads,
      kv_heads: groups(config),
      head_dim: width,
      scale: design.scoreScale ?? 1 / Math.sqrt(width),
      cap: design.scoreCap ?? 0,
      attention_dropout: config.attention_dropout,
    }),
  })
  const mlp = withFields(GatedMlpKind, {
    gate_proj: dense('d', 'inner', bias.mlp),
    up_proj: dense('d', 'inner', bias.mlp),
    down_proj: dense('inner', 'd', bias.mlp),
    ...fixedAll({ activation: design.activation }),
  })
  const kind = design.sandwich === true ? SandwichBlockKind : DecoderBlockKind
  const norms = Object.keys(kind.fields).filter((name) => name.endsWith('layernorm'))
  const fields = {
    ...Object.fromEntries(norms.map((name) => [name, normed('d')])),
    self_attn: node(attention, ['d', 'heads', 'kv_heads', 'head_dim']),
    mlp: node(mlp, ['d', 'inner']),
    ...fixedAll({ window }),
  }
  return node(withFields(kind, fields), blockDims)
}

/** The body as a configuration has it. */
const bodyField = (config: DecoderConfig, design: DecoderDesign): NodeField => {
  const rope = ropeOf(config, headWidth(config))
  const blocks = Array.from({ length: config.num_hidden_layers }, (_, i) =>
    blockField(config, design, design.windows?.[i] ?? 0),
  )
  const { embedScale } = design
  const kind = withFields(DecoderKind, {
    embed_tokens:
      embedScale === undefined
        ? node(EmbeddingKind, ['vocab', 'd'])
        : node(ScaledEmbeddingKind, ['vocab', 'd'], { scale: embedScale }),
    layers: { _tag: 'ListField', of: blockField(config, design, 0), length: 'layers', each: blocks },
    norm: rmsNorm('d', { eps: config.rms_norm_eps, offset: design.normOffset ?? 0 }),
    inv_freq: buffer(['pairs'], () => frequenciesOf(rope)),
    ...fixedAll({ rope_scale: rope.scale }),
  })
  return node(kind, ['vocab', 'layers', 'pairs', ...blockDims])
}

const dimsOf = (config: DecoderConfig): Dims => ({
  vocab: config.vocab_size,
  layers: config.num_hidden_layers,
  pairs: headWidth(config) / 2,
  d: config.hidden_size,
  inner: config.intermediate_size,
  heads: config.num_attention_heads,
  kv_heads: groups(config),
  head_dim: headWidth(config),
})

const body = 'model'

/** Everything about a family that files and runs need, from what tells it from others. @internal */
export const decoderFamily = <C extends DecoderConfig>({
  name,
  tag,
  spec,
  design,
  adapterHub,
}: DecoderRecord<C>): Family<C> => {
  const base = (config: C): Plan => ({ kind: bodyField(config, design(config)).kind, dims: dimsOf(config) })
  const causal = (config: C): Plan => {
    const own = design(config)
    const tied = config.tie_word_embeddings
    const of = bodyField(config, own)
    return {
      kind: languageModelKind({ tag, body, of, d: 'd', vocab: 'vocab', tied, cap: own.logitCap ?? 0 }),
      dims: dimsOf(config),
      ...(tied ? { ties: { 'lm_head.weight': 'model.embed_tokens.weight' } } : {}),
    }
  }
  const classifier = (config: C, labels: number): Plan => ({
    kind: sequenceClassifierKind({
      tag: `${tag}Classifier`,
      body,
      of: bodyField(config, design(config)),
      d: 'd',
      pad: config.pad_token_id,
    }),
    dims: { ...dimsOf(config), labels },
  })
  const scorer = (config: C, labels: number): Plan => ({
    kind: tokenScorerKind({
      tag: `${tag}TokenClassifier`,
      body,
      of: bodyField(config, design(config)),
      d: 'd',
      drop: config.classifier_dropout ?? 0.1,
    }),
    dims: { ...dimsOf(config), labels },
  })
  // For the kinds of heads only, in which no configuration shows.
  const nothing = Object.fromEntries(Object.keys(spec.props).map((field) => [field, null]))
  const example = { ...nothing, ...spec.defaults, num_hidden_layers: 1 } as unknown as C
  return {
    name,
    modelTypes: [name],
    spec,
    kinds: {
      DecoderBlock: DecoderBlockKind,
      SandwichBlock: SandwichBlockKind,
      Decoder: DecoderKind,
      [tag]: causal(example).kind,
      [`${tag}Classifier`]: classifier(example, 2).kind,
      [`${tag}TokenClassifier`]: scorer(example, 2).kind,
    },
    plans: {
      base: { architecture: `${tag}Model`, build: base },
      'causal-lm': { architecture: `${tag}ForCausalLM`, build: causal },
      'sequence-classification': { architecture: `${tag}ForSequenceClassification`, build: classifier },
      'token-classification': { architecture: `${tag}ForTokenClassification`, build: scorer },
    },
    body,
    // Older files hold the angles, and those of another task its head.
    ignored: /rotary_emb\.inv_freq$|^(lm_head|score)\./,
    mlx: true,
    ...(adapterHub === true ? { adapterSites: besideSublayers('layers', 'self_attn', 'mlp') } : {}),
  }
}
