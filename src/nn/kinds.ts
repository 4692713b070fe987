import { fail } from '../tree/error.ts'
import type { AnyField, AnyKind, Ctx, Kinds } from '../kind/index.ts'
import { AdaptedKind } from './adapted.ts'
import { weightKinds } from '../weight/index.ts'
import { AttentionKind } from './attention.ts'
import { BottleneckKind } from './bottleneck.ts'
import { AdapterAverageKind, AdapterFusionKind, AdapterParallelKind, AdapterStackKind } from './composed.ts'
import { EmbeddingKind, PositionsKind, SegmentsKind } from './embedding.ts'
import { GatedMlpKind } from './gated-mlp.ts'
import { GroupedAttentionKind } from './grouped-attention.ts'
import { LinearKind } from './linear.ts'
import { LstmKind } from './lstm.ts'
import { MlpKind } from './mlp.ts'
import { LayerNormKind } from './norm.ts'
import { PrefixedKind } from './prefixed.ts'
import { PrefixMlpKind, PromptLstmKind, PromptMlpKind } from './prompt-encoder.ts'
import { PromptedKind } from './prompted.ts'
import { RmsNormKind } from './rms-norm.ts'
import { ScaledOutputsKind } from './scaled-outputs.ts'
import { ShiftedKind } from './shifted.ts'
import { TiedHeadKind } from './tied-head.ts'

/** The kinds that every model may be built of, by tag; add your own with `{ ...kinds, Mine }`. */
export const kinds: Kinds = {
  ...weightKinds,
  Linear: LinearKind,
  LayerNorm: LayerNormKind,
  RmsNorm: RmsNormKind,
  Embedding: EmbeddingKind,
  Positions: PositionsKind,
  Attention: AttentionKind,
  Mlp: MlpKind,
  Adapted: AdaptedKind,
  Bottleneck: BottleneckKind,
  AdapterStack: AdapterStackKind,
  AdapterAverage: AdapterAverageKind,
  AdapterParallel: AdapterParallelKind,
  AdapterFusion: AdapterFusionKind,
  Prompted: PromptedKind,
  Prefixed: PrefixedKind,
  Lstm: LstmKind,
  PromptMlp: PromptMlpKind,
  PromptLstm: PromptLstmKind,
  PrefixMlp: PrefixMlpKind,
  Shifted: ShiftedKind,
  TiedHead: TiedHeadKind,
  ScaledOutputs: ScaledOutputsKind,
  Segments: SegmentsKind,
  GroupedAttention: GroupedAttentionKind,
  GatedMlp: GatedMlpKind,
}

/**
 * A whole environment from the parts a caller cares about.
 *
 * @example
 * ```ts
 * import { context, key } from 'espalier'
 * context({ train: true, key: key(0) }).train // => true
 * Object.hasOwn(context().kinds, 'Lora') // => true
 * ```
 */
export const context = (parts: Partial<Ctx> = {}, own: Kinds = {}): Ctx => ({
  ...parts,
  kinds: { ...kinds, ...own, ...mapKinds(parts.kinds ?? {}, (kind, tag) => onlyOne(own[tag], kind)) },
})

const mapKinds = (all: Kinds, f: (kind: AnyKind, tag: string) => AnyKind): Kinds =>
  Object.fromEntries(Object.entries(all).map(([tag, kind]) => [tag, f(kind, tag)]))

// Nodes are run by their tag, so two kinds under one tag would run each other's nodes. Kinds that differ in fields only do not.
const onlyOne = (known: AnyKind | undefined, kind: AnyKind): AnyKind =>
  known === undefined || known.ops === kind.ops
    ? kind
    : fail({
        _tag: 'BadName',
        path: '',
        expected: 'one kind for each tag',
        found: `two kinds with the tag "${kind.tag}"`,
        hint: 'Give one of them another name where it is defined.',
      })

/**
 * The kinds that fields mention, and the kinds those mention.
 *
 * @example
 * ```ts
 * import { kindsIn, linear, norm } from 'espalier'
 * Object.keys(kindsIn({ fc: linear('in', 'out'), norm: norm('out') })) // => ['Linear', 'LayerNorm']
 * ```
 */
export const kindsIn = (fields: Readonly<Record<string, AnyField>>): Kinds => {
  const found: Record<string, Kinds[string]> = {}
  const visit = (field: AnyField): void => {
    if (field._tag === 'ListField') visit(field.of)
    if (field._tag !== 'NodeField') return
    found[field.kind.tag] = onlyOne(found[field.kind.tag], field.kind)
    Object.values(field.kind.fields).forEach(visit)
  }
  Object.values(fields).forEach(visit)
  return found
}
