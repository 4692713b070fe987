import type { Issue } from '../tree/error.ts'
import type { Key } from '../tree/key.ts'
import type { Wrapping } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'
import { OftKind } from '../weight/index.ts'
import type { OftValues } from '../weight/index.ts'
import { weightMethod } from './attach.ts'
import type { Sized } from './weight-places.ts'
import { Dimension, Ranks, may } from './options.ts'

/** How OFT is put on. */
export interface OftOptions {
  /** Inputs that are rotated together, by default 32; it must divide the inputs of every weight. */
  readonly blockSize?: number
  /** Other block sizes for the weights that patterns name. */
  readonly blockSizePattern?: Readonly<Record<string, number>>
  readonly key?: Key
}

/** The sizes from 2 on that divide a number. */
const divisors = (n: number): readonly number[] =>
  Array.from({ length: n - 1 }, (_, i) => i + 2).filter((b) => n % b === 0)

/** What is wrong with blocks of `blockSize` inputs on one weight. */
export const blockIssues = (blockSize: number, { path, rows }: Sized): readonly Issue[] =>
  Number.isInteger(blockSize) && blockSize > 1 && rows % blockSize === 0
    ? []
    : [
        {
          _tag: 'BadDimension',
          path,
          expected: `a blockSize from 2 that divides the ${rows} inputs`,
          found: String(blockSize),
          hint:
            rows < 2
              ? 'One input cannot be rotated: leave this place out with `except`.'
              : `Those that do: ${divisors(rows).join(', ')}. blockSizePattern gives one weight a size of its own.`,
        },
      ]

/**
 * Rotates the inputs of weight matrices [in, out]: W becomes R·W, with R block-diagonal and orthogonal by the exact Cayley map.
 *
 * Lengths of W's columns, and angles between them, stay. A fresh one changes nothing, to the last bit. It has in/b · b(b−1)/2
 * parameters a weight.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `TiedWeight`, `BadDimension` for a blockSize that does
 *   not divide the inputs, with those that do; `BadOption`, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, oft, pipe, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(pipe(base, freeze, oft({ at: '**.ln_1' }))).trainable // => 3_968
 * oft({ at: '**.ln_1', blockSize: 3 })(base) // => Error: Those that do: 2, 4, 8, 16, 32, 64, 128.
 * ```
 * @source Qiu et al. 2023, "Controlling Text-to-Image Diffusion by Orthogonal Finetuning", §3.
 */
export const oft: Targeted<OftOptions, Wrapping<'Oft', OftValues>> = weightMethod<
  OftOptions,
  Wrapping<'Oft', OftValues>,
  'blockSize'
>('oft', {
  kind: OftKind,
  options: { blockSize: may(Dimension), blockSizePattern: may(Ranks) },
  defaults: { blockSize: 32 },
  dims: ({ blockSize }, place) => ({
    blockSize,
    ...(blockIssues(blockSize, place).length === 0 && {
      blocks: place.rows / blockSize,
      pairs: (blockSize * (blockSize - 1)) / 2,
    }),
  }),
  refuse: ({ blockSize }, place) => blockIssues(blockSize, place),
})
