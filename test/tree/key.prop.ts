import { fc, test } from '@fast-check/vitest'
import { expect } from 'vitest'
import type { Key } from '../../src/tree/key.ts'
import { fold, key, split, threefry, threefryInto, words } from '../../src/tree/key.ts'

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const seed = fc.oneof(fc.maxSafeInteger(), fc.string())
const same = (a: Key, b: Key): boolean => a.hi === b.hi && a.lo === b.lo

test.prop([fc.tuple(word, word, word, word)])('the block form writes what the plain form gives', ([k0, k1, x0, x1]) => {
  const out = new Uint32Array([1, 2, 3, 4])
  threefryInto(out, 1, k0, k1, x0, x1)
  expect([...out]).toEqual([1, ...threefry(k0, k1, x0, x1), 4])
})

test.prop([fc.tuple(word, word, word, word), fc.integer({ min: 0, max: 31 })])(
  'one bit of the counter changes both words',
  ([k0, k1, x0, x1], bit) => {
    const before = threefry(k0, k1, x0, x1)
    const after = threefry(k0, k1, (x0 ^ (1 << bit)) >>> 0, x1)
    expect(before[0] !== after[0] && before[1] !== after[1]).toBe(true)
  },
)

test.prop([seed, seed])('seeds give equal keys exactly when they are equal', (a, b) => {
  expect(same(key(a), key(b))).toBe(Object.is(a, b) || (a === 0 && b === 0))
})

test.prop([seed, seed, seed])('fold is a function of its data, and tells any two apart', (s, a, b) => {
  expect(same(fold(key(s), a), fold(key(s), b))).toBe(a === b)
})

test.prop([seed, fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 40 })])(
  'asking for more words or keys does not change the first ones',
  (s, few, more) => {
    const k = key(s)
    const n = Math.min(few, more)
    expect([...words(k, few)].slice(0, n)).toEqual([...words(k, more)].slice(0, n))
    expect(split(k, few).slice(0, n)).toEqual(split(k, more).slice(0, n))
  },
)
