import { expect, test } from 'vitest'
import type { Op } from '../../src/ops/index.ts'
import {
  apply,
  full,
  item,
  memory,
  mul,
  release,
  scalar,
  scope,
  sum,
  tensor,
  toArray,
  zeros,
} from '../../src/ops/index.ts'
import { identity } from '../../src/ops/basic.ts'
import { asTf } from '../../src/ops/tf.ts'

const twice: Op = { name: 'twice', infer: ([x]) => x!, reference: ([x]) => x!.data.map((v) => 2 * v) }

test('an op of a user runs by its reference kernel', () => {
  expect(toArray(apply(twice, [tensor([1, 2])], {}))).toEqual([2, 4])
})

test('inputs that are freed or no tensors are refused by op and place', () => {
  const gone = scalar(1)
  release(gone, { keep: [] })
  expect(() => mul(scalar(1), gone)).toThrow(/DisposedTensor at mul, input 1/)
  expect(() => apply(twice, [null as never], {})).toThrow(/NotATensor at twice, input 0: expected a tensor, found null/)
  expect(() => apply(twice, [[1] as never], {})).toThrow(/NotATensor at twice, input 0/)
})

test('a kernel that contradicts its shape rule is named', () => {
  const wrong: Op = { ...twice, name: 'wrong', infer: () => ({ shape: [3], dtype: 'float32' }) }
  expect(() => apply(wrong, [tensor([1, 2])], {})).toThrow(/KernelMismatch at wrong[\s\S]*shape \[3\][\s\S]*2 elements/)
})

test('a result is never one of the inputs: freeing it leaves them alive', () => {
  const x = tensor([1, 2])
  const y = identity(x)
  expect(y).not.toBe(x)
  // No element was copied for it.
  expect(asTf(y).dataId).toBe(asTf(x).dataId)
  release(y, { keep: [] })
  expect(toArray(x)).toEqual([1, 2])
})

test('empty tensors go through ops, and a sum over nothing is zero', () => {
  expect(toArray(mul(zeros([2, 0]), zeros([2, 0])))).toEqual([[], []])
  expect(item(sum(zeros([0, 3])))).toBe(0)
})

test('memory that cannot be had is a typed error', () => {
  const before = memory()
  const tooMuch: Op = {
    name: 'tooMuch',
    infer: () => ({ shape: [1], dtype: 'float32' }),
    reference: () => new Float32Array(2 ** 40),
  }
  expect(() => scope(() => apply(tooMuch, [], {}))).toThrow(/OutOfMemory at tooMuch/)
  const broadcast = (): unknown => scope(() => mul(zeros([1_000_000, 1]), zeros([1, 1_000_000])))
  expect(broadcast).toThrow(/OutOfMemory at mul[\s\S]*shape \[1000000, 1000000\]/)
  expect(memory()).toEqual(before)
  expect(full([2], 1).size).toBe(2)
})
