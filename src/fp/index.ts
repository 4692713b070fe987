import type { Endomorphism } from 'fp-ts/lib/Endomorphism.js'
import { getMonoid as getEndomorphismMonoid } from 'fp-ts/lib/Endomorphism.js'
import type { Eq } from 'fp-ts/lib/Eq.js'
import type { Monoid } from 'fp-ts/lib/Monoid.js'
import type { Show } from 'fp-ts/lib/Show.js'
import { equal } from '../transform/index.ts'
import { show } from '../tree/index.ts'

/*
 * Instances for people who know fp-ts; nothing in the rest of the library needs them.
 */

/**
 * Equality of trees: structure, labels, status, plain data and values.
 *
 * @example
 * ```ts
 * import { Eq } from 'espalier/fp'
 * import { sllm, key } from 'espalier'
 * const model = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
 * Eq.equals(model, model) // => true
 * ```
 */
const Eq_: Eq<unknown> = { equals: equal }

/** Trees as text. */
const Show_: Show<unknown> = { show: (tree) => show(tree) }

/**
 * Transforms that keep a model's type form a monoid: one after another, and the transform that does nothing.
 *
 * @example
 * ```ts
 * import { getMonoid } from 'espalier/fp'
 * import { nest, sllm, key, type Sllm } from 'espalier'
 * const M = getMonoid<Sllm>()
 * const named = M.concat((m: Sllm) => nest('a', m), (m: Sllm) => nest('b', m))
 * named(sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))).final_norm.scale.label // => 'b.a.final_norm.scale'
 * ```
 */
export const getMonoid = <M>(): Monoid<Endomorphism<M>> => getEndomorphismMonoid<M>()

export { Eq_ as Eq, Show_ as Show }
export { traverse } from '../tree/index.ts'
