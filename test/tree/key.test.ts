import { expect, test } from 'vitest'
import { fold, key, split, threefry, words } from '../../src/tree/key.ts'

const hex = (pair: readonly number[]): string[] => pair.map((word) => word.toString(16).padStart(8, '0'))

test('Threefry-2x32 with 20 rounds gives the known answers of Random123', () => {
  expect(hex(threefry(0, 0, 0, 0))).toEqual(['6b200159', '99ba4efe'])
  expect(hex(threefry(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff))).toEqual(['1cb996fc', 'bb002be7'])
  expect(hex(threefry(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3))).toEqual(['c4923a9c', '483df7a0'])
})

test('a seed that is not exact is refused, with what was found', () => {
  for (const seed of [Number.NaN, 0.5, 2 ** 60, Number.POSITIVE_INFINITY]) {
    expect(() => key(seed)).toThrow(/InvalidSeed at key/)
    expect(() => fold(key(0), seed)).toThrow(/InvalidSeed at fold/)
  }
  expect(() => split(key(0), -1)).toThrow(/InvalidCount at split/)
  expect(() => words(key(0), 1.5)).toThrow(/InvalidCount at words/)
})

test('the uses of one key share no word: words, split, and fold by number, digit or name', () => {
  const k = key(1)
  const keys = [...split(k, 50), ...Array.from({ length: 50 }, (_, i) => fold(k, i))]
  const named = [...Array.from({ length: 50 }, (_, i) => fold(k, `${i}`)), fold(k, ''), fold(k, 'a'), fold(k, 'a\0')]
  const all = [...words(k, 200), ...[...keys, ...named].flatMap(({ hi, lo }) => [hi, lo])]
  expect(new Set(all).size).toBe(all.length)
})
