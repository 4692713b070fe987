import type { Tensor } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import type { Array_, Op } from '../op.ts'
import { tf } from '../tf.ts'
import { arrayOf, binary, handleOf, type Operand, type Sides, sidesOf, specsOf, split } from './binary.ts'
import { unbroadcast } from './broadcast.ts'
import { convert, define, stretch } from './define.ts'
import { allocate, broadcastShapes, broadcastStrides, promote, walk } from '../shape-rules.ts'

export type { Operand } from './binary.ts'

const addOp = binary({
  name: 'add',
  element: (x, y) => x + y,
  accelerated: tf.add,
  gradients: [(dy) => dy, (dy) => dy],
})

const subOp = binary({
  name: 'sub',
  element: (x, y) => x - y,
  accelerated: tf.sub,
  gradients: [(dy) => dy, (dy) => mul(dy, -1)],
})

const mulOp = binary({
  name: 'mul',
  element: (x, y) => x * y,
  integer: Math.imul,
  accelerated: tf.mul,
  gradients: [(dy, _x, y) => mul(dy, y), (dy, x) => mul(dy, x)],
})

const divOp = binary({
  name: 'div',
  element: (x, y) => x / y,
  operands: 'float32',
  accelerated: tf.div,
  gradients: [(dy, _x, y) => div(dy, y), (dy, _x, y, output) => div(mul(mul(dy, output), -1), y)],
})

// tfjs's WASM kernels lose a NaN of the second operand; a number, which costs no pass to look at, is rarely one.
const keepingNaN =
  (run: (x: tf.Tensor, y: tf.Tensor) => tf.Tensor) =>
  (x: tf.Tensor, y: tf.Tensor): tf.Tensor => {
    const cannot = y.dtype !== 'float32' || (y.size === 1 && !Number.isNaN(y.dataSync()[0]))
    if (cannot) return run(x, y)
    const found = run(x, y)
    const right = stretch(y, found.shape)
    return tf.where(tf.isNaN(right), right, found)
  }

// At a tie the first operand takes the whole gradient, so that the two parts always add up to dy.
const minimumOp = binary({
  name: 'minimum',
  element: Math.min,
  accelerated: tf.minimum,
  wasm: keepingNaN(tf.minimum),
  gradients: [(dy, x, y) => where(greater(x, y), 0, dy), (dy, x, y) => where(greater(x, y), dy, 0)],
})

const maximumOp = binary({
  name: 'maximum',
  element: Math.max,
  accelerated: tf.maximum,
  wasm: keepingNaN(tf.maximum),
  gradients: [(dy, x, y) => where(less(x, y), 0, dy), (dy, x, y) => where(less(x, y), dy, 0)],
})

const equalOp = binary({ name: 'equal', element: (x, y) => +(x === y), result: 'bool', accelerated: tf.equal })
const lessOp = binary({ name: 'less', element: (x, y) => +(x < y), result: 'bool', accelerated: tf.less })
const greaterOp = binary({ name: 'greater', element: (x, y) => +(x > y), result: 'bool', accelerated: tf.greater })

const whereOp = define<Sides>({
  name: 'where',
  infer: (sides, condition, ...inputs) => {
    const [a, b] = specsOf(sides, inputs)
    const values = broadcastShapes('where', a.shape, b.shape)
    return {
      shape: broadcastShapes('where', condition.shape, values),
      dtype: a.dtype === b.dtype ? a.dtype : promote(a.dtype, b.dtype),
    }
  },
  reference: ({ attrs, output }, condition, ...inputs) => {
    const [a, b] = sidesOf(attrs, inputs).map(arrayOf) as [Array_, Array_]
    const [atC, atA, atB] = [condition, a, b].map(({ shape }) =>
      walk(output.shape, broadcastStrides(shape, output.shape)),
    ) as [Int32Array, Int32Array, Int32Array]
    const out = allocate(output.dtype, atC.length)
    for (let i = 0; i < out.length; i++) out[i] = condition.data[atC[i]!]! !== 0 ? a.data[atA[i]!]! : b.data[atB[i]!]!
    return out
  },
  wasm: ({ attrs, output }, condition, ...inputs) => {
    // tfjs's kernel copies 4 bytes an element whatever the dtype says, and broadcasting is left to the slow Tile.
    const dtype = output.dtype === 'bool' ? 'int32' : output.dtype
    const [a, b] = sidesOf(attrs, inputs).map((side) => stretch(handleOf(side, dtype), output.shape))
    return convert(tf.where(stretch(convert(condition, 'bool'), output.shape), a!, b!), output.dtype)
  },
  native: ({ attrs, output }, condition, ...inputs) => {
    const [a, b] = sidesOf(attrs, inputs).map((side) => handleOf(side, output.dtype))
    return tf.where(convert(condition, 'bool'), a!, b!)
  },
  vjp: ({ dy, inputs, attrs, needs }, condition) => [
    null,
    ...inputs.slice(1).map((input, i) => {
      if (!needs[i + 1] || input.dtype !== 'float32') return null
      const first = attrs.left === undefined && i === 0
      return unbroadcast(first ? where(condition, dy, 0) : where(condition, 0, dy), input.shape)
    }),
  ],
})

