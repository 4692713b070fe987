import { expect, test } from 'vitest'
import {
  combine,
  count,
  detach,
  diff,
  equal,
  find,
  freeze,
  leafPlaces,
  leaves,
  lora,
  mapLeaves,
  merge,
  nest,
  param,
  partition,
  places,
  prompt,
  replaceAt,
  sameStructure,
  select,
  show,
  showPath,
  unsound,
} from '../../src/index.ts'
import { zeros } from '../../src/ops/index.ts'
import { brief, issuesOf, messageOf, tinySllm } from '../support.ts'

const leaf = (label: string) => param('matrix', label, zeros([2, 2]))
const everyWalk: readonly (readonly [string, (tree: never) => unknown])[] = [
  ['count', count],
  ['show', show],
  ['freeze', freeze],
  ['freeze.only', freeze.only({ at: '**' })],
  ['lora', lora({ at: '**', rank: 1 })],
  ['prompt', prompt({ length: 1 })],
  ['merge', merge],
  ['detach', detach],
  ['partition', partition],
  ['nest', (t) => nest('n', t)],
  ['select', (t) => select(t, '**.w')],
  ['diff', (t) => diff(t, {})],
  ['mapLeaves', (t) => mapLeaves(t, (l) => l)],
]

test('places come parents first, in path order, and base adds no segment', () => {
  const tree = { a: [leaf('x'), { base: { _tag: 'W', base: leaf('y'), own: leaf('z') } }], b: 1 }
  expect([...places(tree)].map((p) => [showPath(p.path), p.route.join('/')])).toEqual([
    ['', ''],
    ['a', 'a'],
    ['a.0', 'a/0'],
    ['a.1', 'a/1'],
    ['a.1', 'a/1/base'],
    ['a.1', 'a/1/base/base'],
    ['a.1.own', 'a/1/base/own'],
  ])
  expect(leafPlaces(tree).map((p) => p.node.label)).toEqual(['x', 'y', 'z'])
})

test('replaceAt rebuilds the way to an edit and shares the rest', () => {
  const tree = { a: [leaf('x'), leaf('y')], b: { c: leaf('z') }, note: 'kept' }
  const after = replaceAt(tree, [{ route: ['a', '1'], value: 7 }]) as typeof tree
  expect(after.a[1]).toBe(7)
  expect(after.a[0]).toBe(tree.a[0])
  expect(after.b).toBe(tree.b)
  expect(after.note).toBe('kept')
  expect(replaceAt(tree, [])).toBe(tree)
  expect(replaceAt(tree, [{ route: ['a', '1'], value: tree.a[1] }])).toBe(tree)
  expect(replaceAt(tree, [{ route: ['no', 'such'], value: 1 }])).toBe(tree)
  expect(replaceAt(tree, [{ route: [], value: 1 }])).toBe(1)
})

test('mapLeaves maps one leaf object once, wherever it stands', () => {
  const shared = leaf('s')
  let calls = 0
  const after = mapLeaves({ a: shared, b: [shared] }, (l) => {
    calls++
    return { ...l }
  }) as { a: unknown; b: unknown[] }
  expect(calls).toBe(1)
  expect(after.a).toBe(after.b[0])
})

test('one block in two places stays one block', () => {
  const block = { w: leaf('w') }
  const after = freeze({ blocks: [block, block] })
  expect(after.blocks[0]).toBe(after.blocks[1])
  expect(after.blocks[0]?.w.status).toBe('frozen')
})

test.each(everyWalk)('%s of a tree that contains itself says so', (_, walk) => {
  const cyclic: Record<string, unknown> = { w: leaf('w') }
  cyclic['self'] = { back: [cyclic] }
  expect(brief(issuesOf(() => walk(cyclic as never)))).toEqual(['TooDeep self.back.0.self.back.0…'])
})

test.each(everyWalk)('%s of a wrapper that wraps itself says so', (_, walk) => {
  const cyclic: Record<string, unknown> = { _tag: 'Lora', a: leaf('a') }
  cyclic['base'] = cyclic
  expect(brief(issuesOf(() => walk({ weight: cyclic } as never)))).toEqual([expect.stringMatching(/^TooDeep weight/)])
})

test.each(everyWalk)('%s of a tree that is deep beyond sense says so', (_, walk) => {
  let deep: unknown = { w: leaf('w') }
  for (let i = 0; i < 20_000; i++) deep = { d: deep }
  expect(brief(issuesOf(() => walk(deep as never)))).toEqual(['TooDeep d.d.d.d.d.d…'])
})

test('a tree of a few hundred levels is legal', () => {
  let deep: unknown = { _tag: 'Linear', weight: leaf('w') }
  for (let i = 0; i < 400; i++) deep = { d: deep }
  const tuned = lora({ at: ['**.weight'] as string[], rank: 1 })(freeze(deep))
  expect(count(tuned)).toEqual({ parameters: 8, trainable: 4, frozen: 4 })
  expect(count(combine(partition(tuned)))).toEqual(count(tuned))
})

