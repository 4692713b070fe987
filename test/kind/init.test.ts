import { expect, test } from 'vitest'
import {
  absent,
  allOnes,
  allZeros,
  axisLength,
  fanIn,
  fixed,
  gaussian,
  initialise,
  initialiseField,
  key,
  leaves,
  list,
  matrix,
  table,
  vector,
} from '../../src/index.ts'
import type { AnyKind } from '../../src/index.ts'
import { read } from '../../src/ops/index.ts'
import { brief, data, issuesOf, messageOf } from '../support.ts'

const kind = (fields: AnyKind['fields']): AnyKind => ({
  tag: 'Test',
  role: 'layer',
  fields,
  ops: { layer: (_, x) => x },
})

test('an axis is a name, a number, or a product of them', () => {
  expect(axisLength('d', { d: 4 })).toBe(4)
  expect(axisLength('3', {})).toBe(3)
  expect(axisLength('heads*d_head', { heads: 2, d_head: 5 })).toBe(10)
  expect(axisLength('2*d*3', { d: 4 })).toBe(24)
})

test('a dimension that is missing or no length is named', () => {
  expect(messageOf(() => axisLength('hidden', { in: 4 }))).toMatchInlineSnapshot(`
    "BadDimension at hidden: expected a positive whole number, found undefined.
      Give every named dimension a length; here there is {"in":4}."
  `)
  for (const d of [0, -1, 0.5, Number.NaN, Infinity, '4', null])
    expect(brief(issuesOf(() => axisLength('d', { d } as never)))).toEqual(['BadDimension d'])
  for (const name of ['constructor', 'toString', '__proto__'])
    expect(brief(issuesOf(() => axisLength(name, {})))).toEqual([`BadDimension ${name}`])
})

test('every kind of field', () => {
  const node = initialise(
    kind({
      w: matrix('in', 'out'),
      t: table('rows', 'in'),
      v: vector('out', allOnes),
      many: list(vector('out'), 'depth'),
      eps: fixed(1e-5),
      none: absent,
    }),
    { in: 2, out: 3, rows: 4, depth: 2 },
    key(0),
  ) as Record<string, unknown>
  expect(Object.keys(node)).toEqual(['_tag', 'w', 't', 'v', 'many', 'eps', 'none'])
  expect(leaves(node).map((l) => [l.label, 'form' in l && l.form, l.value.shape])).toEqual([
    ['w', 'matrix', [2, 3]],
    ['t', 'table', [4, 2]],
    ['v', 'vector', [3]],
    ['many.0', 'vector', [3]],
    ['many.1', 'vector', [3]],
  ])
  expect([node['eps'], node['none']]).toEqual([1e-5, null])
})

test('plain data of a node can be given, under its parent’s label', () => {
  const node = initialise(
    kind({ heads: fixed(1), w: vector('d') }),
    { d: 1 },
    key(0),
    { heads: 4 },
    'block.mha',
  ) as never as {
    heads: number
    w: { label: string }
  }
  expect([node.heads, node.w.label]).toEqual([4, 'block.mha.w'])
})

test('what a parameter is drawn from is its key and its label alone', () => {
  const draw = (label: string, seed: number) =>
    read((initialiseField(matrix('i', 'o'), { i: 3, o: 3 }, key(seed), label) as { value: never }).value)
  expect(draw('a', 0)).toEqual(draw('a', 0))
  expect(draw('a', 0)).not.toEqual(draw('b', 0))
  expect(draw('a', 0)).not.toEqual(draw('a', 1))
})

test('the spreads of the initialisers', () => {
  const shape = [64, 64]
  const sd = (xs: readonly number[]): number => Math.sqrt(xs.reduce((s, x) => s + x * x, 0) / xs.length)
  expect(sd(data(fanIn(key(0), shape)))).toBeCloseTo(1 / Math.sqrt(64) / Math.sqrt(3), 2)
  expect(Math.max(...data(fanIn(key(0), shape)).map(Math.abs))).toBeLessThanOrEqual(1 / 8)
  expect(sd(data(gaussian(0.02)(key(0), shape)))).toBeCloseTo(0.02, 3)
  expect(new Set(data(allZeros(key(0), shape)))).toEqual(new Set([0]))
  expect(new Set(data(allOnes(key(0), shape)))).toEqual(new Set([1]))
})
