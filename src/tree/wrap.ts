import { isLeaf } from './leaf.ts'
import { BASE, isBranch } from './walk.ts'

/** Whether a node wraps another: a tagged record that keeps it under `base`. */
export const isWrapper = (node: unknown): node is { readonly _tag: string; readonly base: unknown } =>
  isBranch(node) && Object.hasOwn(node, '_tag') && Object.hasOwn(node, BASE)

/** What is left of a node when everything that wraps it is taken off. */
export const innermost = (node: unknown): unknown => (isWrapper(node) ? innermost(node.base) : node)

/** Whether a node is a weight in another representation. */
export const isWrappedWeight = (node: unknown): boolean => isWrapper(node) && isLeaf(innermost(node))
