import * as t from 'io-ts'

/** A size: a number of layers, rows, epochs. */
export const PositiveWhole: t.Type<number> = t.refinement(
  t.number,
  (n) => Number.isSafeInteger(n) && n > 0,
  'a positive whole number',
)

/** A count or an id. */
export const Whole: t.Type<number> = t.refinement(
  t.number,
  (n) => Number.isSafeInteger(n) && n >= 0,
  'a whole number from 0 on',
)

/** A share of what is dropped. */
export const Rate: t.Type<number> = t.refinement(t.number, (n) => n >= 0 && n < 1, 'a number in [0, 1)')

/** Any number but NaN and the infinities. */
export const Finite: t.Type<number> = t.refinement(t.number, Number.isFinite, 'a finite number')

/** What is added to a variance. */
export const Epsilon: t.Type<number> = t.refinement(Finite, (n) => n >= 0, 'a finite number from 0 on')
