import { expect, test } from 'vitest'
import { equal, freeze, key, lora, nest, param, sameStructure, sllm } from '../../src/index.ts'
import { tensor } from '../../src/ops/index.ts'
import { tiny, tinySllm } from '../support.ts'

const leaf = (...values: readonly number[]) => param('vector', 'v', tensor([...values]))

test('trees are equal by structure, labels, status, plain data and values', () => {
  expect(equal(tinySllm(), tinySllm())).toBe(true)
  expect(sameStructure(tinySllm(), tinySllm())).toBe(false)
  for (const other of [
    tinySllm(1),
    freeze(tinySllm()),
    nest('m', tinySllm()),
    sllm.init({ ...tiny, bias: true }, key(0)),
  ])
    expect(equal(tinySllm(), other)).toBe(false)
  const base = tinySllm()
  expect(equal(lora({ at: '**', rank: 1 })(base), lora({ at: '**', rank: 1, alpha: 2 })(base))).toBe(false)
  expect(sameStructure(base, { ...base })).toBe(true)
})

test('−0 is 0 and NaN is NaN; shape and dtype count', () => {
  expect(equal(leaf(0, 1), leaf(-0, 1))).toBe(true)
  expect(equal(leaf(Number.NaN), leaf(Number.NaN))).toBe(true)
  expect(equal(leaf(1), leaf(2))).toBe(false)
  expect(equal(leaf(1, 2), param('vector', 'v', tensor([[1, 2]])))).toBe(false)
  expect(equal(leaf(1), param('vector', 'v', tensor([1], undefined, 'int32')))).toBe(false)
})

test('data of other shapes', () => {
  for (const [a, b] of [
    [{}, []],
    [{ a: 1 }, { b: 1 }],
    [{ a: undefined }, {}],
    [null, {}],
    [1, '1'],
    [[1], [1, 2]],
    [{}, { toString: 1 }],
  ])
    expect(equal(a, b)).toBe(false)
  for (const same of [null, undefined, 5, 'x', [], {}, [1, { a: [2] }]])
    expect(equal(same, structuredClone(same))).toBe(true)
})
