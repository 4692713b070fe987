import { sameTensor } from '../ops/index.ts'
import { equalBy } from '../tree/equal.ts'

/**
 * Whether two trees are equal: structure, labels, status, plain data, and every value (−0 equal to 0).
 *
 * @example
 * ```ts
 * import { equal, sllm, key } from 'espalier'
 * const small = { ...sllm.config.seed, vocab_size: 9 }
 * equal(sllm.init(small, key(0)), sllm.init(small, key(0))) // => true
 * equal(sllm.init(small, key(0)), sllm.init(small, key(1))) // => false
 * ```
 */
export const equal: (a: unknown, b: unknown) => boolean = equalBy(sameTensor)
