import { fail } from '../tree/error.ts'
import type { DType, Tensor } from '../tree/tensor.ts'
import { constantOp, fillOp } from './basic.ts'
import { apply } from './dispatch.ts'
import { refuseDisposed, refuseSymbolic } from './check.ts'
import { allocate } from './shape-rules.ts'
import { dataOf } from './tf.ts'

/** Numbers in arrays of equal lengths, to any depth. */
export type Nested = number | readonly Nested[]

// Arrays beyond this cannot be made on every engine.
const mostElements = 2 ** 31 - 1

/**
 * Makes a tensor of numbers, nested arrays or a typed array, whose elements are copied.
 *
 * The shape is that of the nesting; with `shape` given, the data is taken in row-major order. The dtype is that of a
 * typed array, else float32; NaN and infinities are legal there. Errors: `RaggedData`, `WrongSize`, `InvalidShape`,
 * `InvalidElement`.
 *
 * @example
 * ```ts
 * import { tensor, toArray } from 'espalier/ops'
 *
 * const x = tensor([[1, 2, 3], [4, 5, 6]])
 * x.shape // => [2, 3]
 * toArray(tensor([1, 2, 3, 4], [2, 2], 'int32')) // => [[1, 2], [3, 4]]
 * ```
 */
export const tensor = (
  data: Nested | Float32Array | Int32Array | Uint8Array,
  shape?: readonly number[],
  dtype: DType = data instanceof Int32Array ? 'int32' : 'float32',
): Tensor => {
  const typed = ArrayBuffer.isView(data)
  const given = typed ? [data.length] : nestingOf(data)
  const size = checkShape('tensor', shape ?? given)
  const count = given.reduce((product, length) => product * length, 1)
  if (count !== size) return wrongSize('tensor', shape ?? given, size, count)
  const values = typed ? data : flatten(data, given)
  if (dtype !== 'float32') checkElements(values, dtype)
  const elements = allocate(dtype, count)
  elements.set(values)
  return apply(constantOp, [], { shape: [...(shape ?? given)], dtype, data: elements })
}

/**
 * Makes a tensor of a typed array without copying it: the array must not be written to, or transferred, afterwards.
 *
 * Float32Array gives float32, Int32Array int32, Uint8Array bool. Errors: `WrongSize`, `InvalidShape`.
 *
 * @example
 * ```ts
 * import { adopt } from 'espalier/ops'
 *
 * adopt(new Float32Array(6), [2, 3]).size // => 6
 * ```
 */
export const adopt = (data: Float32Array | Int32Array | Uint8Array, shape: readonly number[]): Tensor => {
  const size = checkShape('adopt', shape)
  if (data.length !== size) return wrongSize('adopt', shape, size, data.length)
  const dtype = data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'bool'
  return apply(constantOp, [], { shape: [...shape], dtype, data })
}

/**
 * Makes a tensor of shape [].
 *
 * @example
 * ```ts
 * import { item, scalar } from 'espalier/ops'
 *
 * item(scalar(0.5)) // => 0.5
 * ```
 */
export const scalar = (value: number, dtype: DType = 'float32'): Tensor => full([], value, dtype)

/**
 * Makes a tensor of zeros. Errors: `InvalidShape`.
 *
 * @example
 * ```ts
 * import { toArray, zeros } from 'espalier/ops'
 *
 * toArray(zeros([2, 2])) // => [[0, 0], [0, 0]]
 * ```
 */
export const zeros = (shape: readonly number[], dtype: DType = 'float32'): Tensor => full(shape, 0, dtype)

/**
 * Makes a tensor of ones. Errors: `InvalidShape`.
 *
 * @example
 * ```ts
 * import { ones, toArray } from 'espalier/ops'
 *
 * toArray(ones([3], 'int32')) // => [1, 1, 1]
 * ```
 */
export const ones = (shape: readonly number[], dtype: DType = 'float32'): Tensor => full(shape, 1, dtype)

/**
 * Makes a tensor that holds one value everywhere. Errors: `InvalidShape`, `InvalidElement`.
 *
 * @example
 * ```ts
 * import { full, toArray } from 'espalier/ops'
 *
 * toArray(full([2], 7)) // => [7, 7]
 * ```
 */
export const full = (shape: readonly number[], value: number, dtype: DType = 'float32'): Tensor => {
  checkShape('full', shape)
  if (dtype !== 'float32') checkElements([value], dtype)
  return apply(fillOp, [], { shape: [...shape], dtype, value })
}

/**
 * Reads the elements of a tensor in row-major order, as a copy: Float32Array, Int32Array, or Uint8Array for bool.
 *
 * Errors: `DisposedTensor`, `SymbolicTensor` inside a recorded function.
 *
 * @example
 * ```ts
 * import { read, tensor } from 'espalier/ops'
 *
 * read(tensor([[1, 2], [3, 4]])) // => new Float32Array([1, 2, 3, 4])
 * ```
 */
