import { LoraKind } from '../weight/index.ts'
import type { Scaling } from '../weight/index.ts'
import { TransformFailure } from '../tree/error.ts'
import type { Key } from '../tree/key.ts'
import type { Selector } from '../tree/select.ts'
import type { Targeted } from '../tree/types/step.ts'
import { wrapWeights } from './attach.ts'
import { targeted } from './targeted.ts'

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
  /** What A is drawn from, folded by each weight's label. */
  readonly key?: Key
}

const scalings: readonly string[] = ['alpha', 'alpha/rank', 'alpha/sqrt(rank)'] satisfies readonly Scaling[]

const requireGood = (name: string, good: boolean, expected: string, found: unknown): void => {
  if (!good)
    throw new TransformFailure([
      { _tag: 'BadOption', path: `lora.${name}`, expected, found: String(found), hint: 'See the options of `lora`.' },
    ])
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
export const lora: Targeted<LoraOptions, 'lora'> = targeted<LoraOptions, 'lora'>(
  (model, { at, rank, alpha = 1, scaling = 'alpha', dropout = 0, key }: LoraOptions & { readonly at: Selector }) => {
    requireGood('alpha', Number.isFinite(alpha), 'a finite number', alpha)
    requireGood('scaling', scalings.includes(scaling), scalings.join(', '), scaling)
    requireGood('dropout', dropout >= 0 && dropout < 1, 'a rate in [0, 1)', dropout)
    return wrapWeights(model, LoraKind, { at, key, dims: { rank }, statics: { alpha, scaling, dropout } })
  },
)
