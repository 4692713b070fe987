import type { Issue } from '../tree/error.ts'
import { issue } from '../tree/error.ts'
import type { Key } from '../tree/key.ts'
import type { Wrapping } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'
import { MissKind } from '../weight/index.ts'
import type { MissValues } from '../weight/index.ts'
import { weightMethod } from './attach.ts'
import type { Sized } from './weight-places.ts'
import { Dimension, Ranks, may } from './options.ts'

/** How MiSS is put on. */
export interface MissOptions {
  /** The rows of the block, by default 64: inputs that lie so far apart share a row. */
  readonly rank?: number
  /** The columns of the block, which divide the outputs; by default as many as there are outputs. */
  readonly columns?: number
  /** Other ranks for the weights that patterns name. */
  readonly rankPattern?: Readonly<Record<string, number>>
  /** Taken as by every method; a block begins at zero, and nothing is drawn. */
  readonly key?: Key
}

const refuse = (
  { rank, columns }: { readonly rank: number; readonly columns?: number },
  { path, rows, columns: outputs }: Sized,
): readonly Issue[] => [
  ...(rank <= rows
    ? []
    : [
        issue('BadDimension', path, `a rank up to the ${rows} inputs`, String(rank), 'Rows beyond that meet no input.'),
      ]),
  ...(columns === undefined || outputs % columns === 0
    ? []
    : [
        issue(
          'BadDimension',
          path,
          `columns that divide the ${outputs} outputs`,
          String(columns),
          'Leave `columns` out for a block as wide as the weight.',
        ),
      ]),
]

/**
 * Adds one block [rank, columns] over and over to weight matrices [in, out]: W[i, j] becomes W[i, j] + block[i mod rank, j mod columns].
 *
 * A fresh one changes nothing, for the block is zero. It adds rank · columns parameters to a weight, rank · out unless told
 * otherwise, and costs less than LoRA in a pass: inputs are added up, and multiplied by one small matrix.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `TiedWeight`, `BadDimension` for a rank above the inputs
 *   or columns that do not divide the outputs, `BadOption`, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, key, miss, pipe, sllm } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * // Two of 128×128.
 * count(pipe(base, freeze, miss({ at: '**.ln_1', rank: 8 }))).trainable // => 2_048
 * count(pipe(base, freeze, miss({ at: '**.ln_1', rank: 8, columns: 32 }))).trainable // => 512
 * ```
 * @source Kang and Yin 2024, "MiSS: Revisiting the Trade-off in LoRA with an Efficient Shard-Sharing Structure", §3.
 */
export const miss: Targeted<MissOptions, Wrapping<'Miss', MissValues>> = weightMethod<
  MissOptions,
  Wrapping<'Miss', MissValues>,
  'rank'
>('miss', {
  kind: MissKind,
  options: { rank: may(Dimension), columns: may(Dimension), rankPattern: may(Ranks) },
  defaults: { rank: 64 },
  dims: ({ rank, columns }, { columns: outputs }) => ({ rank, columns: columns ?? outputs }),
  refuse,
})
