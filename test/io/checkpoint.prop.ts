import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createHash } from 'node:crypto'
import { fc, test } from '@fast-check/vitest'
import * as E from 'fp-ts/lib/Either.js'
import { expect } from 'vitest'
import { loadModel, loadRun, orThrow, readHeader, saveModel, saveRun } from '../../src/io/index.ts'
import { writeJson } from '../../src/io/json.ts'
import type { Json } from '../../src/io/json.ts'
import { memory, read } from '../../src/ops/index.ts'
import { leaves } from '../../src/tree/walk.ts'
import { bytesOf, data, inFolder, often, makeLeaf, make, plan, pool, same, shapeOf, sharing, tree } from './trees.ts'

const model = shapeOf(data)
const oddData = fc.constantFrom(Number.NaN, Infinity, -Infinity, undefined).map((x) => ({ data: x }))
const run = shapeOf(
  fc.oneof(
    data,
    oddData,
    fc.nat(3).map((tensor) => ({ tensor })),
  ),
)

test.prop([model, pool])('a model comes back bit for bit, its ties ties', async (shape, plans) => {
  const before = memory().tensors
  await inFolder(async (folder, hold) => {
    const given = tree(shape, hold(plans.map(makeLeaf)))
    await orThrow(saveModel(given, folder))
    const again = hold(await orThrow(loadModel(folder, given)))
    expect(same(again, given)).toBe(true)
    expect(sharing(again)).toEqual(sharing(given))
  })
  expect(memory().tensors).toBe(before)
})

test.prop([run, pool, pool, fc.array(plan, { minLength: 1, maxLength: 4 })])(
  'a run comes back bit for bit, with two states of one model in it',
  async (shape, plans, others, bare) => {
    await inFolder(async (folder, hold) => {
      // The labels of the one pool stand on other leaves in the other.
      const first = hold(plans.map(makeLeaf))
      const second = hold(others.map((o, i) => makeLeaf({ ...o, label: plans[i]?.label ?? o.label + plans[0]!.label })))
      const tensors = hold(bare.map(make))
      const given = {
        model: tree(shape, first, tensors),
        best: tree(shape, [...second, first[0]], [...tensors, first[0]!.value]),
      }
      await orThrow(saveRun(given, folder))
      const again = hold(await orThrow(loadRun(folder, given)))
      expect(same(again, given)).toBe(true)
      expect(sharing(again)).toEqual(sharing(given))
    })
  },
)

test.prop([model, pool])('the same model gives the same bytes, and so does what was loaded', async (shape, plans) => {
  await inFolder(async (folder, hold) => {
    const given = tree(shape, hold(plans.map(makeLeaf)))
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(folder, name)) as [string, string, string]
    await orThrow(saveModel(given, a))
    await orThrow(saveModel(given, b))
    await orThrow(saveModel(hold(await orThrow(loadModel(a))), c))
    expect(bytesOf(b)).toEqual(bytesOf(a))
    expect(bytesOf(c)).toEqual(bytesOf(a))
  })
})

test.prop([model, pool])(
  'a file is its tensors, a header of 64 bytes and the name and shape of each, and the JSON',
  async (shape, plans) => {
    await inFolder(async (folder, hold) => {
      const given = tree(shape, hold(plans.map(makeLeaf)))
      await orThrow(saveModel(given, folder))
      const files = bytesOf(folder)
      const file = files['model.safetensors']!
      const stored = leaves(given)
      const elements = stored.reduce((n, l) => n + l.value.size * (l.value.dtype === 'bool' ? 1 : 4), 0)
      const described = stored.reduce(
        (n, l) => n + 64 + Buffer.byteLength(JSON.stringify(l.label)) + JSON.stringify(l.value.shape).length,
        0,
      )
      expect(Object.keys(files)).toEqual(['model.json', 'model.safetensors'])
      expect(file.length - elements).toBeLessThanOrEqual(8 + 10 + described)
      expect((await orThrow(readHeader(join(folder, 'model.safetensors')))).tensors.size).toBe(stored.length)
    })
  },
)

const share = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
const part = (at: number, length: number): number => Math.floor(at * length)

