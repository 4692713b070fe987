import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fc, test } from '@fast-check/vitest'
import * as E from 'fp-ts/lib/Either.js'
import { expect } from 'vitest'
import { loadAdapter, orThrow, readAdapter, readHeader, saveAdapter } from '../../src/io/index.ts'
import { adopt, memory, read } from '../../src/ops/index.ts'
import type { Constant, Param } from '../../src/tree/leaf.ts'
import { isParam, withStatus } from '../../src/tree/leaf.ts'
import { leafPlaces, leaves, mapLeaves, replaceAt, showPath } from '../../src/tree/walk.ts'
import { bytesOf, data, inFolder, often, makeLeaf, plainKey, pool, same, shapeOf, sharing, tree } from './trees.ts'
import type { LeafPlan, Shape } from './trees.ts'

const base = shapeOf(data, plainKey)

/** What to attach: at which leaf places, and of which leaves the wrapper's own parts are. */
const attach = fc.record({
  at: fc.array(fc.nat(20), { maxLength: 4 }),
  own: pool,
  twice: fc.boolean(),
  freeze: fc.boolean(),
})
type Attach = typeof attach extends fc.Arbitrary<infer A> ? A : never

const frozen = (plans: readonly LeafPlan[]): readonly LeafPlan[] =>
  plans.map((p) => (p.kind === 'trainable' ? { ...p, kind: 'frozen' as const } : p))

/** A base, and a tree with wrappers around some of its leaves and some leaves in training. */
const grown = (shape: Shape, plans: readonly LeafPlan[], { at, own, twice, freeze }: Attach) => {
  const ofBase = (freeze ? frozen(plans) : plans).map(makeLeaf)
  const added = own.map((o) => makeLeaf({ ...o, label: `${o.label}/${plans.map((p) => p.label).join('/')}` }))
  const bare = { root: tree(shape, ofBase), first: ofBase[0] }
  const places = leafPlaces(bare)
  const wrap = (node: unknown, i: number): unknown => ({
    _tag: 'Lora',
    base: node,
    a: added[i % added.length],
    b: { deep: added.at(-1) },
    alpha: i,
  })
  const edits = [...new Set(at.map((i) => i % places.length))].map((i) => ({
    route: places[i]!.route,
    value: twice ? wrap(wrap(places[i]!.node, i), i + 1) : wrap(places[i]!.node, i),
  }))
  return { bare, tuned: replaceAt(bare, edits), made: [ofBase, added] }
}

/** The same base with every status the other one, which is no other base. */
const turned = <T>(bare: T): T =>
  mapLeaves(bare, (l) => (isParam(l) ? withStatus(l, l.status === 'frozen' ? 'trainable' : 'frozen') : l)) as T

const carriedOf = (tuned: unknown, bare: unknown): readonly (Param | Constant)[] => {
  const ofBase = new Set(leaves(bare).map((l) => l.label))
  return leaves(tuned).filter((l) => !ofBase.has(l.label) || (isParam(l) && l.status === 'trainable'))
}

