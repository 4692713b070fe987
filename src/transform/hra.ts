import * as t from 'io-ts'
import type { Issue } from '../tree/error.ts'
import { fold } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { Wrapping } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'
import { independent } from '../weight/hra.ts'
import { HraKind } from '../weight/index.ts'
import type { HraValues } from '../weight/index.ts'
import { weightMethod } from './attach.ts'
import type { Sized } from './weight-places.ts'
import { Dimension, Ranks, may } from './options.ts'

/** How HRA is put on. */
export interface HraOptions {
  /** Number of reflections, by default 8; even, unless they are orthogonal. */
  readonly rank?: number
  /** Makes the reflections orthogonal to each other, whatever is learnt; by default they need not be. */
  readonly orthogonalise?: boolean
  /** Other ranks for the weights that patterns name. */
  readonly rankPattern?: Readonly<Record<string, number>>
  /** What the directions are drawn from, folded by each weight's label. */
  readonly key?: Key
}

const issuesOf = (
  { rank, orthogonalise }: Required<Pick<HraOptions, 'rank' | 'orthogonalise'>>,
  { path, rows }: Sized,
): readonly Issue[] => {
  const issue = (expected: string, hint: string): readonly Issue[] => [
    { _tag: 'BadDimension', path, expected, found: String(rank), hint },
  ]
  if (orthogonalise)
    return rank <= rows ? [] : issue(`a rank up to the ${rows} inputs`, 'There are no more directions than inputs.')
  return rank % 2 === 0
    ? []
    : issue(
        'an even rank',
        `Reflections begin in pairs that undo each other, so that a fresh adapter changes nothing: take ${rank + 1}.`,
      )
}

/**
 * Reflects the inputs of weight matrices [in, out]: W becomes Hᵣ⋯H₁·W, with H = I − 2ûûᵀ for each of `rank` directions.
 *
 * Lengths of W's columns, and angles between them, stay. Directions begin in equal pairs, so a fresh one changes nothing but
 * by rounding; with `orthogonalise` it does, since orthogonal reflections never undo each other. It has rank · in parameters
 * a weight.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `TiedWeight`, `BadDimension` for an odd rank, or with
 *   `orthogonalise` one above the inputs; `BadOption`, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, hra, pipe, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(pipe(base, freeze, hra({ at: '**.ln_1' }))).trainable // => 2_048
 * hra({ at: '**.ln_1', rank: 3 })(base) // => Error: take 4.
 * ```
 * @source Yuan et al. 2024, "Bridging The Gap between Low-rank and Orthogonal Adaptation via Householder Reflection
 *   Adaptation", §3.
 */
export const hra: Targeted<HraOptions, Wrapping<'Hra', HraValues>> = weightMethod<
  HraOptions,
  Wrapping<'Hra', HraValues>,
  'rank' | 'orthogonalise'
>('hra', {
  kind: HraKind,
  options: { rank: may(Dimension), orthogonalise: may(t.boolean), rankPattern: may(Ranks) },
  defaults: { rank: 8, orthogonalise: false },
  dims: ({ rank }) => ({ rank }),
  refuse: issuesOf,
  given: ({ rank, orthogonalise }, { key, label, rows }) =>
    orthogonalise ? { orthogonalise, u: independent(fold(key, `${label}.u`), [rows, rank]) } : {},
})
