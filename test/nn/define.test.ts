import { describe, expect, test } from 'vitest'
import {
  absent,
  count,
  define,
  detach,
  fixed,
  freeze,
  key,
  kindsIn,
  layer,
  leaves,
  linear,
  list,
  lora,
  matrix,
  norm,
  pipe,
  project,
  select,
  shapeIssues,
  vector,
  kinds,
} from '../../src/index.ts'
import { add, mul, normal, ones, relu, zeros } from '../../src/ops/index.ts'
import { brief, data, issuesOf, loud, messageOf } from '../support.ts'

const Net = define('Net', { fc1: linear('in', 'hidden'), fc2: linear('hidden', 'out') }, (n, x, ctx) =>
  layer(n.fc2, relu(layer(n.fc1, x, ctx)), ctx),
)
const dims = { in: 4, hidden: 8, out: 2 }

test('ten lines give a model with typed paths, transforms and a run', () => {
  const net = pipe(Net.init(dims, key(0)), freeze, lora({ at: '**.fc1', rank: 2 }))
  expect(count(net)).toEqual({ parameters: 82, trainable: 24, frozen: 58 })
  expect(Net.apply(net, zeros([3, 4])).shape).toEqual([3, 2])
  expect(leaves(net).map((l) => l.label)).toEqual([
    'fc1.weight',
    'fc1.weight.a',
    'fc1.weight.b',
    'fc1.bias',
    'fc2.weight',
    'fc2.bias',
  ])
})

test('it computes what was written', () => {
  const net = loud(Net.init(dims, key(0)), (l) => l.endsWith('bias'))
  const x = ones([1, 4])
  const w = (l: typeof net.fc1): readonly (readonly number[])[] => {
    const flat = data(l.weight.value)
    const [rows = 0, columns = 0] = l.weight.value.shape
    return Array.from({ length: rows }, (_, i) => flat.slice(i * columns, (i + 1) * columns))
  }
  const through = (v: readonly number[], l: typeof net.fc1): readonly number[] =>
    data(l.bias.value).map((b, j) => v.reduce((s, vi, i) => s + vi * w(l)[i]![j]!, b))
  const expected = through(
    through([1, 1, 1, 1], net.fc1).map((v) => Math.max(0, v)),
    net.fc2,
  )
  data(Net.apply(net, x)).forEach((v, i) => expect(v).toBeCloseTo(expected[i]!, 5))
})

describe('dimensions', () => {
  test('a missing one, and one that is no length, are named', () => {
    expect(messageOf(() => Net.init({ in: 4, out: 2 } as never, key(0)))).toMatchInlineSnapshot(`
      "BadDimension at hidden: expected a positive whole number, found undefined.
        Give every named dimension a length; here there is {"in":4,"out":2}."
    `)
    for (const hidden of [0, -3, 1.5, Number.NaN, '8'])
      expect(brief(issuesOf(() => Net.init({ ...dims, hidden } as never, key(0))))).toEqual(['BadDimension hidden'])
  })

  test('numbers and products need no name', () => {
    const Wide = define('Wide', { up: linear('d', '4*d'), down: linear('4*d', '3') }, (n, x, ctx) =>
      layer(n.down, layer(n.up, x, ctx), ctx),
    )
    const wide = Wide.init({ d: 2 }, key(0))
    expect(wide.up.weight.value.shape).toEqual([2, 8])
    expect(Wide.apply(wide, ones([5, 2])).shape).toEqual([5, 3])
  })

  test('an input of a wrong width is refused by the op, with both shapes', () => {
    expect(messageOf(() => Net.apply(Net.init(dims, key(0)), ones([1, 5])))).toMatch(/ShapeMismatch[^]*4/)
  })
})

