import { allOnes, layer, vector } from '../kind/index.ts'
import type { Kind, Layer } from '../kind/index.ts'
import { mul } from '../ops/index.ts'
import type { Status, Vector } from '../tree/leaf.ts'

/**
 * A layer whose outputs are scaled, each by a trained factor: scale ⊙ layer(x), whatever the layer adds to x·W included.
 *
 * @source Liu et al. 2022, "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning", §3.3.
 */
export interface Scaled<L extends Layer = Layer, S extends Status = 'trainable'> extends Layer {
  readonly _tag: 'Scaled'
  readonly '~role'?: 'layer'
  readonly base: L
  readonly scale: Vector<S>
}

/** The kind behind `ia3.layers`: IA³ on a layer with a bias, which no change of its weight amounts to. */
export const ScaledKind: Kind<Scaled, 'layer', 'out'> = {
  tag: 'Scaled',
  role: 'layer',
  fields: { scale: vector('out', allOnes) },
  ops: { layer: (n, x, ctx) => mul(layer(n.base, x, ctx), n.scale.value) },
}
