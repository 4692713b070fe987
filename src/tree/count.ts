import { isParam } from './leaf.ts'
import { leaves } from './walk.ts'

/** How many numbers a model's parameters hold; a tied parameter counts once, a constant as what it stands for, if anything. */
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
    if (isParam(leaf) && leaf.status === 'trainable') trainable += leaf.value.size
    else frozen += isParam(leaf) ? leaf.value.size : (leaf.standsFor ?? 0)
  return { parameters: trainable + frozen, trainable, frozen }
}

/**
 * The bytes that the tensors of a tree take up as they are held; one that several leaves share counts once.
 *
 * @example
 * ```ts
 * import { bytesAtRest, param } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * bytesAtRest({ w: param('matrix', 'w', zeros([8, 4])) }) // => 128
 * ```
 */
export const bytesAtRest = (tree: unknown): number =>
  [...new Set(leaves(tree).map((leaf) => leaf.value))].reduce(
    (bytes, { size, dtype }) => bytes + size * (dtype === 'bool' ? 1 : 4),
    0,
  )
