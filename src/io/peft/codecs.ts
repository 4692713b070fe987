import * as t from 'io-ts'
import { Finite } from '../../kind/number-codecs.ts'
import { dictionary } from '../codec.ts'

/** One name or pattern, or several names. */
export const Names: t.Type<string | readonly string[]> = t.union(
  [t.string, t.readonlyArray(t.string)],
  'a name or a list of names',
)

/** A number for each pattern. */
export const Numbers: t.Type<Readonly<Record<string, number>>> = dictionary(
  Finite as t.Type<number, unknown>,
  'an object of numbers',
) as t.Type<Readonly<Record<string, number>>>

/** A count that may be zero, which says that it is not what counts. */
export const Whole: t.Type<number> = t.refinement(
  t.number,
  (n) => Number.isSafeInteger(n) && n >= 0,
  'a whole number from 0',
)

/** What a generator of PyTorch is seeded with. */
export const Seed: t.Type<number> = t.refinement(t.number, Number.isSafeInteger, 'a whole number')
