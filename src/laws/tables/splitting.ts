import { diff } from '../../tree/diff.ts'
import { sameStructure } from '../../tree/equal.ts'
import { EspalierError } from '../../tree/error.ts'
import { isParam } from '../../tree/leaf.ts'
import { leafPlaces, leaves, showPath } from '../../tree/walk.ts'
import { all, verdict } from '../law.ts'
import type { Law } from '../law.ts'
import { law } from './tree-run.ts'
import type { TreeRun } from './tree-run.ts'

/** A way to split a model in two and to put it together again. */
export interface Splitting {
  /** Splits a model into what training may change and the rest. */
  readonly partition: (model: unknown) => { readonly trainable: unknown; readonly frozen: unknown }
  /** Puts the two halves together again. */
  readonly combine: (parts: { readonly trainable: unknown; readonly frozen: unknown }) => unknown
}

/**
 * The laws of a way to split a model: parts are disjoint, nothing is lost or copied, and overlapping halves are refused.
 *
 * @example
 * ```ts
 * import fc from 'fast-check'
 * import { key, mapLeaves, partition } from 'espalier'
 * import { runLaw, splittingLaws, trees } from 'espalier/laws'
 * // Takes the trainable half and forgets the other.
 * const laws = splittingLaws({ partition, combine: ({ trainable }) => mapLeaves(trainable, leaf => leaf) })
 * const runs = trees({ nonEmpty: true }).map(tree => ({ tree, key: key(0) }))
 * laws.map(law => runLaw(law, runs, () => '').passed) // => [false, false]
 * ```
 */
export const splittingLaws = ({ partition, combine }: Splitting): readonly Law<TreeRun>[] => [
  law(
    'combinePartition',
    'combine(partition(m)) is m: every leaf the same object, in exactly one half.',
    'reference',
    ({ tree }) => {
      const parts = partition(tree)
      const [a, b] = [leaves(parts.trainable), leaves(parts.frozen)]
      return all(
        () => {
          const both = a.find((leaf) => b.includes(leaf))
          return verdict(both === undefined, `${both?.label} stands in both halves`)
        },
        () => verdict(a.length + b.length === leaves(tree).length, 'a leaf is in neither half'),
        () =>
          verdict(
            a.every((l) => isParam(l) && l.status === 'trainable'),
            'the trainable half holds something else',
          ),
        () => {
          const back = combine(parts)
          const moved = leafPlaces(back).find((p, i) => leafPlaces(tree)[i]?.node !== p.node)
          return all(
            () => verdict(sameStructure(back, tree), String(diff(tree, back))),
            () => verdict(moved === undefined, `${showPath(moved?.path ?? [])} is a copy`),
          )
        },
      )
    },
  ),
  law('combineRefusesOverlap', 'combine refuses halves that both have a leaf.', 'exact', ({ tree }) => {
    const { frozen } = partition(tree)
    try {
      combine({ trainable: tree, frozen })
    } catch (error) {
      return verdict(error instanceof EspalierError, `threw ${String(error)}`)
    }
    return verdict(leaves(frozen).length === 0, 'one of two leaves was taken in silence')
  }),
]
