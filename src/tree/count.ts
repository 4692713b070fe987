import { isParam } from './leaf.ts'
import { leaves } from './walk.ts'

/** How many numbers a model's parameters hold; a tied parameter counts once, a constant not at all. */
export interface Count {
  readonly parameters: number
  readonly trainable: number
  readonly frozen: number
}

/**
 * Counts the parameters of a tree.
 *
 * @example
 * ```ts
 * import { count, freeze, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(freeze(base)).trainable // => 0
 * ```
 */
export const count = (tree: unknown): Count => {
  let [trainable, frozen] = [0, 0]
  for (const leaf of leaves(tree))
    if (isParam(leaf)) {
      if (leaf.status === 'trainable') trainable += leaf.value.size
      else frozen += leaf.value.size
    }
  return { parameters: trainable + frozen, trainable, frozen }
}
