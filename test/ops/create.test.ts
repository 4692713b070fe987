import * as tf from '@tensorflow/tfjs'
import { expect, test } from 'vitest'
import {
  adopt,
  fromTf,
  full,
  item,
  memory,
  ones,
  read,
  release,
  scalar,
  tensor,
  toArray,
  toTf,
  zeros,
} from '../../src/ops/index.ts'

test('nested arrays, flat data with a shape, and typed arrays become tensors', () => {
  expect(tensor([[[1, 2]], [[3, 4]]]).shape).toEqual([2, 1, 2])
  expect(toArray(tensor([1, 2, 3, 4, 5, 6], [3, 2]))).toEqual([
    [1, 2],
    [3, 4],
    [5, 6],
  ])
  expect([tensor(3).shape, item(tensor(3))]).toEqual([[], 3])
  expect(tensor(new Int32Array([1, -2])).dtype).toBe('int32')
  expect(read(tensor([1, 0, 1], [3], 'bool'))).toEqual(new Uint8Array([1, 0, 1]))
  expect(read(tensor([Number.NaN, -0, Number.NEGATIVE_INFINITY]))).toEqual(
    new Float32Array([Number.NaN, -0, Number.NEGATIVE_INFINITY]),
  )
  expect(toArray(tensor(new Float32Array(0), [2, 0]))).toEqual([[], []])
  expect(tensor([[], []]).shape).toEqual([2, 0])
  expect([toArray(zeros([2])), toArray(ones([1, 2])), item(full([], 7, 'int32')), item(scalar(-1))]).toEqual([
    [0, 0],
    [[1, 1]],
    7,
    -1,
  ])
})

test('data is copied in and out, except by adopt', () => {
  const data = new Float32Array([1, 2])
  const copied = tensor(data)
  const owned = adopt(data, [2])
  data[0] = 9
  expect([toArray(copied), toArray(owned)]).toEqual([
    [1, 2],
    [9, 2],
  ])
  read(copied)[0] = 5
  expect(toArray(copied)).toEqual([1, 2])
})

test('data that is no tensor is refused with the place where it goes wrong, and nothing leaks', () => {
  const before = memory()
  expect(() => tensor([[1, 2], [3]])).toThrow(
    /RaggedData at tensor, data\[1\]: expected an array of 2, found an array of 1/,
  )
  expect(() => tensor([[1, 2], 3])).toThrow(
    /RaggedData at tensor, data\[1\]: expected an array of 2, found the number 3/,
  )
  expect(() => tensor([1, [2]])).toThrow(/RaggedData at tensor, data\[1\]: expected a number/)
  expect(() => tensor([1, 'two'] as never)).toThrow(/RaggedData[\s\S]*string/)
  expect(() => tensor([null] as never)).toThrow(/InvalidElement[\s\S]*null/)
  expect(() => tensor(undefined as never)).toThrow(/InvalidElement[\s\S]*undefined/)
  expect(() => tensor([1, 2, 3], [2, 2])).toThrow(/WrongSize[\s\S]*expected 4 elements for shape \[2, 2\], found 3/)
  expect(() => adopt(new Float32Array(3), [2])).toThrow(/WrongSize at adopt/)
  expect(() => tensor([0.5], [1], 'int32')).toThrow(/InvalidElement/)
  expect(() => tensor([Number.NaN], [1], 'int32')).toThrow(/InvalidElement/)
  expect(() => tensor([2], [1], 'bool')).toThrow(/InvalidElement/)
  for (const shape of [[-1], [1.5], [Number.NaN], [2 ** 31], [1e6, 1e6]]) {
    expect(() => zeros(shape)).toThrow(/InvalidShape at full/)
  }
  expect(() => item(zeros([2]))).toThrow(/NotOneElement/)
  expect(memory().bytes - before.bytes).toBe(8)
})

test('what was freed cannot be read, and the error says so', () => {
  const x = scalar(1)
  release(x, { keep: [] })
  expect(() => read(x)).toThrow(/DisposedTensor at read/)
  expect(() => toTf(x)).toThrow(/DisposedTensor at toTf/)
})

test('a tf.Tensor and its handle are one; a variable gives its present value', () => {
  const raw = tf.tensor([[1, 2]])
  const handle = fromTf(raw)
  expect([toArray(handle), toTf<tf.Tensor>(handle) === raw]).toEqual([[[1, 2]], true])
  const variable = tf.variable(tf.scalar(1))
  const now = fromTf(variable)
  variable.assign(tf.scalar(2))
  expect(item(now)).toBe(1)
  expect(() => fromTf(tf.tensor(['a']))).toThrow(/UnknownDType/)
  expect(() => fromTf({} as never)).toThrow(/NotATensor at fromTf/)
})
