import { allOnes, layer, vector } from '../kind/index.ts'
import type { Kind, Layer, Weight } from '../kind/index.ts'
import { mul } from '../ops/index.ts'
import type { Param, Status, Vector } from '../tree/leaf.ts'
import type { WeightWrapper } from '../tree/types/rewrite.ts'
import type { Packed } from '../tree/wrap.ts'

/**
 * A layer whose outputs are scaled, each by a trained factor: scale ⊙ layer(x), whatever the layer adds to x·W included.
 *
 * @source Liu et al. 2022, "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning", §3.3.
 */
export interface ScaledOutputs<L extends Layer = Layer, S extends Status = 'trainable'> extends Layer {
  readonly _tag: 'ScaledOutputs'
  readonly '~role'?: 'layer'
  readonly base: L
  readonly scale: Vector<S>
}

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly ia3Layers: WeightWrapper<T> extends true
      ? Keep
      : T extends {
            readonly _tag: 'Linear'
            readonly weight: Weight & (Param<Status, 'matrix'> | Packed<'matrix'>)
          } & Layer
        ? ScaledOutputs<T>
        : T extends { readonly _tag: 'ScaledOutputs' }
          ? Keep
          : never
  }
}

/** The kind behind `ia3.layers`: IA³ on a layer with a bias, which no change of its weight amounts to. */
export const ScaledOutputsKind: Kind<ScaledOutputs, 'layer', 'out'> = {
  tag: 'ScaledOutputs',
  role: 'layer',
  fields: { scale: vector('out', allOnes) },
  ops: { layer: (n, x, ctx) => mul(layer(n.base, x, ctx), n.scale.value) },
}
