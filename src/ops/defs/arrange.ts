import type { Tensor } from '../../tree/tensor.ts'
import { scope } from '../memory.ts'
import { reshape } from './broadcast.ts'
import { concat, slice } from './shape.ts'
import { axesOf, axisOf, describe, mismatch, type Shape } from '../shape-rules.ts'

/**
 * The tensor cut into pieces along an axis: a number of equal ones, or pieces of the given lengths.
 *
 * Throws a `ShapeMismatch` when the pieces do not make up the axis.
 *
 * @example
 * ```ts
 * import { split, tensor, toArray } from 'espalier/ops'
 *
 * split(tensor([1, 2, 3, 4]), 2).map(toArray) // => [[1, 2], [3, 4]]
 * split(tensor([1, 2, 3, 4]), [1, 3]).map(toArray) // => [[1], [2, 3, 4]]
 * ```
 */
export const split = (x: Tensor, pieces: number | Shape, axis = 0): readonly Tensor[] => {
  const at = axisOf('split', axis, x.shape.length)
  const length = x.shape[at]!
  const lengths =
    typeof pieces === 'number' && Number.isInteger(pieces) && pieces > 0
      ? Array.from({ length: pieces }, () => length / pieces)
      : [pieces].flat()
  const whole = lengths.every((piece) => Number.isInteger(piece) && piece >= 0)
  if (!whole || lengths.reduce((total, piece) => total + piece, 0) !== length)
    return mismatch(
      'split',
      `pieces that make up the ${length} of axis ${at}`,
      `${JSON.stringify(pieces)} for ${describe(x)}`,
      'Give a number that divides the length, or lengths that add up to it.',
    )
  const begins = lengths.map((_, i) => lengths.slice(0, i).reduce((total, piece) => total + piece, 0))
  return lengths.map((piece, i) =>
    slice(
      x,
      x.shape.map((_, other) => (other === at ? begins[i]! : 0)),
      x.shape.map((full, other) => (other === at ? piece : full)),
    ),
  )
}

/**
 * The tensor with a new axis of length 1 before `axis`; -1 puts it last.
 *
 * @example
 * ```ts
 * import { expandDims, tensor } from 'espalier/ops'
 *
 * expandDims(tensor([1, 2]), -1).shape // => [2, 1]
 * ```
 */
export const expandDims = (x: Tensor, axis = 0): Tensor =>
  reshape(x, x.shape.toSpliced(axisOf('expandDims', axis, x.shape.length + 1), 0, 1))

/**
 * The tensor without some axes of length 1, by default without all of them.
 *
 * Throws a `ShapeMismatch` for an axis of another length.
 *
 * @example
 * ```ts
 * import { squeeze, tensor } from 'espalier/ops'
 *
 * squeeze(tensor([[1, 2]])).shape // => [2]
 * ```
 */
export const squeeze = (x: Tensor, axes?: number | Shape): Tensor => {
  const ones = x.shape.flatMap((length, axis) => (length === 1 ? [axis] : []))
  const gone = axes === undefined ? ones : axesOf('squeeze', axes, x.shape.length)
  return gone.every((axis) => ones.includes(axis))
    ? reshape(
        x,
        x.shape.filter((_, axis) => !gone.includes(axis)),
      )
    : mismatch('squeeze', `axes of length 1 in ${describe(x)}`, `axes [${gone.join(', ')}]`, 'Only these hold one row.')
}

/**
 * Tensors of one shape along a new axis; -1 puts it last.
 *
 * @example
 * ```ts
 * import { stack, tensor, toArray } from 'espalier/ops'
 *
 * toArray(stack([tensor([1, 2]), tensor([3, 4])])) // => [[1, 2], [3, 4]]
 * ```
 */
export const stack = (list: readonly Tensor[], axis = 0): Tensor => {
  const first = list[0]
  if (first === undefined)
    return mismatch('stack', 'at least one tensor', 'an empty list', 'There is no shape to give the result.')
  const at = axisOf('stack', axis, first.shape.length + 1)
  return scope(() =>
    concat(
      list.map((x) => reshape(x, x.shape.toSpliced(at, 0, 1))),
      at,
    ),
  )
}
