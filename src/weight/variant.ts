import { shapeOf } from '../kind/index.ts'
import type { Field, Kind, Weight, WeightOps } from '../kind/index.ts'
import { gather, matmul } from '../ops/index.ts'
import { additive } from './delta.ts'
import type { Delta } from './delta.ts'

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

/** What a variant must say: its fields, and what it amounts to, as a whole or as what it adds to its base. */
export type VariantSpec<T extends string, F> = {
  /** Its own parameters, constants and plain data; axes may mention `in` and `out`. */
  readonly fields: F
} & (WholeWeight<Wrapped<T, Weight, F>> | Delta<Wrapped<T, Weight, F>>)

/** A weight by the dense one it stands for, and by what it may do better than by building that; `shape`, if that is not its base's. */
export interface WholeWeight<N> extends Partial<Pick<WeightOps<N>, 'project' | 'projectT' | 'lookup' | 'shape'>> {
  /** The dense weight [in, out] that it represents. */
  readonly materialize: WeightOps<N>['materialize']
}

const whole = <N extends { readonly base: Weight }>(spec: WholeWeight<N>): WeightOps<N> => ({
  project: spec.project ?? ((x, w, ctx) => matmul(x, spec.materialize(w, ctx))),
  projectT: spec.projectT ?? ((x, w, ctx) => matmul(x, spec.materialize(w, ctx), { transposeB: true })),
  lookup: spec.lookup ?? ((ids, w, ctx) => gather(spec.materialize(w, ctx), ids)),
  shape: spec.shape ?? ((w, ctx) => shapeOf(w.base, ctx)),
  materialize: spec.materialize,
})

/**
 * Defines a representation of a weight: say which dense weight it stands for, or what it adds to its base, and it works in
 * every layer.
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
  ops: 'delta' in spec ? additive(spec) : whole(spec),
})