export const read = (t: Tensor): Float32Array | Int32Array | Uint8Array => {
  refuseSymbolic('read', t)
  refuseDisposed('read', t)
  const copy = allocate(t.dtype, t.size)
  if (t.size > 0) copy.set(dataOf(t))
  return copy
}

/**
 * Reads the one number of a tensor with a single element. Errors: `NotOneElement` and those of `read`.
 *
 * @example
 * ```ts
 * import { item, tensor } from 'espalier/ops'
 *
 * item(tensor([[3]])) // => 3
 * ```
 */
export const item = (t: Tensor): number => {
  if (t.size === 1) return read(t)[0]!
  return fail({
    _tag: 'NotOneElement',
    path: 'item',
    expected: 'a tensor with one element',
    found: `shape [${t.shape.join(', ')}]`,
    hint: 'Use read(…) for all elements, or sum(…) or mean(…) first.',
  })
}

/**
 * Reads a tensor as nested arrays; a scalar as a number. Errors: those of `read`.
 *
 * @example
 * ```ts
 * import { tensor, toArray } from 'espalier/ops'
 *
 * toArray(tensor([[1], [2]])) // => [[1], [2]]
 * ```
 */
export const toArray = (t: Tensor): Nested => {
  const data = read(t)
  const nest = (axis: number, from: number, size: number): Nested => {
    const length = t.shape[axis]
    if (length === undefined) return data[from]!
    return Array.from({ length }, (_, i) => nest(axis + 1, from + (i * size) / length, size / length))
  }
  return nest(0, 0, t.size)
}

const nestingOf = (data: Nested): readonly number[] => {
  const shape: number[] = []
  for (let level: Nested = data; typeof level !== 'number'; level = level[0]!) {
    if (!Array.isArray(level)) return invalidElement('tensor', 'numbers, or arrays of them', describe(level))
    shape.push(level.length)
    if (level.length === 0) break
  }
  return shape
}

const flatten = (data: Nested, shape: readonly number[]): readonly number[] => {
  const values: number[] = []
  const walk = (value: Nested, axis: number, path: string): void => {
    if (axis === shape.length) {
      if (typeof value !== 'number') ragged(path, 'a number', value)
      values.push(value as number)
    } else if (!Array.isArray(value) || value.length !== shape[axis]) {
      ragged(path, `an array of ${shape[axis]}`, value)
    } else value.forEach((child: Nested, i) => walk(child, axis + 1, `${path}[${i}]`))
  }
  walk(data, 0, '')
  return values
}

/** The number of elements of a shape, or `InvalidShape`. @internal */
export const checkShape = (what: string, shape: readonly number[]): number => {
  const size = shape.reduce((product, length) => product * length, 1)
  if (shape.every((length) => Number.isInteger(length) && length >= 0) && size <= mostElements) return size
  return fail({
    _tag: 'InvalidShape',
    path: what,
    expected: `lengths that are whole numbers >= 0, with at most ${mostElements} elements in all`,
    found: `[${shape.join(', ')}]`,
    hint: 'Give the length of each axis; [] is a scalar.',
  })
}

const wrongSize = (what: string, shape: readonly number[], size: number, found: number): never =>
  fail({
    _tag: 'WrongSize',
    path: what,
    expected: `${size} elements for shape [${shape.join(', ')}]`,
    found: `${found}`,
    hint: 'The lengths of the axes, multiplied, must give the number of elements.',
  })

const checkElements = (data: ArrayLike<number>, dtype: 'int32' | 'bool'): void => {
  const [least, most] = dtype === 'bool' ? [0, 1] : [-(2 ** 31), 2 ** 31 - 1]
  for (let i = 0; i < data.length; i += 1) {
    const value = data[i]!
    if (Number.isInteger(value) && value >= least && value <= most) continue
    invalidElement('tensor', `whole numbers between ${least} and ${most} for ${dtype}`, `${value}`)
  }
}

const invalidElement = (path: string, expected: string, found: string): never =>
  fail({ _tag: 'InvalidElement', path, expected, found, hint: 'Leave the dtype out for float32.' })

const ragged = (path: string, expected: string, found: unknown): never =>
  fail({
    _tag: 'RaggedData',
    path: `tensor, data${path}`,
    expected,
    found: describe(found),
    hint: 'Arrays at one depth must all have the same length.',
  })

const describe = (value: unknown): string => {
  if (Array.isArray(value)) return `an array of ${value.length}`
  return typeof value === 'number' ? `the number ${value}` : value === null ? 'null' : typeof value
}
