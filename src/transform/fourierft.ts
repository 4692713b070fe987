import { Finite } from '../kind/number-codecs.ts'
import { tensor, words, zeros } from '../ops/index.ts'
import { FourierftKind } from '../weight/index.ts'
import type { FourierftValues } from '../weight/index.ts'
import { LONGEST } from '../weight/fourierft.ts'
import { fold } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { Issue } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Wrapping } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'
import { weightMethod } from './attach.ts'
import type { Sized } from './weight-places.ts'
import { Dimension, Ranks, may, oneOf } from './options.ts'

/** How FourierFT is put on. */
export interface FourierftOptions {
  /** How many coefficients a weight trains, by default 1000. */
  readonly frequencies?: number
  /** The factor before the inverse transform, by default 150. */
  readonly scale?: number
  /** What the coefficients begin with: N(0, 1) as in the paper (the default), or zeros, which change nothing. */
  readonly init?: 'normal' | 'zeros'
  /** Other numbers of frequencies for the weights that patterns name. */
  readonly frequenciesPattern?: Readonly<Record<string, number>>
  /** What positions and coefficients are drawn from. */
  readonly key?: Key
}

/** `n` different numbers in [0, below), each set as likely as any other, without a list of all. */
const distinct = (key: Key, n: number, below: number): readonly number[] => {
  const random = words(key, 2 * n)
  const moved = new Map<number, number>()
  return Array.from({ length: n }, (_, i) => {
    // The first n steps of a Fisher–Yates shuffle, 53 bits for each choice.
    const unit = ((random[2 * i]! >>> 5) * 2 ** 26 + (random[2 * i + 1]! >>> 6)) * 2 ** -53
    const j = i + Math.floor(unit * (below - i))
    const chosen = moved.get(j) ?? j
    moved.set(j, moved.get(i) ?? i)
    return chosen
  })
}

const positionsOf = (key: Key, n: number, rows: number, columns: number): Tensor => {
  const chosen = distinct(key, n, rows * columns)
  const both = [...chosen.map((at) => Math.floor(at / columns)), ...chosen.map((at) => at % columns)]
  return tensor(Int32Array.from(both), [2, n], 'int32')
}

const refuse = (
  { frequencies }: Required<Pick<FourierftOptions, 'frequencies'>>,
  { path, rows, columns }: Sized,
): readonly Issue[] => [
  ...(frequencies <= rows * columns
    ? []
    : [
        {
          _tag: 'BadDimension',
          path,
          expected: `at most ${rows * columns} frequencies, for a weight of ${rows}×${columns}`,
          found: String(frequencies),
          hint: 'Give fewer `frequencies`, or fewer to this weight by `frequenciesPattern`.',
        },
      ]),
  ...(Math.max(rows, columns) <= LONGEST
    ? []
    : [
        {
          _tag: 'BadDimension',
          path,
          expected: `a weight of at most ${LONGEST} rows and columns`,
          found: `${rows}×${columns}`,
          hint: 'Leave this weight out with `except`.',
        },
      ]),
]

/**
 * Adds the inverse Fourier transform of a few trained coefficients: W becomes W + scale·Re(ifft2(S)).
 *
 * Where the coefficients stand is drawn alike for all weights of one shape, and saved with them. As in the paper they begin
 * at random, so a fresh one changes the outputs; with `init: 'zeros'` it changes nothing.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `TiedWeight`, `BadDimension` also for more frequencies
 *   than a weight has elements, `BadOption`, `BadSelector`.
 * @example
 * ```ts
 * import { count, fourierft, freeze, key, pipe, sllm } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(pipe(base, freeze, fourierft({ at: '**.ln_1', frequencies: 50, key: key(1) }))).trainable // => 100
 * ```
 * @source Gao et al. 2024, "Parameter-Efficient Fine-Tuning with Discrete Fourier Transform", §3.1.
 */
export const fourierft: Targeted<FourierftOptions, Wrapping<'Fourierft', FourierftValues>> = weightMethod<
  FourierftOptions,
  Wrapping<'Fourierft', FourierftValues>,
  'frequencies' | 'scale' | 'init'
>('fourierft', {
  kind: FourierftKind,
  options: {
    frequencies: may(Dimension),
    scale: may(Finite),
    init: may(oneOf('normal', 'zeros')),
    frequenciesPattern: may(Ranks),
  },
  defaults: { frequencies: 1000, scale: 150, init: 'normal' },
  dims: ({ frequencies }) => ({ frequencies }),
  refuse,
  given: ({ frequencies, scale, init }, { rows, columns, key }) => ({
    scale,
    // By size alone: weights of one shape have their frequencies at the same positions, as in the paper.
    positions: positionsOf(fold(key, `${rows}x${columns}`), frequencies, rows, columns),
    ...(init === 'zeros' ? { spectrum: zeros([frequencies]) } : {}),
  }),
})
