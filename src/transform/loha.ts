import { LohaKind } from '../weight/index.ts'
import type { LohaValues, Scaling } from '../weight/index.ts'
import type { Key } from '../tree/key.ts'
import type { Wrapping } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'
import { weightMethod } from './attach.ts'
import { loraDefaults, loraOptions } from './lora.ts'
import { Dimension, may } from './options.ts'
import type { OptionTable } from './options.ts'

/** How LoHa is put on. */
export interface LohaOptions {
  /** The rank of each of the two products, by default 8. */
  readonly rank?: number
  /** The factor before the change, by default 1. */
  readonly alpha?: number
  /** How alpha is read: as it is (the default), divided by the rank, or by its square root. */
  readonly scaling?: Scaling
  /** Other ranks for the weights that patterns name. */
  readonly rankPattern?: Readonly<Record<string, number>>
  /** Other alphas for the weights that patterns name. */
  readonly alphaPattern?: Readonly<Record<string, number>>
  /** What the factors are drawn from, folded by each weight's label. */
  readonly key?: Key
}

const { alpha, scaling, rankPattern, alphaPattern } = loraOptions

/** The options of a change made of low-rank factors that has a rank of its own unless told. */
export const lowRankOptions: OptionTable<LohaOptions> = {
  rank: may(Dimension),
  alpha,
  scaling,
  rankPattern,
  alphaPattern,
}

/** What these are when left out; the rank is PEFT's. */
export const lowRankDefaults: Required<Pick<LohaOptions, 'rank' | 'alpha' | 'scaling'>> = {
  rank: 8,
  alpha: loraDefaults.alpha,
  scaling: loraDefaults.scaling,
}

/**
 * Adds the element-wise product of two low-rank changes: W becomes W + s·(w1a·w1b) ⊙ (w2a·w2b), of rank up to rank².
 *
 * A fresh one changes nothing, for w2b is zero. It adds 2·rank·(in + out) parameters to a weight.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `TiedWeight`, `BadDimension`, `BadOption`, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, key, loha, pipe, sllm } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(pipe(base, freeze, loha({ at: '**.ln_1', rank: 4, key: key(1) }))).trainable // => 4_096
 * ```
 * @source Hyeon-Woo et al. 2022, "FedPara", §2.2; as an adapter: Yeh et al. 2024, "Navigating Text-To-Image Customization", §3.
 */
export const loha: Targeted<LohaOptions, Wrapping<'Loha', LohaValues>> = weightMethod<
  LohaOptions,
  Wrapping<'Loha', LohaValues>,
  keyof typeof lowRankDefaults
>('loha', {
  kind: LohaKind,
  options: lowRankOptions,
  defaults: lowRankDefaults,
  dims: ({ rank }) => ({ rank }),
  given: (options) => ({ alpha: options.alpha, scaling: options.scaling }),
})
