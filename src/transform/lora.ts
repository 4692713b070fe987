import { Finite, Rate } from '../kind/number-codecs.ts'
import { LoraKind } from '../weight/index.ts'
import type { Scaling } from '../weight/index.ts'
import type { Key } from '../tree/key.ts'
import type { Targeted } from '../tree/types/step.ts'
import { weightMethod } from './attach.ts'
import { Dimension, Numbers, Ranks, may, must, oneOf } from './options.ts'
import type { OptionTable } from './options.ts'

/** How LoRA is put on. */
export interface LoraOptions {
  /** Columns of A and rows of B: a positive whole number. */
  readonly rank: number
  /** The factor before A·B, by default 1. */
  readonly alpha?: number
  /** How alpha is read: as it is (the default, as in the chapter), divided by the rank, or by its square root. */
  readonly scaling?: Scaling
  /** Dropout on the input of A in training, in [0, 1). */
  readonly dropout?: number
  /** Other ranks for the weights that patterns name. */
  readonly rankPattern?: Readonly<Record<string, number>>
  /** Other alphas for the weights that patterns name. */
  readonly alphaPattern?: Readonly<Record<string, number>>
  /** What A is drawn from, folded by each weight's label. */
  readonly key?: Key
}

/** The options that LoRA and its kin have in common. */
export const loraOptions: OptionTable<LoraOptions> = {
  rank: must(Dimension),
  alpha: may(Finite),
  scaling: may(oneOf('alpha', 'alpha/rank', 'alpha/sqrt(rank)')),
  dropout: may(Rate),
  rankPattern: may(Ranks),
  alphaPattern: may(Numbers),
}

/**
 * Adds a low-rank change to weight matrices: W becomes W + s·A·B, with A from U(±1/√in), B zero, and s from alpha.
 *
 * A fresh adapter changes nothing. A glob that names a layer takes all its matrices, so `'**'` is "all linear layers".
 * A rank above min(in, out) is legal, if wasteful.
 *
 * @throws TransformFailure `NoMatch` with the nearest names, `NotATarget` for what has no weight matrix, `AlreadyAdapted`,
 *   `TiedWeight`, `BadDimension` for a rank that is not a positive whole number, `BadOption`, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, lora, pipe, sllm, key } from 'espalier'
 * const base = sllm.init(sllm.config.seed, key(0))
 * const tuned = pipe(base, freeze, lora({ at: ['**.ln_1', '**.c_proj'], rank: 16, alpha: 30, key: key(1) }))
 * count(tuned) // => { parameters: 13_715_360, trainable: 16_384, frozen: 13_698_976 }
 * ```
 * @source Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", §4.1.
 */
export const lora: Targeted<LoraOptions, 'lora'> = weightMethod<LoraOptions, 'lora'>('lora', {
  kind: LoraKind,
  options: loraOptions,
  dims: ({ rank }) => ({ rank }),
  given: ({ alpha = 1, scaling = 'alpha', dropout = 0 }) => ({ alpha, scaling, dropout }),
})