/** The next digit for a digit, the next letter for a letter: damage that leaves JSON as it is. */
const nextOfKind = (code: number): number => {
  const sort = ['0123456789', 'abcdefghijklmnopqrstuvwxyz'].find((s) => s.includes(String.fromCharCode(code))) ?? ''
  return sort.charCodeAt((sort.indexOf(String.fromCharCode(code)) + 1) % sort.length)
}

/** Some damage to a file: cut off, bytes changed anywhere, a word or number of the JSON changed, an element changed. */
const damage = fc.record({
  how: fc.constantFrom('cut json', 'cut tensors', 'json', 'tensors', 'word', 'element'),
  at: fc.array(share, { minLength: 1, maxLength: 3 }),
  xor: fc.integer({ min: 1, max: 255 }),
})
type Damage = typeof damage extends fc.Arbitrary<infer A> ? A : never

const spoil = (folder: string, { how, at, xor }: Damage): void => {
  const path = join(folder, how === 'word' || how.endsWith('json') ? 'model.json' : 'model.safetensors')
  const bytes = readFileSync(path)
  const elements = how === 'element' ? 8 + Number(bytes.readBigUInt64LE()) : 0
  const words = how === 'word' ? [...bytes.keys()].filter((i) => /[0-9a-z]/.test(String.fromCharCode(bytes[i]!))) : []
  for (const share of how.startsWith('cut') || elements === bytes.length ? [] : at) {
    const i = how === 'word' ? words[part(share, words.length)]! : elements + part(share, bytes.length - elements)
    bytes[i] = how === 'word' ? nextOfKind(bytes[i]!) : bytes[i]! ^ xor
  }
  writeFileSync(path, how.startsWith('cut') ? bytes.subarray(0, part(at[0]!, bytes.length)) : bytes)
}

test.prop([model, pool, damage], often)(
  'a damaged file is an error or makes no difference',
  async (shape, plans, harm) => {
    const before = memory().tensors
    await inFolder(async (folder, hold) => {
      const given = tree(shape, hold(plans.map(makeLeaf)))
      await orThrow(saveModel(given, folder))
      spoil(folder, harm)
      const result = await loadModel(folder)()
      if (E.isRight(result)) expect(same(hold(result.right), given)).toBe(true)
      else expect(result.left.filter((i) => i._tag === 'Unexpected' || i._tag === 'TooLarge')).toEqual([])
    })
    expect(memory().tensors).toBe(before)
  },
)

/** Puts a value at a random place of JSON. */
const planted = (json: Json, at: readonly number[], value: Json): Json => {
  const [first, ...rest] = at
  if (first === undefined || typeof json !== 'object' || json === null || Object.keys(json).length === 0) return value
  const keys = Object.keys(json)
  const key = keys[first % keys.length]!
  const next = Object.entries(json).map(([k, v]) => [k, k === key ? planted(v, rest, value) : v] as const)
  return Array.isArray(json) ? next.map(([, v]) => v) : Object.fromEntries(next)
}

const foreign = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(
    { _tag: 'Param' },
    { _tag: 'Constant', label: 'a', shape: [1e9], dtype: 'float32' },
    { _tag: '~tensor', stored: '__proto__', shape: [], dtype: 'int32' },
    { _tag: 'Hole', label: 'a', value: 1 },
    { _tag: '~value', value: 'toString' },
  ),
) as fc.Arbitrary<Json>

test.prop([model, pool, fc.array(fc.nat(9), { maxLength: 5 }), foreign], often)(
  'a file that another program wrote on purpose is an error or a tree, never a crash',
  async (shape, plans, at, value) => {
    const before = memory().tensors
    await inFolder(async (folder, hold) => {
      await orThrow(saveModel(tree(shape, hold(plans.map(makeLeaf))), folder))
      const path = join(folder, 'model.json')
      const { checksum: _, ...content } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Json>
      const changed = { ...content, tree: planted(content['tree']!, at, value) }
      const checksum = createHash('sha256').update(writeJson(changed)).digest('hex')
      writeFileSync(path, writeJson({ ...changed, checksum }))
      const result = await loadModel(folder)()
      if (E.isRight(result))
        for (const leaf of leaves(hold(result.right))) expect(read(leaf.value).length).toBe(leaf.value.size)
      else expect(result.left.filter((i) => i._tag === 'Unexpected')).toEqual([])
    })
    expect(memory().tensors).toBe(before)
  },
)
