import { adapterOf, byRow, combineAdapters, freeze, key, lora, padRank, wear, wearEach } from '../../../src/index.ts'
import type { Adapter, Param } from '../../../src/index.ts'

import { adapter, lawsFor } from '../../../src/laws/index.ts'
import { scope } from '../../../src/ops/index.ts'
import type { KindOptions } from './index.ts'
import { Net } from '../row.ts'
import type { Row } from '../row.ts'

const frozen = (model: unknown): unknown => freeze(model)

const ofRank = (base: unknown, rank: number): Adapter =>
  adapterOf(lora.unchecked({ at: '**', rank, scaling: 'alpha/sqrt(rank)', key: key(rank) })(base))

type Weights = Readonly<Record<string, { readonly weight: Param }>>

/** What LoRA of a rank adds to the three matrices of `Net`. */
const adds =
  (rank: number) =>
  (model: unknown): number =>
    ['fc1', 'square', 'fc2']
      .map((name) => (model as Weights)[name]!.weight.value.shape)
      .reduce((n, [rows, columns]) => n + rank * (rows! + columns!), 0)

/** Without names it is its base; what names add is in `many.prop.ts`. */
export const manyKinds: Readonly<Record<string, KindOptions>> = { ByRow: {} }

export const manyRows: readonly Row[] = [
  {
    name: 'wear',
    covers: ['wear', 'adapterOf'],
    transform: (base) => wear(ofRank(base, 2))(base),
    on: Net,
    given: frozen,
    declare: { adds: adds(2) },
  },
  {
    name: 'wear of two adapters combined by cat',
    covers: ['combineAdapters'],
    // The adapters that were combined are the caller's, here nobody's.
    transform: (base) =>
      scope(() =>
        wear(
          combineAdapters(
            [
              [ofRank(base, 2), 0.75],
              [ofRank(base, 3), -0.5],
            ],
            { how: 'cat' },
          ),
        )(base),
      ),
    on: Net,
    given: frozen,
    declare: { adds: adds(5) },
  },
  {
    name: 'wear of a padded adapter',
    covers: ['padRank'],
    transform: (base) => scope(() => wear(padRank(ofRank(base, 2), 3))(base)),
    on: Net,
    given: frozen,
    declare: { adds: adds(3) },
  },
  {
    name: 'one of several named adapters',
    covers: ['wearEach'],
    transform: (base) => scope(() => wearEach(base, { fr: ofRank(base, 2), de: ofRank(base, 3) }).fr),
    on: Net,
    given: frozen,
    declare: { adds: adds(2) },
  },
  {
    name: 'byRow',
    covers: ['byRow'],
    transform: (base) => byRow({ fr: ofRank(base, 2), de: ofRank(base, 3) })(base),
    on: Net,
    given: frozen,
    // Which row has which adapter is said where the model runs, so that the laws of outputs are in `many.prop.ts`.
    declare: { merge: 'none', adds: adds(5) },
    laws: lawsFor({ ...adapter, merge: 'none', adds: adds(5) }).filter((law) => !law.needsOutputs),
  },
]
