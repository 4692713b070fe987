import { isConstant, isLeaf, isParam } from './leaf.ts'
import type { Constant, Form } from './leaf.ts'
import { BASE, isBranch } from './walk.ts'

/**
 * A weight whose values are held in few bits: constants that stand for frozen parameters, and how they are laid out.
 *
 * It stands where a parameter stood and wraps nothing, for the values it was made of are gone.
 */
export interface Packed<F extends Form = Form> {
  readonly _tag: string
  readonly '~role'?: 'weight'
  readonly form: F
  readonly rows: number
  readonly columns: number
  readonly codes: Constant
}

/**
 * Whether a node wraps another: a tagged record that keeps it under `base`.
 *
 * @example
 * ```ts
 * import { get, isWrapper, key, lora, sllm } from 'espalier'
 * const tuned = lora({ at: 'out_head', rank: 2 })(sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0)))
 * isWrapper(get(tuned, 'out_head.weight')) // => true
 * ```
 */
export const isWrapper = (node: unknown): node is { readonly _tag: string; readonly base: unknown } =>
  isBranch(node) && Object.hasOwn(node, '_tag') && Object.hasOwn(node, BASE)

/**
 * What is left of a node when everything that wraps it is taken off.
 *
 * @example
 * ```ts
 * import { get, innermost, key, lora, sllm } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
 * innermost(get(lora({ at: 'out_head', rank: 2 })(base), 'out_head.weight')) === base.out_head.weight // => true
 * ```
 */
export const innermost = (node: unknown): unknown => (isWrapper(node) ? innermost(node.base) : node)

/**
 * Whether a node is a weight held in few bits.
 *
 * @example
 * ```ts
 * import { constant, isPacked } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const codes = constant('w.codes', zeros([1], 'int32'), 8)
 * isPacked({ _tag: 'Mine', form: 'matrix', rows: 4, columns: 2, codes }) // => true
 * ```
 */
export const isPacked = (node: unknown): node is Packed => {
  if (!isBranch(node) || !Object.hasOwn(node, '_tag')) return false
  const { codes, form } = node as Partial<Packed>
  return isConstant(codes) && codes.standsFor !== undefined && typeof form === 'string'
}

/**
 * What a weight is to its layer, however it is represented; undefined for what is no weight.
 *
 * @example
 * ```ts
 * import { formOf, get, key, lora, sllm } from 'espalier'
 * const tuned = lora({ at: 'out_head', rank: 2 })(sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0)))
 * formOf(get(tuned, 'out_head.weight')) // => 'matrix'
 * formOf(get(tuned, 'out_head')) // => undefined
 * ```
 */
export const formOf = (node: unknown): Form | undefined => {
  const bare = innermost(node)
  return isParam(bare) || isPacked(bare) ? bare.form : undefined
}

/**
 * The label of a weight, however it is represented: the parameter's own, or that of the one a packed weight was made of.
 *
 * @example
 * ```ts
 * import { get, key, labelOf, lora, sllm } from 'espalier'
 * const tuned = lora({ at: 'out_head', rank: 2 })(sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0)))
 * labelOf(get(tuned, 'out_head.weight')) // => 'out_head.weight'
 * ```
 */
export const labelOf = (node: unknown): string => {
  const bare = innermost(node)
  if (isPacked(bare)) return bare.codes.label.replace(/\.codes$/, '')
  return isLeaf(bare) ? bare.label : ''
}

/**
 * Whether a node is a weight that wraps another representation of it.
 *
 * @example
 * ```ts
 * import { get, isWrappedWeight, key, lora, sllm } from 'espalier'
 * const tuned = lora({ at: 'out_head', rank: 2 })(sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0)))
 * isWrappedWeight(get(tuned, 'out_head.weight')) // => true
 * isWrappedWeight(get(tuned, 'final_norm.scale')) // => false
 * ```
 */
export const isWrappedWeight = (node: unknown): boolean => isWrapper(node) && formOf(node) !== undefined
