import { expect, test } from 'vitest'
import { EspalierError, key, lora, merge, unsound } from '../../src/index.ts'
import { Plain } from './row.ts'

const base = Plain.init({ in: 2, hidden: 3, out: 2 }, key(0))

/** What is wrong after a merge; a refusal is as good as a sound tree. */
const wrongAfterMerging = (model: unknown): readonly string[] => {
  try {
    return unsound(merge(model)).map((issue) => issue._tag)
  } catch (error) {
    return error instanceof EspalierError ? [] : [String(error)]
  }
}

// A teacher and a student that share a frozen base: merging the student's adapter must not leave two weights of one name.
test('merge keeps labels unique when the base of an adapter stands in a second place too', () => {
  const pair = { teacher: base, student: lora({ at: 'fc1', rank: 1 })(base) }
  expect(unsound(pair)).toEqual([])
  expect(wrongAfterMerging(pair)).toEqual([])
})