test('what is no plain data is refused by name, not silently missed', () => {
  class Net {
    readonly w = leaf('w')
  }
  expect(messageOf(() => freeze({ model: new Net() }))).toMatchInlineSnapshot(`
    "NotPlain at model: expected plain records, arrays, leaves and plain data, found a Net.
      Parameters in there would be missed: write it as a record, or keep it outside of the tree."
  `)
  expect(brief(issuesOf(() => freeze(new Net())))).toEqual(['NotPlain '])
  expect(
    brief(issuesOf(() => partition({ m: new Map([['w', leaf('w')]]), d: [new Date(0)], f: new Float32Array(9) }))),
  ).toEqual(['NotPlain m', 'NotPlain d.0', 'NotPlain f'])
  expect(unsound(Object.assign(Object.create(null), { w: leaf('w') }))).toEqual([])
})

test('functions, symbols and plain data are carried along', () => {
  const relu = (): number => 1
  const after = freeze({
    w: leaf('w'),
    relu,
    eps: 1e-5,
    name: 'n',
    big: 1n,
    no: null,
    none: undefined,
    s: Symbol.iterator,
  })
  expect({ ...after, w: 0 }).toEqual({
    w: 0,
    relu,
    eps: 1e-5,
    name: 'n',
    big: 1n,
    no: null,
    none: undefined,
    s: Symbol.iterator,
  })
  expect(after.w.status).toBe('frozen')
})

test('the gaps of a sparse array keep their places', () => {
  const sparse: unknown[] = []
  sparse[1] = leaf('one')
  sparse[3] = leaf('three')
  const after = freeze({ sparse }).sparse as { status?: string }[]
  expect(after.map((l) => l?.status)).toEqual([undefined, 'frozen', undefined, 'frozen'])
  expect(select({ sparse }, 'sparse.3').parameters).toBe(4)
  expect(select({ sparse }, 'sparse.{-1..-1}').paths).toEqual(['sparse.3'])
})

test('hostile names are names: __proto__, constructor, toString, with dots or braces', () => {
  const tree = JSON.parse('{"__proto__": {}, "constructor": {}, "a.b": {}, "{x}": {}, "": {}}') as Record<
    string,
    object
  >
  for (const name of Object.keys(tree)) Object.assign(tree[name] as object, { w: leaf(`${name}.w`) })
  Object.defineProperty(tree, 'toString', { value: leaf('toString'), enumerable: true })
  const everywhere: string = '**'
  const tuned = lora({ at: everywhere, rank: 1 })(freeze(tree)) as Record<string, unknown>
  expect(Object.keys(tuned)).toEqual(Object.keys(tree))
  expect(Object.getPrototypeOf(tuned)).toBe(Object.prototype)
  expect(({} as { w?: unknown }).w).toBeUndefined()
  expect(count(tuned)).toEqual({ parameters: 48, trainable: 24, frozen: 24 })
  expect(select(tree, '__proto__').perPattern).toEqual(JSON.parse('{"__proto__": 1}'))
  expect(show(tree)).toContain('__proto__')
  expect(sameStructure(freeze(tree), freeze(tree))).toBe(true)
  expect(equal(detach(tuned), freeze(tree))).toBe(true)
})

test('a label may be the name of something every object has', () => {
  const tree = { a: leaf('constructor'), b: leaf('toString'), c: leaf('__proto__') }
  expect(count(lora({ at: '**', rank: 1 })(tree)).parameters).toBe(24)
  expect(combine(partition(tree))).toStrictEqual(tree)
})

test('roots that hold no tree', () => {
  for (const root of [null, undefined, 0, 'text', () => 1, Symbol.iterator, {}, []]) {
    expect(count(root)).toEqual({ parameters: 0, trainable: 0, frozen: 0 })
    expect(leaves(root)).toEqual([])
    expect(typeof show(root)).toBe('string')
    expect(freeze(root)).toBe(root)
    expect(detach(merge(root))).toBe(root)
    expect(partition(root).trainable).toBe(root)
    expect(String(diff(root, root))).toContain('0 places changed')
    expect(issuesOf(() => lora({ at: '**', rank: 1 })(root as never))[0]?._tag).toBe('NotATarget')
  }
})

test('a leaf may be a whole tree', () => {
  const w = leaf('w')
  expect(freeze(w).status).toBe('frozen')
  expect(count(lora({ at: '**', rank: 1 })(w as never))).toEqual({ parameters: 8, trainable: 8, frozen: 0 })
  expect(find(w, '**')[0]?.node).toBe(w)
})

test('what only looks like a leaf is named', () => {
  const fake = { _tag: 'Param', label: 'w', status: 'trainable', form: 'matrix' }
  const lookOnly = ['count', 'show', 'select', 'diff', 'mapLeaves']
  for (const [, walk] of everyWalk.filter(([name]) => !lookOnly.includes(name)))
    expect(brief(issuesOf(() => walk({ layer: { w: fake } } as never)))).toEqual(['BadLeaf layer.w'])
})

test('an SLLM has one place for each node and leaf', () => {
  const all = [...places(tinySllm())]
  expect(new Set(all.map((p) => showPath(p.path))).size).toBe(all.length)
})
