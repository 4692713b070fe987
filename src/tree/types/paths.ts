import type { AnyLeaf, Closed, HasTarget, Method } from './rewrite.ts'

type Name<K> = K extends '_tag' | `~${string}` ? never : K extends string ? K : never
type Data = AnyLeaf | string | number | boolean | bigint | null | undefined | ((...a: never) => unknown)

/** Paths from a node down to everything the method finds a target in; `*` for the elements of an array. */
type Full<T, K extends Method> = T extends Data
  ? never
  : T extends readonly (infer E)[]
    ? Under<E, '*', K>
    : Closed<T, K> extends true
      ? never
      : { [P in Name<keyof T>]-?: P extends 'base' ? Full<T[P], K> : Under<T[P], P, K> }[Name<keyof T>]

type Under<T, P extends string, K extends Method> = T extends unknown
  ? (true extends HasTarget<T, K> ? P : never) | (Full<T, K> extends infer S extends string ? `${P}.${S}` : never)
  : never

/** The same paths from every node of the tree, which is what may follow `**.`. */
type Tails<T, K extends Method> = T extends Data
  ? never
  : T extends readonly (infer E)[]
    ? Tails<E, K>
    : Closed<T, K> extends true
      ? never
      : Full<T, K> | { [P in Name<keyof T>]-?: Tails<T[P], K> }[Name<keyof T>]

/** The patterns an editor offers for a method on a model. */
export type Globs<M, K extends Method> = unknown extends M ? never : '**' | Full<M, K> | `**.${Tails<M, K>}`

/** Every path of a tree, down to its leaves, indices as numbers; what `get`, `set` and `modify` take. */
export type Paths<T> = T extends Data
  ? never
  : T extends readonly (infer E)[]
    ? `${number}` | `${number}.${Paths<E>}`
    : { [P in Name<keyof T>]-?: P extends 'base' ? Paths<T[P]> : PathUnder<T[P], P> }[Name<keyof T>]

type PathUnder<T, P extends string> = T extends AnyLeaf
  ? P
  : T extends Data
    ? never
    : P | (Paths<T> extends infer S extends string ? `${P}.${S}` : never)

/** The node at a path: the wrapper, where there is one. */
export type At<T, P extends string> = P extends `${infer H}.${infer R}`
  ? AtKey<T, H> extends infer N
    ? At<N, R>
    : never
  : AtKey<T, P>

type AtKey<T, H extends string> = T extends readonly (infer E)[]
  ? E
  : H extends keyof T
    ? T[H]
    : T extends { readonly base: infer B }
      ? AtKey<B, H>
      : never

/** The tree with another type at a path. */
export type SetAt<T, P extends string, V> = P extends `${infer H}.${infer R}`
  ? SetKey<T, H, SetAt<AtKey<T, H>, R, V>>
  : SetKey<T, P, V>

type SetKey<T, H extends string, V> = T extends readonly (infer E)[]
  ? readonly (E | V)[]
  : H extends keyof T
    ? { readonly [K in keyof T]: K extends H ? V : T[K] }
    : T extends { readonly base: infer B }
      ? { readonly [K in keyof T]: K extends 'base' ? SetKey<B, H, V> : T[K] }
      : T
