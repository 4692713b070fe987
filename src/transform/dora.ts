import * as t from 'io-ts'
import { DoraKind, columnNorms } from '../weight/index.ts'
import type { Targeted } from '../tree/types/step.ts'
import { weightMethod } from './attach.ts'
import { drawnFactors, initIssues } from './lora-init.ts'
import type { LoraInit } from './lora-init.ts'
import { factorOf } from '../weight/lora.ts'
import { dataOf, loraDefaults, loraOptions } from './lora.ts'
import type { LoraOptions } from './lora.ts'
import { may, oneOf } from './options.ts'

/** How DoRA is put on. */
export interface DoraOptions extends LoraOptions {
  /** What A and B begin as: `'kaiming'` unless told otherwise. */
  readonly init?: Exclude<LoraInit, 'random' | 'orthogonal'>
  /** Whether gradients treat the norm of each column as a constant, which costs less memory; false by default. */
  readonly detachNorm?: boolean
}

/**
 * Adds a low-rank change to the direction of each output column of weight matrices, and trains its length beside it.
 *
 * A fresh adapter changes nothing: the lengths begin as those of W, bit for bit on the engine that made it.
 *
 * @throws TransformFailure what `lora` throws.
 * @example
 * ```ts
 * import { count, dora, freeze, pipe, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const tuned = pipe(base, freeze, dora({ at: '**.ln_1', rank: 4 }))
 * count(tuned).trainable // => 2_304
 * ```
 * @source Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation", §4.1; `detachNorm`: §4.3.
 */
export const dora: Targeted<DoraOptions, 'dora'> = weightMethod<
  DoraOptions,
  'dora',
  keyof typeof loraDefaults | 'init' | 'detachNorm'
>('dora', {
  kind: DoraKind,
  options: { ...loraOptions, init: may(oneOf('kaiming', 'gaussian')), detachNorm: may(t.boolean) },
  defaults: { ...loraDefaults, init: 'kaiming', detachNorm: false },
  dims: ({ rank }) => ({ rank }),
  refuse: (options, place) => initIssues(options.init, options.rank, factorOf(options, options.rank), place),
  given: (options, place) => ({
    ...dataOf(options),
    ...drawnFactors(options.init, options.rank, place),
    detachNorm: options.detachNorm,
    magnitude: columnNorms(place.dense()),
  }),
})
