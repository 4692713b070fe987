import { allOnes, fixed, vector } from '../kind/index.ts'
import type { AnyField, DimsIn, Field, Kind, Layer } from '../kind/index.ts'
import { absent } from '../kind/index.ts'
import { layerNorm } from '../ops/index.ts'
import type { Vector } from '../tree/leaf.ts'

/**
 * (x − mean) / √(variance + eps) · scale + shift over the last axis.
 *
 * @source Ba, Kiros, Hinton 2016, "Layer Normalization".
 */
export interface LayerNorm<S = Vector, B = Vector | null> extends Layer {
  readonly _tag: 'LayerNorm'
  readonly '~role'?: 'layer'
  readonly scale: S
  readonly shift: B
  readonly eps: number
}

/** The kind behind `norm`. */
export const LayerNormKind: Kind<LayerNorm, 'layer', 'd'> = {
  tag: 'LayerNorm',
  role: 'layer',
  fields: { scale: vector('d', allOnes), shift: vector('d'), eps: fixed(1e-5) },
  ops: { layer: (n, x) => layerNorm(x, n.scale.value, n.shift?.value ?? null, n.eps) },
}

const WithoutShift: Kind<LayerNorm, 'layer', 'd'> = {
  ...LayerNormKind,
  fields: { ...LayerNormKind.fields, shift: absent },
}

interface NormField {
  <D extends string>(d: D): Field<LayerNorm<Vector<'trainable'>, Vector<'trainable'>>, DimsIn<D>>
  <D extends string>(d: D, options: { readonly shift: false }): Field<LayerNorm<Vector<'trainable'>, null>, DimsIn<D>>
}

/**
 * A field that is a layer norm over the last axis, its scale one and its shift zero.
 *
 * @example
 * ```ts
 * import { define, key, layer, norm } from 'espalier'
 * import { read, tensor } from 'espalier/ops'
 * const Normed = define('Normed', { norm: norm('d') }, (n, x, ctx) => layer(n.norm, x, ctx))
 * const y = Normed.apply(Normed.init({ d: 2 }, key(0)), tensor([[1, 3]]))
 * Array.from(read(y), Math.round) // => [-1, 1]
 * ```
 * @source Ba, Kiros, Hinton 2016, "Layer Normalization".
 */
export const norm: NormField = (d: string, { shift = true }: { shift?: boolean } = {}) =>
  ({ _tag: 'NodeField', kind: shift ? LayerNormKind : WithoutShift, dims: { d }, statics: {} }) satisfies AnyField
