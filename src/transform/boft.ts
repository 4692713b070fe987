import type { Issue } from '../tree/error.ts'
import type { Key } from '../tree/key.ts'
import type { Wrapping } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'
import { BoftKind } from '../weight/index.ts'
import type { BoftValues } from '../weight/index.ts'
import { weightMethod } from './attach.ts'
import type { Sized } from './weight-places.ts'
import { blockIssues } from './oft.ts'
import { Dimension, Ranks, may } from './options.ts'

/** How BOFT is put on. */
export interface BoftOptions {
  /** Inputs that one block rotates together, by default 4; even where there are more factors than one. */
  readonly blockSize?: number
  /** Butterfly factors, by default 1; blockSize · 2^(factors − 1) must divide the inputs of every weight. */
  readonly factors?: number
  /** Other block sizes for the weights that patterns name. */
  readonly blockSizePattern?: Readonly<Record<string, number>>
  /** Other numbers of factors for the weights that patterns name. */
  readonly factorsPattern?: Readonly<Record<string, number>>
  readonly key?: Key
}

const factorIssues = (blockSize: number, factors: number, { path, rows }: Sized): readonly Issue[] => {
  const issue = (expected: string, found: string, hint: string): readonly Issue[] => [
    { _tag: 'BadDimension', path, expected, found, hint },
  ]
  if (factors > 1 && blockSize % 2 !== 0)
    return issue(
      'an even blockSize where there are more factors than one',
      String(blockSize),
      'From the second factor on, a block takes two halves that lie apart; take an even size, or one factor.',
    )
  if (rows % (blockSize * 2 ** (factors - 1)) === 0) return []
  const most = 1 + Math.floor(Math.log2((rows / blockSize) & -(rows / blockSize) || 1))
  return issue(
    `blockSize · 2^(factors − 1) to divide the ${rows} inputs`,
    `${blockSize} · 2^${factors - 1}`,
    `With blocks of ${blockSize}, take ${most === 1 ? 'one factor' : `at most ${most} factors`}.`,
  )
}

const issuesOf = (
  { blockSize, factors }: Required<Pick<BoftOptions, 'blockSize' | 'factors'>>,
  place: Sized,
): readonly Issue[] => {
  const blocks = blockIssues(blockSize, place)
  return blocks.length > 0 ? blocks : factorIssues(blockSize, factors, place)
}

/**
 * Rotates the inputs of weight matrices [in, out] by butterfly factors and scales the outputs: W becomes Bₘ⋯B₁·W·diag(s).
 *
 * Each factor rotates blocks of `blockSize` inputs; m factors mix inputs that lie blockSize · 2^(m − 1) apart. A fresh one
 * changes nothing, to the last bit. It has factors · in · blockSize + out parameters a weight, though of each block only the
 * skew part counts.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `TiedWeight`, `BadDimension` for sizes that do not fit
 *   the inputs, with what does; `BadOption`, `BadSelector`.
 * @example
 * ```ts
 * import { boft, count, freeze, pipe, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(pipe(base, freeze, boft({ at: '**.ln_1', factors: 2 }))).trainable // => 2_304
 * boft({ at: '**.ln_1', factors: 7 })(base) // => Error: With blocks of 4, take at most 6 factors.
 * ```
 * @source Liu et al. 2023, "Parameter-Efficient Orthogonal Finetuning via Butterfly Factorization", §4.
 */
export const boft: Targeted<BoftOptions, Wrapping<'Boft', BoftValues>> = weightMethod<
  BoftOptions,
  Wrapping<'Boft', BoftValues>,
  'blockSize' | 'factors'
>('boft', {
  kind: BoftKind,
  options: {
    blockSize: may(Dimension),
    factors: may(Dimension),
    blockSizePattern: may(Ranks),
    factorsPattern: may(Ranks),
  },
  defaults: { blockSize: 4, factors: 1 },
  dims: ({ blockSize, factors }) => ({ blockSize, factors }),
  refuse: issuesOf,
})
