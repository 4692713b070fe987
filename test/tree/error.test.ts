import { expect, test } from 'vitest'
import { EspalierError, TransformFailure, attempt, formatIssues } from '../../src/index.ts'
import { fail } from '../../src/tree/error.ts'
import { nearest } from '../../src/tree/nearest.ts'

const issue = { _tag: 'NoMatch', path: 'a.b', expected: 'x', found: 'y', hint: 'Do z.' }

test('an issue reads as a sentence and a hint', () => {
  expect(formatIssues([issue, { ...issue, path: '', hint: '' }])).toMatchInlineSnapshot(`
    "NoMatch at a.b: expected x, found y.
      Do z.
    NoMatch at the root: expected x, found y."
  `)
})

test('what is thrown is an Error with its issues as data', () => {
  const thrown = new TransformFailure([issue])
  expect(thrown).toBeInstanceOf(EspalierError)
  expect(thrown).toBeInstanceOf(Error)
  expect(thrown.name).toBe('TransformFailure')
  expect(thrown.issues).toEqual([issue])
  expect(thrown.message).toBe(formatIssues([issue]))
  expect(() => fail(issue)).toThrow(EspalierError)
})

test('attempt turns our errors into values and lets bugs through', () => {
  expect(attempt(() => fail(issue))).toEqual({ _tag: 'Left', left: [issue] })
  expect(attempt(() => 5)).toEqual({ _tag: 'Right', right: 5 })
  expect(() =>
    attempt(() => {
      throw new RangeError('a bug')
    }),
  ).toThrow(RangeError)
})

test('the nearest names: one slip away first, and none that is not near', () => {
  expect(nearest('c_porj', ['c_proj', 'c_prog', 'projection_out', 'Wq'])).toEqual(['c_proj', 'c_prog'])
  expect(nearest('Wz', ['Wq', 'Wk', 'Wv', 'Wo'])).toHaveLength(3)
  expect(nearest('banana', ['ln_1', 'mha'])).toEqual([])
  expect(nearest('x', [])).toEqual([])
})
