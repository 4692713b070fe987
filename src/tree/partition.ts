import { EspalierError } from './error.ts'
import { requireSound } from './labels.ts'
import { isHole, isParam } from './leaf.ts'
import type { Constant, Hole, Param } from './leaf.ts'
import type { Half } from './types/half.ts'
import { BASE, isBranch, isLeafOrHole, leaves, mapLeaves, rebuild, showPath } from './walk.ts'

/** The two halves of a model: each the whole tree with holes where the other half's leaves are. */
export interface Parts<M> {
  readonly trainable: Half<M, 'trainable'>
  readonly frozen: Half<M, 'frozen'>
  /** Only for the compiler: which model `combine` gives back. */
  readonly '~model'?: M
}

const hole = (leaf: Param | Constant | Hole): Hole => ({ _tag: 'Hole', label: leaf.label })
const isTrainable = (leaf: unknown): boolean => isParam(leaf) && leaf.status === 'trainable'

/**
 * Splits a model into what training may change and everything else; `combine` is its inverse.
 *
 * Every leaf stands in exactly one half, as the same object.
 *
 * @throws TransformFailure `LabelClash`, `Disposed`.
 * @example
 * ```ts
 * import { combine, freeze, partition, sllm, key } from 'espalier'
 * const model = freeze(sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0)))
 * combine(partition(model)).final_norm.scale === model.final_norm.scale // => true
 * ```
 */
export const partition = <M>(model: M): Parts<M> => {
  requireSound(model)
  return {
    trainable: mapLeaves(model, (l) => (isTrainable(l) ? l : hole(l))) as Half<M, 'trainable'>,
    frozen: mapLeaves(model, (l) => (isTrainable(l) ? hole(l) : l)) as Half<M, 'frozen'>,
  }
}

/**
 * Puts the two halves of a partition together again.
 *
 * @throws EspalierError `Mismatch` where both halves or neither hold a leaf, or their structures differ.
 * @example
 * ```ts
 * import { combine, param, partition, withStatus } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const model = { w: withStatus(param('vector', 'w', zeros([2])), 'frozen'), b: param('vector', 'b', zeros([1])) }
 * combine(partition(model)).w === model.w // => true
 * const other = { ...model, b: param('vector', 'c', zeros([1])) }
 * combine({ trainable: partition(model).trainable, frozen: partition(other).frozen }) // => Error: Mismatch
 * ```
 */
export const combine = <M>({ trainable, frozen }: Parts<M>): M => {
  const go = (a: unknown, b: unknown, path: readonly string[]): unknown => {
    if (isLeafOrHole(a) && isLeafOrHole(b)) {
      if (isHole(a) === isHole(b)) throw mismatch(path, isHole(a) ? 'neither half' : 'both halves')
      if (a.label !== b.label) throw mismatch(path, `halves of two models, "${a.label}" here and "${b.label}" there`)
      return isHole(a) ? b : a
    }
    if (kindOf(a) !== kindOf(b)) throw mismatch(path, 'halves of different structure')
    if (!isBranch(a) || !isBranch(b)) return a
    if (Object.keys(a).join() !== Object.keys(b).join()) throw mismatch(path, 'halves of different structure')
    return rebuild(a, (child, key) =>
      go(child, (b as Readonly<Record<string, unknown>>)[key], key === BASE ? path : [...path, key]),
    )
  }
  return go(trainable, frozen, []) as M
}

const kindOf = (x: unknown): string =>
  isLeafOrHole(x) ? 'leaf' : !isBranch(x) ? 'data' : Array.isArray(x) ? 'list' : 'record'

const mismatch = (path: readonly string[], found: string): EspalierError =>
  new EspalierError([
    {
      _tag: 'Mismatch',
      path: showPath(path),
      expected: 'a leaf in exactly one half',
      found,
      hint: 'Combine the two halves of one partition; put new values into a half without changing its structure.',
    },
  ])

/**
 * The trainable parameters of a model by label, a tied one once.
 *
 * @example
 * ```ts
 * import { param, trainableOf, withStatus } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const shared = param('table', 'tokens', zeros([5, 3]))
 * const model = { embed: shared, head: shared, bias: withStatus(param('vector', 'bias', zeros([5])), 'frozen') }
 * Object.keys(trainableOf(model)) // => ['tokens']
 * ```
 */
export const trainableOf = (model: unknown): Readonly<Record<string, Param<'trainable'>>> =>
  Object.fromEntries(
    leaves(model)
      .filter((l): l is Param<'trainable'> => isTrainable(l))
      .map((l) => [l.label, l]),
  )

/**
 * The model with new values for some of its leaves, by label; tied places change together.
 *
 * @example
 * ```ts
 * import { param, withValues } from 'espalier'
 * import { ones, toArray, zeros } from 'espalier/ops'
 * const model = { w: param('vector', 'w', zeros([2])), b: param('vector', 'b', zeros([1])) }
 * const after = withValues(model, { w: ones([2]) })
 * toArray(after.w.value) // => [1, 1]
 * after.b === model.b // => true
 * ```
 */
export const withValues = <M>(model: M, values: Readonly<Record<string, Param['value']>>): M =>
  mapLeaves(model, (leaf) => {
    const value = Object.hasOwn(values, leaf.label) ? values[leaf.label] : undefined
    return value === undefined || isHole(leaf) || leaf.value === value ? leaf : { ...leaf, value }
  }) as M
