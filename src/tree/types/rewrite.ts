import type { Constant, Form, Hole, Param, Status } from '../leaf.ts'
import type { Packed } from '../wrap.ts'
import type { Met, Step, StepEvery, StepRange, StepSome } from './glob.ts'

/**
 * Type-level methods by name: what a method makes of a node of type `T`.
 *
 * `never` means "not mine: look inside"; `Keep` means "leave it and everything inside alone".
 * A method adds its line by declaration merging; `T` is never a union here.
 */
export interface Rewrites<T> {
  readonly '~node': T
  /** A method that takes any node and keeps its type, such as one that changes a number of heads. */
  readonly same: T extends { readonly _tag: string } ? T : never
}

/** Says that a method neither takes a node nor looks into it. */
export interface Keep {
  readonly '~keep': true
}

/** A method that wraps each weight of a form, matrices unless said otherwise: the tag of what wraps, and the fields it adds. */
export interface Wrapping<Tag extends string, Values, F extends Form = 'matrix'> {
  readonly tag: Tag
  readonly values: Values
  readonly form: F
}

/** A type-level method: the name of a line in `Rewrites`, or a wrapping. */
export type Method = Exclude<keyof Rewrites<unknown>, '~node'> | Wrapping<string, unknown, Form>

/** What a method makes of one node. */
type Applied<T, K extends Method> = K extends keyof Rewrites<T>
  ? Rewrites<T>[K]
  : K extends Wrapping<infer Tag, infer Values, infer F>
    ? T extends Param<Status, F> | Packed<F>
      ? { readonly _tag: Tag; readonly base: T; readonly '~role'?: 'weight' } & Values
      : WeightWrapper<T> extends true
        ? Keep
        : never
    : never

/**
 * True for what methods on weights keep out of: a weight that wraps another, and what was put on beside a layer.
 *
 * An optional phantom is read only where it is there.
 */
export type WeightWrapper<T> = '~adapter' extends keyof T
  ? true
  : T extends { readonly _tag: string; readonly base: unknown }
    ? '~role' extends keyof T
      ? T extends { readonly '~role'?: 'weight' }
        ? true
        : false
      : false
    : false

export type AnyLeaf = Param | Constant | Hole

// What is not a branch of the tree: leaves, plain data, functions.
type Opaque = AnyLeaf | string | number | boolean | bigint | symbol | null | undefined | ((...a: never) => unknown)

/** Every node in `T` that the method takes, rewritten. */
export type RewriteAll<T, K extends Method> = T extends unknown ? RewriteOne<T, Applied<T, K>, K> : never
type RewriteOne<T, R, K extends Method> = [R] extends [never]
  ? T extends Opaque
    ? T
    : { readonly [P in keyof T]: P extends `~${string}` ? T[P] : RewriteAll<T[P], K> }
  : R extends Keep
    ? T
    : R

/** Every node in `T` that the method takes, rewritten or not: all the compiler can say of run-time selectors. */
export type RewriteSome<T, K extends Method> = T extends unknown ? RewriteSomeOne<T, Applied<T, K>, K> : never
type RewriteSomeOne<T, R, K extends Method> = [R] extends [never]
  ? T extends Opaque
    ? T
    : { readonly [P in keyof T]: P extends `~${string}` ? T[P] : RewriteSome<T[P], K> }
  : R extends Keep
    ? T
    : T | R

/** True for what a method leaves alone together with everything inside. */
export type Closed<T, K extends Method> = [Applied<T, K>] extends [never]
  ? false
  : Applied<T, K> extends Keep
    ? true
    : false

/** `T` with the method applied where the patterns `P` are met. */
export type RewriteAt<T, P extends string, K extends Method> = [P] extends [never]
  ? T
  : Met<P> extends true
    ? RewriteAll<T, K>
    : T extends Opaque
      ? T
      : T extends readonly (infer E)[]
        ? number extends T['length']
          ? readonly RewriteElement<E, StepEvery<P>, StepSome<P>, K>[]
          : { readonly [I in keyof T]: RewriteElement<T[I], I extends string ? Step<P, I> : never, StepRange<P>, K> }
        : Closed<T, K> extends true
          ? T
          : { readonly [Q in keyof T]: RewriteKey<T[Q], Q, P, K> }

type RewriteElement<E, Every extends string, Some extends string, K extends Method> =
  | RewriteAt<E, Every, K>
  | ([Some] extends [never] ? never : RewriteAt<E, Every | Some, K>)

/** `RewriteAt` for the value under one key of a record. */
export type RewriteKey<T, Q, P extends string, K extends Method> = Q extends '_tag' | `~${string}`
  ? T
  : Q extends 'base'
    ? RewriteAt<T, P, K>
    : Q extends string
      ? RewriteAt<T, Step<P, Q>, K>
      : T

/** True when the method finds a target in `T`. */
export type HasTarget<T, K extends Method> = T extends unknown ? HasTargetOne<T, Applied<T, K>, K> : never
type HasTargetOne<T, R, K extends Method> = [R] extends [never]
  ? T extends Opaque
    ? never
    : T extends readonly (infer E)[]
      ? HasTarget<E, K>
      : { [P in keyof T]-?: P extends '_tag' | `~${string}` ? never : HasTarget<T[P], K> }[keyof T]
  : R extends Keep
    ? never
    : true

/** True when one of the patterns `P` is met by something in `T` that the method takes. */
export type HasHit<T, P extends string, K extends Method> = [P] extends [never]
  ? never
  : Met<P> extends true
    ? HasTarget<T, K>
    : T extends Opaque
      ? never
      : T extends readonly (infer E)[]
        ? HasHit<E, StepEvery<P> | StepSome<P>, K>
        : Closed<T, K> extends true
          ? never
          : { [Q in keyof T]-?: HitKey<T[Q], Q, P, K> }[keyof T]

type HitKey<T, Q, P extends string, K extends Method> = Q extends '_tag' | `~${string}`
  ? never
  : Q extends 'base'
    ? HasHit<T, P, K>
    : Q extends string
      ? HasHit<T, Step<P, Q>, K>
      : never
