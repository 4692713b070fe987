import type { Applicative, Applicative1, Applicative2, Applicative2C } from 'fp-ts/lib/Applicative.js'
import type { HKT, Kind, Kind2, URIS, URIS2 } from 'fp-ts/HKT'
import { TransformFailure } from './error.ts'
import { find } from './select.ts'
import type { Selector } from './select.ts'
import type { At, Paths, SetAt } from './types/paths.ts'
import { replaceAt, showPath } from './walk.ts'
import type { Place } from './walk.ts'

/** The outermost place at exactly one path. */
const placeAt = (tree: unknown, path: string): Place => {
  const [place] = find(tree, path)
  if (place === undefined || showPath(place.path) !== path)
    throw new TransformFailure([
      {
        _tag: 'BadPath',
        path,
        expected: 'the path of one place',
        found: `a pattern (its first hit is ${showPath(place?.path ?? [])})`,
        hint: 'Write every segment out, or use `traverse`, which takes patterns.',
      },
    ])
  return place
}

/**
 * The node at a path; where something is wrapped, the wrapper.
 *
 * @throws TransformFailure `NoMatch` with the nearest paths.
 * @example
 * ```ts
 * import { get, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * get(base, 'transformer_blocks.0.mlp.ln_1.weight').value.shape // => [128, 128]
 * ```
 */
export const get = <T, const P extends Paths<T>>(tree: T, path: P): At<T, P> => placeAt(tree, path).node as At<T, P>

/**
 * The tree with another node at a path; everything off the way there is the same reference.
 *
 * @throws TransformFailure `NoMatch` with the nearest paths, `BadPath` for a pattern.
 * @example
 * ```ts
 * import { param, set } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const model = { a: param('vector', 'a', zeros([2])), list: [param('vector', 'b', zeros([1]))] }
 * const after = set(model, 'a', null)
 * after.a // => null
 * after.list === model.list // => true
 * ```
 */
export const set = <T, const P extends Paths<T>, V>(tree: T, path: P, value: V): SetAt<T, P, V> =>
  replaceAt(tree, [{ route: placeAt(tree, path).route, value }]) as SetAt<T, P, V>

/**
 * The tree with the node at a path mapped, possibly to another type.
 *
 * @throws TransformFailure `NoMatch` with the nearest paths, `BadPath` for a pattern, and what the function throws.
 * @example
 * ```ts
 * import { freeze, modify, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
 * const after = modify(base, 'out_head', head => freeze(head))
 * after.out_head.weight.status // => 'frozen'
 * ```
 */
export const modify = <T, const P extends Paths<T>, V>(tree: T, path: P, f: (node: At<T, P>) => V): SetAt<T, P, V> =>
  set(tree, path, f(get(tree, path)))

/** `traverse` for the applicatives of fp-ts, by how many type parameters each has. */
export interface Traverse {
  <F extends URIS2, E>(F: Applicative2C<F, E>): Visit<Kind2<F, E, unknown>>
  <F extends URIS2>(F: Applicative2<F>): <E>(...given: Visiting<Kind2<F, E, unknown>>) => Kind2<F, E, unknown>
  <F extends URIS>(F: Applicative1<F>): Visit<Kind<F, unknown>>
  <F>(F: Applicative<F>): Visit<HKT<F, unknown>>
}

type Visiting<R> = readonly [tree: unknown, at: Selector, f: (node: unknown, path: string) => R]
type Visit<R> = (...given: Visiting<R>) => R

/**
 * Visits every outermost place a selector hits with an effect, and rebuilds the tree inside it.
 *
 * `F` is any fp-ts applicative: `Either` to validate, `Task` to load, `Option` to give up, `Identity` to map.
 *
 * @throws TransformFailure `NoMatch`, `BadSelector`.
 * @example
 * ```ts
 * import * as E from 'fp-ts/lib/Either.js'
 * import { param, traverse } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const model = { a: param('vector', 'a', zeros([2])), b: param('vector', 'b', zeros([3])) }
 * const small = traverse(E.Applicative)(model, '*', node => (node === model.b ? E.left('too long') : E.right(node)))
 * small._tag // => 'Left'
 * ```
 */
export const traverse: Traverse =
  <F>(F: Applicative<F>): Visit<HKT<F, unknown>> =>
  (tree, at, f) => {
    const found = find(tree, at)
    const values = found.reduce<HKT<F, readonly unknown[]>>(
      (done, place) =>
        F.ap(
          F.map(done, (vs: readonly unknown[]) => (v: unknown): readonly unknown[] => [...vs, v]),
          f(place.node, showPath(place.path)),
        ),
      F.of([]),
    )
    return F.map(values, (vs) =>
      replaceAt(
        tree,
        vs.map((value, i) => ({ route: found[i]?.route ?? [], value })),
      ),
    )
  }
