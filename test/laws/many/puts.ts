import {
  allOnes,
  allZeros,
  attach,
  freeze,
  headOf,
  hiddenOf,
  layer,
  leaves,
  lora,
  materialize,
  matrix,
  param,
  places,
  prompt,
  replaceAt,
  showPath,
  unfreeze,
  variant,
  vector,
} from '../../../src/index.ts'
import type { Key, Kind, Kinds, Layer, Model, Vector } from '../../../src/index.ts'
import { mul, tensor } from '../../../src/ops/index.ts'

/** A layer whose outputs are scaled: what stands around a layer, as a bottleneck does. */
interface Gated extends Layer {
  readonly _tag: 'Gated'
  readonly base: Layer
  readonly gate: Vector
}

const GatedKind: Kind<Gated, 'layer', 'd'> = {
  tag: 'Gated',
  role: 'layer',
  fields: { gate: vector('d', allOnes) },
  ops: { layer: (n, x, ctx) => mul(layer(n.base, x, ctx), n.gate.value) },
}

/** A model whose hidden states are scaled: what stands around a model, as a prefix does. */
interface Toned extends Model {
  readonly _tag: 'Toned'
  readonly base: Model
  readonly tone: Vector
}

const TonedKind: Kind<Toned, 'model', 'd'> = {
  tag: 'Toned',
  role: 'model',
  fields: { tone: vector('d', allOnes) },
  ops: {
    hidden: (n, tokens, ctx) => {
      const { hidden, mask } = hiddenOf(n.base, tokens, ctx)
      return { hidden: mul(hidden, n.tone.value), mask }
    },
    head: (n, hidden, ctx) => headOf(n.base, hidden, ctx),
  },
}

/** Each output of a weight times a number: a change that is no sum. */
const Scaled = variant('Scaled', {
  fields: { scale: vector('out', allOnes) },
  materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
})

/** A matrix of its own beside each weight: a change that is a sum, without factors. */
const Shifted = variant('Shifted', {
  fields: { shift: matrix('in', 'out', allZeros) },
  delta: (w) => w.shift.value,
})

export const ownKinds: Kinds = { Gated: GatedKind, Toned: TonedKind, Scaled, Shifted }

const around = (model: unknown, tag: string, make: (node: unknown, path: string) => unknown): unknown =>
  replaceAt(
    model,
    [...places(model)]
      .filter(({ node }) => (node as { _tag?: unknown } | null)?._tag === tag)
      .map(({ node, path, route }) => ({ route, value: make(node, showPath(path)) })),
  )

const widthOf = (node: unknown): number => leaves(node)[0]!.value.shape.at(-1)!

const gated = (model: unknown): unknown =>
  around(model, 'Mlp', (base, path) => ({
    _tag: 'Gated',
    base,
    gate: param('vector', `${path}.gate`, tensor(Array.from({ length: widthOf(base) }, () => 1))),
  }))

const toned = (model: unknown): unknown => ({
  _tag: 'Toned',
  base: model,
  tone: param('vector', 'tone', tensor(Array.from({ length: widthOf(model) }, () => 1))),
})

/** Puts something on a base, by a key. */
export type Put = (base: unknown, key: Key) => unknown

const loraOf =
  (rank: number, scaling: 'alpha' | 'alpha/rank' | 'alpha/sqrt(rank)' = 'alpha'): Put =>
  (base, key) =>
    lora.unchecked({ at: '**', rank, alpha: 2, scaling, key })(base)

/** LoRAs of every scaling, which may be combined in every way. */
export const loras: readonly Put[] = [
  loraOf(2),
  loraOf(3, 'alpha/sqrt(rank)'),
  loraOf(4, 'alpha/rank'),
  (base, key) =>
    lora.unchecked({ at: '**', rank: 1, rankPattern: { '**.mlp': 3 }, alphaPattern: { '**.mha': 4 }, key })(base),
]

/** Whatever adds to weights. */
export const additives: readonly Put[] = [...loras, (base) => attach(Shifted).unchecked({ at: '**.mlp' })(base)]

/** Every way of putting something on: around weights, layers, embeddings and the model, one in another, and heads trained in full. */
export const puts: readonly Put[] = [
  ...additives,
  (base, key) => prompt.unchecked({ at: '**', length: 2, key })(loraOf(1)(base, key)),
  (base) => unfreeze.only.unchecked({ at: 'out_head' })(base),
  (base, key) => unfreeze.only.unchecked({ at: 'final_norm' })(lora.unchecked({ at: '**.mlp', rank: 2, key })(base)),
  // Attached and active, and not trainable: three facts.
  (base, key) => freeze(loraOf(2)(base, key)),
  (base) => attach(Scaled).unchecked({ at: '**.mha' })(base),
  (base, key) => gated(loraOf(2)(base, key)),
  (base, key) => toned(gated(loraOf(1)(base, key))),
  // A weight trained in full under its own adapter.
  (base, key) => lora.unchecked({ at: 'out_head', rank: 2, key })(unfreeze.only.unchecked({ at: 'out_head' })(base)),
]
