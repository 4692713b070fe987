import { shapeOf } from '../kind/index.ts'
import type { Ctx, Field, Kind, Weight } from '../kind/index.ts'
import { gather, matmul } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'

/** The values that fields stand for. */
export type ValuesOf<F> = { readonly [K in keyof F]: F[K] extends { readonly '~value'?: infer V } ? V : never }

/** The names of the dimensions that fields mention. */
export type DimsOf<F> = { [K in keyof F]: F[K] extends { readonly '~dims'?: infer D } ? D : never }[keyof F] & string

/** A weight wrapped by a variant: the weight under `base`, and the variant's own fields. */
export type Wrapped<T extends string, W, F> = {
  readonly _tag: T
  readonly base: W
  readonly '~role'?: 'weight'
} & ValuesOf<F>

/** A kind of weight that wraps another; `in` and `out` are the axes of what it wraps, other dimensions are options. */
export interface VariantKind<T extends string, F> extends Kind<Wrapped<T, Weight, F>, 'weight', DimsOf<F>> {
  readonly tag: T
  readonly '~fields'?: F
}

/** What a variant must say, and what it may say better than by the whole dense weight. */
export interface VariantSpec<T extends string, F> {
  /** Its own parameters and plain data; axes may mention `in` and `out`. */
  readonly fields: F
  /** The dense weight [in, out] that it represents. */
  readonly materialize: (weight: Wrapped<T, Weight, F>, ctx: Ctx) => Tensor
  /** x [..., in] times the weight; by default the whole dense weight is built and multiplied with. */
  readonly project?: (x: Tensor, weight: Wrapped<T, Weight, F>, ctx: Ctx) => Tensor
  /** x [..., out] times the transposed weight; by default by the whole dense weight. */
  readonly projectT?: (x: Tensor, weight: Wrapped<T, Weight, F>, ctx: Ctx) => Tensor
  /** Rows of the weight by int32 ids; by default rows of the whole dense weight. */
  readonly lookup?: (ids: Tensor, weight: Wrapped<T, Weight, F>, ctx: Ctx) => Tensor
}

/**
 * Defines a representation of a weight: say which dense weight it stands for, and it works in every layer.
 *
 * @example
 * ```ts
 * import { variant, vector, allOnes, materialize } from 'espalier'
 * import { mul } from 'espalier/ops'
 * // Each output of a layer scaled by a number of its own.
 * const Scaled = variant('Scaled', {
 *   fields: { scale: vector('out', allOnes) },
 *   materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
 * })
 * Scaled.tag // => 'Scaled'
 * ```
 */
export const variant = <const T extends string, const F extends Readonly<Record<string, Field<unknown, string>>>>(
  tag: T,
  spec: VariantSpec<T, F>,
): VariantKind<T, F> => ({
  tag,
  role: 'weight',
  fields: spec.fields,
  ops: {
    project: spec.project ?? ((x, w, ctx) => matmul(x, spec.materialize(w, ctx))),
    projectT: spec.projectT ?? ((x, w, ctx) => matmul(x, spec.materialize(w, ctx), { transposeB: true })),
    lookup: spec.lookup ?? ((ids, w, ctx) => gather(spec.materialize(w, ctx), ids)),
    shape: (w, ctx) => shapeOf(w.base, ctx),
    materialize: spec.materialize,
  },
})