describe('definitions inside definitions', () => {
  const Block = define(
    'NetBlock',
    { norm: norm('d'), net: Net.field({ in: 'd', hidden: '2*d', out: 'd' }), gain: fixed(0.5) },
    (n, x, ctx) => add(x, mul(layer(n.net, layer(n.norm, x, ctx), ctx), n.gain)),
  )
  const Tower = define(
    'Tower',
    { blocks: list(Block.field({ d: 'd' }), 'depth'), head: linear('d', 'classes', { bias: false }), none: absent },
    (n, x, ctx) =>
      layer(
        n.head,
        n.blocks.reduce((h, b) => layer(b, h, ctx), x),
        ctx,
      ),
  )
  const tower = Tower.init({ d: 4, depth: 3, classes: 2 }, key(0))

  test('have the names of their parents’ dimensions, and lists of them', () => {
    expect(tower.blocks).toHaveLength(3)
    expect(tower.blocks[2]!.net.fc1.weight.value.shape).toEqual([4, 8])
    expect(tower.blocks[2]!.net.fc1.weight.label).toBe('blocks.2.net.fc1.weight')
    expect(tower.blocks[1]!.gain).toBe(0.5)
    expect(tower.none).toBeNull()
    expect(Object.keys(Tower.kinds).toSorted()).toEqual(['LayerNorm', 'Linear', 'Net', 'NetBlock', 'Tower'])
    expect(Object.keys(kindsIn({ b: list(Block.field({ d: 'd' }), 'n') }))).toContain('Net')
    expect(shapeIssues(tower, Tower, { ...kinds, ...Tower.kinds })).toEqual([])
  })

  test('run without being named in a context, adapted too', () => {
    const tuned = loud(pipe(tower, freeze, lora({ at: 'blocks.*.net.{fc1,fc2}', rank: 2 })), (l) => l.endsWith('.b'))
    expect(select(tuned, { kind: 'Lora' }).paths).toHaveLength(6)
    const x = normal(key(7), [2, 5, 4])
    expect(Tower.apply(tuned, x).shape).toEqual([2, 5, 2])
    expect(data(Tower.apply(tuned, x))).not.toEqual(data(Tower.apply(tower, x)))
    expect(data(Tower.apply(detach(tuned), x))).toEqual(data(Tower.apply(tower, x)))
  })

  test('a list of length none is refused', () => {
    expect(brief(issuesOf(() => Tower.init({ d: 4, depth: 0, classes: 2 }, key(0))))).toEqual(['BadDimension depth'])
  })
})

test('own parameters: a matrix is projected, a vector is itself, both are targets or not by form', () => {
  const Own = define('Own', { w: matrix('d', 'd'), shift: vector('d') }, (n, x, ctx) =>
    add(project(x, n.w, ctx), n.shift.value),
  )
  const own = pipe(Own.init({ d: 3 }, key(0)), lora({ at: '**', rank: 1 }))
  expect(own.w._tag).toBe('Lora')
  expect(own.shift._tag).toBe('Param')
  expect(Own.apply(own, ones([2, 3])).shape).toEqual([2, 3])
})

test('a whole model that is wrapped runs as the model, if its wrapper is known', () => {
  const net = Net.init(dims, key(0))
  expect(issuesOf(() => Net.apply({ _tag: 'Doubled', base: net }, ones([1, 4])))[0]?._tag).toBe('UnknownKind')
  const Doubled = define('Doubled', {}, (n, x, ctx) =>
    mul(layer((n as unknown as { base: typeof net }).base, x, ctx), 2),
  )
  const once = data(Net.apply(net, ones([1, 4])))
  expect(data(Net.apply({ _tag: 'Doubled', base: net }, ones([1, 4]), { kinds: { Doubled } }))).toEqual(
    once.map((v) => 2 * v),
  )
})

test('names that paths, wrappers or other kinds need are refused', () => {
  const call = (_: unknown, x: never) => x
  const bad = (tag: string, names: readonly string[]) =>
    issuesOf(() => define(tag, Object.fromEntries(names.map((n) => [n, vector('d')])), call as never)).map(
      (i) => i.found,
    )
  expect(bad('A', ['base', '_tag', '~x', 'a.b', '*', '{a}', 'a,b', '', 'fine'])).toEqual(
    ['base', '_tag', '~x', 'a.b', '*', '{a}', 'a,b', ''].map((n) => `"${n}"`),
  )
  for (const tag of ['Linear', 'Param', 'Lora', '']) expect(bad(tag, ['w'])).toEqual([`"${tag}"`])
  expect(messageOf(() => define('Net', { inner: Net.field({ in: 'd', hidden: 'd', out: 'd' }) }, call as never)))
    .toMatchInlineSnapshot(`
    "BadName at define: expected a tag of its own, found "Net".
      Each tag has one kind: choose another name."
  `)
  for (const tag of ['constructor', 'toString']) expect(define(tag, { w: vector('d') }, call as never).tag).toBe(tag)
})
