import { allOnes, allZeros, fixed, vector } from '../kind/index.ts'
import type { AnyField, DimsIn, Field, Kind, Layer } from '../kind/index.ts'
import { add, mean, mul, rsqrt, square } from '../ops/index.ts'
import type { Vector } from '../tree/leaf.ts'

/**
 * x / √(mean of x² + eps) · (offset + scale) over the last axis; offset is 1 where a scale of zero means none, else 0.
 *
 * @source Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", §4; the offset is Gemma's.
 */
export interface RmsNorm<S = Vector> extends Layer {
  readonly _tag: 'RmsNorm'
  readonly '~role'?: 'layer'
  readonly scale: S
  readonly eps: number
  readonly offset: number
}

/** The kind behind `rmsNorm`. */
export const RmsNormKind: Kind<RmsNorm, 'layer', 'd'> = {
  tag: 'RmsNorm',
  role: 'layer',
  fields: { scale: vector('d', allOnes), eps: fixed(1e-6), offset: fixed(0) },
  ops: {
    layer: (n, x) => {
      const normal = mul(x, rsqrt(add(mean(square(x), { axes: -1, keepDims: true }), n.eps)))
      return mul(normal, n.offset === 0 ? n.scale.value : add(n.scale.value, n.offset))
    },
  },
}

const FromZero: Kind<RmsNorm, 'layer', 'd'> = {
  ...RmsNormKind,
  fields: { ...RmsNormKind.fields, scale: vector('d', allZeros) },
}

/**
 * A field that is a root-mean-square norm over the last axis, which changes no scale at first.
 *
 * @example
 * ```ts
 * import { define, key, layer, rmsNorm } from 'espalier'
 * import { read, tensor } from 'espalier/ops'
 * const Normed = define('Normed', { norm: rmsNorm('d') }, (n, x, ctx) => layer(n.norm, x, ctx))
 * const y = Normed.apply(Normed.init({ d: 2 }, key(0)), tensor([[3, 3]]))
 * Array.from(read(y), Math.round) // => [1, 1]
 * ```
 * @source Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", §4.
 */
export const rmsNorm = <D extends string>(
  d: D,
  { eps = 1e-6, offset = 0 }: { readonly eps?: number; readonly offset?: 0 | 1 } = {},
): Field<RmsNorm<Vector<'trainable'>>, DimsIn<D>> =>
  ({
    _tag: 'NodeField',
    kind: offset === 0 ? RmsNormKind : FromZero,
    dims: { d },
    statics: { eps, offset },
  }) satisfies AnyField