const bits = (l: Param | Constant): Uint8Array => {
  const { buffer, byteOffset, byteLength } = read(l.value)
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** The same leaf with one bit changed. */
const changed = (l: Param | Constant): Param | Constant => {
  const data = read(l.value)
  new Uint8Array(data.buffer)[0]! ^= 1
  return { ...l, value: adopt(data, l.value.shape) }
}

test.prop([base, pool, attach], often)(
  'what is put back on the base is what was saved, on the very tensors of the base',
  async (shape, plans, how) => {
    const before = memory().tensors
    await inFolder(async (folder, hold) => {
      const { bare, tuned, made } = grown(shape, plans, how)
      hold(made)
      const carried = carriedOf(tuned, bare)
      const saved = await saveAdapter(tuned, folder, { recipe: [{ freeze: {} }] })()
      if (carried.length === 0) {
        expect(E.isLeft(saved) && saved.left.map((i) => i._tag)).toEqual(['NothingToSave'])
        return
      }
      expect(E.isRight(saved)).toBe(true)
      const again = hold(await orThrow(loadAdapter(turned(bare), folder, () => tuned)))
      expect(same(again, tuned)).toBe(true)
      expect(sharing(again)).toEqual(sharing(tuned))
      const carries = new Set(carried.map((l) => l.label))
      const [mine, theirs] = [leafPlaces(again), leafPlaces(tuned)]
      expect(mine.every((p, i) => (p.node.value === theirs[i]!.node.value) !== carries.has(p.node.label))).toBe(true)
      const { recipe, carries: told } = await orThrow(readAdapter(folder))
      expect(recipe).toEqual([{ freeze: {} }])
      expect(new Set(told)).toEqual(carries)
    })
    expect(memory().tensors).toBe(before)
  },
)

test.prop([base, pool, attach, fc.nat(20)], often)(
  'a base with one bit changed is told by its path, unless the adapter carries that leaf',
  async (shape, plans, how, which) => {
    const before = memory().tensors
    await inFolder(async (folder, hold) => {
      const { bare, tuned, made } = grown(shape, plans, how)
      hold(made)
      const carried = new Set(carriedOf(tuned, bare).map((l) => l.label))
      if (carried.size === 0) return
      await orThrow(saveAdapter(tuned, folder))
      const places = leafPlaces(bare).filter((p) => p.node.value.size > 0)
      const victim = places[which % Math.max(1, places.length)]
      if (victim === undefined) return
      const other = hold(changed(victim.node))
      const ties = places.filter((p) => p.node === victim.node)
      const wrong = replaceAt(
        bare,
        ties.map((p) => ({ route: p.route, value: other })),
      )
      const result = await loadAdapter(wrong, folder)()
      if (carried.has(victim.node.label)) expect(same(hold(E.isRight(result) && result.right), tuned)).toBe(true)
      else
        expect(E.isLeft(result) && result.left.map((i) => [i._tag, i.path])).toEqual([
          ['WrongBase', showPath(ties[0]!.path)],
        ])
    })
    expect(memory().tensors).toBe(before)
  },
)

test.prop([base, pool, attach])(
  'an adapter holds its own tensors only, and saves to the same bytes',
  async (shape, plans, how) => {
    await inFolder(async (folder, hold) => {
      const { bare, tuned, made } = grown(shape, plans, how)
      hold(made)
      const carried = carriedOf(tuned, bare)
      if (carried.length === 0) return
      const [a, b] = [join(folder, 'a'), join(folder, 'b')] as const
      await orThrow(saveAdapter(tuned, a))
      await orThrow(saveAdapter(tuned, b))
      expect(bytesOf(a)).toEqual(bytesOf(b))
      const elements = carried.reduce((n, l) => n + bits(l).length, 0)
      const header = 8 + Number(readFileSync(join(a, 'adapter.safetensors')).readBigUInt64LE())
      const all = statSync(join(a, 'adapter.safetensors')).size + statSync(join(a, 'adapter.json')).size
      expect(all).toBeLessThanOrEqual(elements + header + 64 * carried.length + statSync(join(a, 'adapter.json')).size)
      expect(new Set((await orThrow(readHeader(join(a, 'adapter.safetensors')))).tensors.keys())).toEqual(
        new Set(carried.map((l) => l.label)),
      )
    })
  },
)

test.prop([base, pool, attach, fc.nat(20), fc.constantFrom('lost', 'added', 'reshaped')])(
  'a base that is built otherwise is told by every place',
  async (shape, plans, how, which, what) => {
    const before = memory().tensors
    await inFolder(async (folder, hold) => {
      const { bare, tuned, made } = grown(shape, plans, how)
      hold(made)
      if (carriedOf(tuned, bare).length === 0) return
      await orThrow(saveAdapter(tuned, folder))
      const places = leafPlaces(bare)
      const victim = places[which % places.length]!
      const at = places.filter((p) => p.node === victim.node)
      const { value } = victim.node
      const reshaped = hold({ ...victim.node, value: adopt(read(value), [...value.shape, 1]) })
      const wrong =
        what === 'added'
          ? { ...bare, extra: hold(makeLeaf({ ...plans[0]!, label: plans.map((p) => p.label).join('+') + '+' })) }
          : replaceAt(
              bare,
              at.map((p) => ({ route: p.route, value: what === 'lost' ? null : reshaped })),
            )
      const result = await loadAdapter(wrong, folder)()
      const told = E.isLeft(result) ? result.left.map((i) => `${i._tag} ${i.path}`) : []
      const tag = { lost: 'MissingTensor', added: 'ExtraTensor', reshaped: 'ShapeMismatch' }[what]
      const paths = what === 'added' ? ['extra'] : at.map((p) => showPath(p.path))
      expect(new Set(told)).toEqual(new Set(paths.map((p) => `${tag} ${p}`)))
    })
    expect(memory().tensors).toBe(before)
  },
)