const call = (op: Op<Sides>, a: Operand, b: Operand): Tensor => apply(op, ...split(a, b))

/**
 * `a + b`, element by element with numpy's broadcasting.
 *
 * int32 with int32 stays int32 (and wraps), anything with float32 is float32. Shapes that do not broadcast throw a
 * `ShapeMismatch`.
 *
 * @example
 * ```ts
 * import { add, tensor, toArray } from 'espalier/ops'
 *
 * toArray(add(tensor([[1, 2], [3, 4]]), tensor([10, 20]))) // => [[11, 22], [13, 24]]
 * toArray(add(tensor([1, 2]), 0.5)) // => [1.5, 2.5]
 * ```
 */
export const add = (a: Operand, b: Operand): Tensor => call(addOp, a, b)

/**
 * `a - b`, element by element with broadcasting; dtypes and errors as for `add`.
 *
 * @example
 * ```ts
 * import { sub, tensor, toArray } from 'espalier/ops'
 *
 * toArray(sub(1, tensor([0.25, 0.5]))) // => [0.75, 0.5]
 * ```
 */
export const sub = (a: Operand, b: Operand): Tensor => call(subOp, a, b)

/**
 * `a · b`, element by element with broadcasting; dtypes and errors as for `add`.
 *
 * @example
 * ```ts
 * import { mul, tensor, toArray } from 'espalier/ops'
 *
 * toArray(mul(tensor([[1], [2]]), tensor([3, 4]))) // => [[3, 4], [6, 8]]
 * ```
 */
export const mul = (a: Operand, b: Operand): Tensor => call(mulOp, a, b)

/**
 * `a / b`, element by element with broadcasting; always float32, division by zero is ±Infinity or NaN.
 *
 * @example
 * ```ts
 * import { div, tensor, toArray } from 'espalier/ops'
 *
 * toArray(div(tensor([1, 3]), 2)) // => [0.5, 1.5]
 * ```
 */
export const div = (a: Operand, b: Operand): Tensor => call(divOp, a, b)

/**
 * The smaller of each pair, with broadcasting; at a tie the gradient goes to `a`.
 *
 * @example
 * ```ts
 * import { minimum, tensor, toArray } from 'espalier/ops'
 *
 * toArray(minimum(tensor([1, 5]), 3)) // => [1, 3]
 * ```
 */
export const minimum = (a: Operand, b: Operand): Tensor => call(minimumOp, a, b)

/**
 * The larger of each pair, with broadcasting; at a tie the gradient goes to `a`.
 *
 * @example
 * ```ts
 * import { maximum, tensor, toArray } from 'espalier/ops'
 *
 * toArray(maximum(tensor([1, 5]), 3)) // => [3, 5]
 * ```
 */
export const maximum = (a: Operand, b: Operand): Tensor => call(maximumOp, a, b)

/**
 * Where the two are equal, as a bool tensor; a constant to every gradient.
 *
 * @example
 * ```ts
 * import { equal, tensor, toArray } from 'espalier/ops'
 *
 * toArray(equal(tensor([1, 2, 3]), 2)) // => [0, 1, 0]
 * ```
 */
export const equal = (a: Operand, b: Operand): Tensor => call(equalOp, a, b)

/**
 * Where `a < b`, as a bool tensor; a constant to every gradient.
 *
 * @example
 * ```ts
 * import { less, tensor, toArray } from 'espalier/ops'
 *
 * toArray(less(tensor([1, 2, 3]), 2)) // => [1, 0, 0]
 * ```
 */
export const less = (a: Operand, b: Operand): Tensor => call(lessOp, a, b)

/**
 * Where `a > b`, as a bool tensor; a constant to every gradient.
 *
 * @example
 * ```ts
 * import { greater, tensor, toArray } from 'espalier/ops'
 *
 * toArray(greater(tensor([1, 2, 3]), 2)) // => [0, 0, 1]
 * ```
 */
export const greater = (a: Operand, b: Operand): Tensor => call(greaterOp, a, b)

/**
 * `a` where the condition is not zero, `b` elsewhere; all three broadcast together.
 *
 * A gradient reaches the chosen element only, also where the other one is infinite or NaN. The condition is a constant.
 *
 * @example
 * ```ts
 * import { greater, tensor, toArray, where } from 'espalier/ops'
 *
 * const x = tensor([-1, 2])
 * toArray(where(greater(x, 0), x, 0)) // => [0, 2]
 * ```
 */
export const where = (condition: Tensor, a: Operand, b: Operand): Tensor => {
  const [inputs, sides] = split(a, b)
  return apply(whereOp, [condition, ...inputs], sides)
}

/** @internal */
export const elementwiseOps: readonly Op<never>[] = [
  addOp,
  subOp,
  mulOp,
  divOp,
  minimumOp,
  maximumOp,
  equalOp,
  lessOp,
  greaterOp,
  whereOp,
]
