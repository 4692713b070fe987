import { expect, test } from 'vitest'
import { accepts, parseGlob, startState, step } from '../../src/tree/glob.ts'
import type { Issue } from '../../src/tree/error.ts'

/** Whether a pattern matches a path; `name/n` is a name in a list of n. */
const matches = (pattern: string, path: string): boolean => {
  const glob = parseGlob(pattern)
  if ('_tag' in glob) throw new Error(glob.hint)
  const names = path === '' ? [] : path.split('.')
  const end = names.reduce((state, name) => {
    const [n = '', siblings] = name.split('/')
    return step(glob, state, n, siblings === undefined ? undefined : Number(siblings))
  }, startState(glob))
  return accepts(glob, end)
}

test.each([
  ['a', 'a', true],
  ['a', 'b', false],
  ['a', '', false],
  ['a', 'a.b', false],
  ['a.b', 'a.b', true],
  ['*', 'a', true],
  ['*', '', false],
  ['*', 'a.b', false],
  ['a.*.c', 'a.x.c', true],
  ['a.*.c', 'a.c', false],
  ['**', '', true],
  ['**', 'a.b.c', true],
  ['**.c', 'c', true],
  ['**.c', 'a.b.c', true],
  ['**.c', 'a.c.b', false],
  ['a.**', 'a', true],
  ['a.**.c', 'a.c', true],
  ['a.**.c', 'a.b.b.c', true],
  ['a.**.c.**.e', 'a.c.c.d.e', true],
  ['a.**.c.**.e', 'a.c.d', false],
  ['**.**.c', 'c', true],
  ['{a,b}', 'b', true],
  ['{a, b}', 'b', true],
  ['{a,b}', 'a,b', false],
  ['{a,b}.x', 'a.x', true],
  ['**.{Wq,Wv}', 'mha.Wv', true],
  ['**.{Wq,Wv}', 'mha.Wk', false],
  ['layer.1', 'layer.1/3', true],
  ['layer.{0,2}', 'layer.2/3', true],
  ['layer.{0,2}', 'layer.1/3', false],
])('%s on %j: %s', (pattern, path, expected) => {
  expect(matches(pattern, path)).toBe(expected)
})

test.each([
  ['{8..11}', 12, [8, 9, 10, 11]],
  ['{0..0}', 3, [0]],
  ['{1..99}', 3, [1, 2]],
  ['{-4..-1}', 12, [8, 9, 10, 11]],
  ['{-1..-1}', 1, [0]],
  ['{-9..-1}', 2, [0, 1]],
  ['{1..-2}', 5, [1, 2, 3]],
  ['{5..9}', 3, []],
])('%s of %i elements: %j', (pattern, n, expected) => {
  const hit = Array.from({ length: n }, (_, i) => i).filter((i) => matches(pattern, `${i}/${n}`))
  expect(hit).toEqual(expected)
})

test('a range looks at lists only', () => {
  expect(matches('{0..3}', '1')).toBe(false)
  expect(matches('1', '1')).toBe(true)
})

test.each([
  ['', 'is not a segment'],
  ['.', 'is not a segment'],
  ['a.', 'is not a segment'],
  ['.a', 'is not a segment'],
  ['a..b', 'is not a segment'],
  ['a*', 'is not a segment'],
  ['***', 'is not a segment'],
  ['**a', 'is not a segment'],
  ['{a', 'is not a segment'],
  ['a}', 'is not a segment'],
  ['x{a,b}', 'is not a segment'],
  ['{}', 'must list names'],
  ['{a,}', 'must list names'],
  ['{a,{b}}', 'must list names'],
  ['{a.b,c}', 'must list names'],
  ['{1..}', 'must list names'],
  ['{1..2..3}', 'must list names'],
  ['{*}', 'must list names'],
  ['{4..0}', 'runs backwards'],
  ['{-1..-4}', 'runs backwards'],
])('%j is refused: it %s', (pattern, why) => {
  const issue = parseGlob(pattern) as Issue
  expect(issue).toMatchObject({ _tag: 'BadSelector', found: `"${pattern}"` })
  expect(issue.hint).toContain(why)
})

test('a hostile pattern is read in no time', () => {
  const started = performance.now()
  for (const text of ['{'.repeat(20_000), '{}'.repeat(20_000), '.'.repeat(20_000), `${'**.'.repeat(300)}x`])
    parseGlob(text)
  expect(matches(`${'**.'.repeat(50)}x`, `${'a.'.repeat(200)}y`)).toBe(false)
  expect(performance.now() - started).toBeLessThan(5_000)
})
