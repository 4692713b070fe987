import { byRow, combineAdapters, mixed, padRank, wear, wearEach } from '../../../src/index.ts'
import { combiningLaws } from './combining.ts'
import { mixingLaws } from './mixing.ts'
import { ownKinds } from './puts.ts'
import type { Hands } from './subjects.ts'
import { wearingLaws } from './wearing.ts'

export { ownKinds }
export type { Hands } from './subjects.ts'

const own: Hands = {
  wear,
  wearEach,
  combine: combineAdapters.knowing(ownKinds),
  padRank,
  mixed,
  byRow: byRow.knowing(ownKinds),
}

/** The laws, about the library's own functions or about broken ones. */
export const manyLaws = (replaced: Partial<Hands> = {}) => {
  const hands: Hands = { ...own, ...replaced }
  return { ...wearingLaws(hands), ...mixingLaws(hands), ...combiningLaws(hands) }
}
