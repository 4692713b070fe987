import type { Constant, Hole, Param, Status } from '../leaf.ts'

/** A model with holes for the leaves that are not of status `S`; constants stand in the frozen half. */
export type Half<M, S extends Status> = { readonly [K in keyof M]: HalfAt<M[K], S> }

type HalfAt<T, S extends Status> =
  T extends Param<infer P, infer F>
    ? P extends S
      ? Param<P, F>
      : Hole
    : T extends Constant
      ? S extends 'frozen'
        ? Constant
        : Hole
      : T extends Hole | string | number | boolean | null | undefined
        ? T
        : { readonly [K in keyof T]: HalfAt<T[K], S> }

// A place of which only the role is known: whatever stands there may be trainable.
type IsOpen<T> = T extends { readonly _tag: infer Tag }
  ? string extends Tag
    ? Exclude<keyof T, '_tag' | `~${string}`> extends never
      ? true
      : false
    : false
  : false

/** True when a model may have something to train; `never` when every parameter is known to be frozen. */
export type HasTrainable<T> =
  T extends Param<infer P>
    ? 'trainable' extends P
      ? true
      : never
    : T extends Constant | Hole | string | number | boolean | null | undefined
      ? never
      : T extends readonly (infer E)[]
        ? HasTrainable<E>
        : IsOpen<T> extends true
          ? true
          : { [K in keyof T]-?: K extends '_tag' | `~${string}` ? never : HasTrainable<T[K]> }[keyof T]
