import { combine, isHole, isParam, leafPlaces, mapLeaves, partition, places, replaceAt } from '../../src/index.ts'
import type { Splitting } from '../../src/laws/index.ts'

type Parts = Parameters<Splitting['combine']>[0]

/** The library's own. */
export const rightSplitting: Splitting = { partition, combine: combine as Splitting['combine'] }

/** Frozen leaves stand in the frozen half, and trainable ones in both. */
const overlapping: Splitting = {
  ...rightSplitting,
  partition: (model) => ({ ...rightSplitting.partition(model), frozen: model }),
}

/** Whichever half has a leaf first. */
const firstWins: Splitting = {
  ...rightSplitting,
  combine: ({ trainable, frozen }: Parts) => {
    const holes = [...places(trainable)].filter((p) => isHole(p.node)).map((p) => p.route.join('/'))
    const edits = leafPlaces(frozen).filter((p) => holes.includes(p.route.join('/')))
    return replaceAt(
      trainable,
      edits.map((p) => ({ route: p.route, value: p.node })),
    )
  },
}

/** Constants are parameters that nobody trains, so they are dropped with neither half. */
const losesConstants: Splitting = {
  ...rightSplitting,
  partition: (model) => {
    const { trainable, frozen } = rightSplitting.partition(model)
    return {
      trainable,
      frozen: mapLeaves(frozen, (leaf) => (isParam(leaf) || isHole(leaf) ? leaf : { _tag: 'Hole', label: leaf.label })),
    }
  },
}

/** Ways to split a model that are wrong, and the law that says so. */
export const splittingFaults: readonly {
  readonly name: string
  readonly source: string
  readonly law: string
  readonly broken: Splitting
}[] = [
  {
    name: 'partition puts trainable leaves into both halves',
    source: 'PEFT, modules_to_save: the trained copy and the original are both in the model, and both are saved',
    law: 'combinePartition',
    broken: overlapping,
  },
  {
    name: 'partition loses constants',
    source: 'filters on the dtype: integer tables are neither trained nor frozen, and get lost',
    law: 'combinePartition',
    broken: losesConstants,
  },
  {
    name: 'combine takes the first that is there',
    source: 'equinox, combine: the first leaf that is not None wins, in silence',
    law: 'combineRefusesOverlap',
    broken: firstWins,
  },
]
