import { AdaLoraKind } from '../weight/index.ts'
import type { Targeted } from '../tree/types/step.ts'
import { weightMethod } from './attach.ts'
import { dataOf, loraDefaults, loraOptions } from './lora.ts'
import type { LoraOptions } from './lora.ts'

/**
 * Adds a change in the form of a singular value decomposition to weight matrices: W + s·A·diag(E)·B, with E zero and A and
 * B from N(0, 0.02²).
 *
 * `rank` is the rank to begin with; train with `adaloraSchedule` to share a smaller budget out among the weights, and add
 * `orthogonality` to the loss. A fresh adapter changes nothing.
 *
 * @throws TransformFailure what `lora` throws.
 * @example
 * ```ts
 * import { adalora, count, freeze, pipe, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const tuned = pipe(base, freeze, adalora({ at: '**.ln_1', rank: 12 }))
 * count(tuned).trainable // => 6_168
 * ```
 * @source Zhang et al. 2023, "AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning", §3.1.
 */
export const adalora: Targeted<LoraOptions, 'adalora'> = weightMethod<
  LoraOptions,
  'adalora',
  keyof typeof loraDefaults
>('adalora', {
  kind: AdaLoraKind,
  options: loraOptions,
  defaults: loraDefaults,
  dims: ({ rank }) => ({ rank }),
  given: dataOf,
})
