import { isTensor } from '../tree/tensor.ts'

/**
 * Makes every record and list of a tree unchangeable, so that writing to one throws.
 *
 * Elements of tensors cannot be guarded like this; the laws compare digests of them.
 *
 * @example
 * ```ts
 * import { deepFreeze } from 'espalier/laws'
 * const tree = deepFreeze({ list: [1, 2] })
 * tree.list.push(3) // => Error: not extensible
 * ```
 */
export const deepFreeze = <T>(tree: T): T => {
  if (typeof tree !== 'object' || tree === null || isTensor(tree) || ArrayBuffer.isView(tree) || Object.isFrozen(tree))
    return tree
  Object.freeze(tree)
  Object.values(tree).forEach(deepFreeze)
  return tree
}
