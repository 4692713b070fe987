import type { Embed, Layer, Model, Weight } from '../kind/index.ts'
import type { Adapted, Bottleneck, Prefixed, Prompted, SublayerTag } from '../nn/index.ts'
import type { Param, Status, Table } from '../tree/leaf.ts'
import type { RewriteAll } from '../tree/types/rewrite.ts'
import type { Whole } from '../tree/types/step.ts'
import type { Packed } from '../tree/wrap.ts'

/** A weight in whatever representation a method has put on it. */
export interface AdaptedWeight<W> extends Weight {
  readonly '~role'?: 'weight'
  readonly base: W
}

type MaybeWeight<W> = W | AdaptedWeight<W>

/** A parameter or an embedding after a recipe that the compiler has not read. */
export type MaybeAdapted<T> =
  T extends Param<Status, infer F>
    ? F extends 'vector'
      ? Param<Status, F>
      : MaybeWeight<Param<Status, F> | Packed<F>>
    : T extends Embed & { readonly _tag: 'Embedding' }
      ? MaybePrompted<Inside<T> & Embed>
      : T extends { readonly _tag: SublayerTag; readonly dense: Layer; readonly '~role'?: 'output' }
        ? MaybeBottleneckBehind<Inside<T>>
        : T extends Layer & { readonly _tag: SublayerTag }
          ? MaybeBottleneck<Inside<T> & Layer>
          : never

/** A node with everything in it perhaps adapted. */
type Inside<T> = { readonly [K in keyof T]: K extends `~${string}` ? T[K] : RewriteAll<T[K], 'recipe'> }

type MaybeBottleneck<T extends Layer> = T | Adapted<T, Bottleneck<Status>>

/** An output, the dense of which may have an adapter behind it. */
type MaybeBottleneckBehind<T> = {
  readonly [K in keyof T]: K extends 'dense' ? MaybeBottleneck<T[K] & Layer> : T[K]
}

type MaybePrompted<T extends Embed> = T | Prompted<T, MaybeWeight<Table>>

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly recipe: MaybeAdapted<T>
  }
}

/** A model after a recipe: every place may be adapted, and either trainable or frozen; a model as a whole may have a prefix. */
export type Adaptable<M> = MaybePrefixed<M, Whole<M, 'recipe'>>

type MaybePrefixed<M, A> = '~role' extends keyof M
  ? M extends Model
    ? A | (A extends Model ? Prefixed<A, MaybeWeight<Table>> : never)
    : A
  : A

/** A model after a recipe of which the compiler sees the methods: without `prefix` among them the root is the model's own. */
export type AfterRecipe<M, R> = [MayPrefix<R>] extends [never] ? Whole<M, 'recipe'> : Adaptable<M>

type MayPrefix<R> = R extends readonly (infer S)[]
  ? S extends unknown
    ? string extends keyof S
      ? true
      : 'prefix' extends keyof S
        ? true
        : never
    : never
  : true
