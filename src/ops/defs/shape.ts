import type { DType, Tensor } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import type { Attrs, Op } from '../op.ts'
import { tf } from '../tf.ts'
import { type SliceAttrs, sliceLoop, transposeLoop } from './copies.ts'
import { convert, define } from './define.ts'
import { onHeap } from './heap.ts'
import {
  allocate,
  axesOf,
  axisOf,
  describe,
  mismatch,
  pick,
  type Shape,
  sizeOf,
  stridesOf,
  walk,
} from '../shape-rules.ts'

const transposeOnHeap = onHeap('transpose', transposeLoop)

const transposeOp = define<{ readonly order: Shape }>({
  name: 'transpose',
  infer: ({ order }, { shape, dtype }) => ({ shape: order.map((axis) => shape[axis]!), dtype }),
  reference: ({ attrs, output }, { shape, data }) => {
    const strides = stridesOf(shape)
    return pick(
      data,
      walk(
        output.shape,
        attrs.order.map((axis) => strides[axis]!),
      ),
    )
  },
  // From five axes on, tfjs's own takes seconds there where this takes milliseconds.
  wasm: (call, x) => (x.rank > 4 ? transposeOnHeap(call, x) : tf.transpose(x, [...call.attrs.order])),
  native: ({ attrs }, x) => tf.transpose(x, [...attrs.order]),
  vjp: ({ dy, attrs }) => [
    transpose(
      dy,
      attrs.order.map((_, axis) => attrs.order.indexOf(axis)),
    ),
  ],
})

/**
 * The tensor with its axes in another order, by default the reverse one.
 *
 * `order[i]` is the axis of `x` that becomes axis `i`. Throws a `ShapeMismatch` unless it names each axis once.
 *
 * @example
 * ```ts
 * import { tensor, toArray, transpose } from 'espalier/ops'
 *
 * toArray(transpose(tensor([[1, 2], [3, 4]]))) // => [[1, 3], [2, 4]]
 * ```
 */
export const transpose = (x: Tensor, order?: Shape): Tensor => {
  const rank = x.shape.length
  const axes = (order ?? x.shape.map((_, axis) => rank - 1 - axis)).map((axis) => axisOf('transpose', axis, rank))
  if (axesOf('transpose', axes, rank).length !== rank)
    mismatch('transpose', `an order of ${rank} axes`, `[${axes.join(', ')}]`, 'Name every axis of the tensor once.')
  return apply(transposeOp, [x], { order: axes })
}

const sliceOp = define<SliceAttrs>({
  name: 'slice',
  infer: ({ begin, size }, x) => {
    const fits = x.shape.every((length, axis) => {
      const [from, count] = [begin[axis]!, size[axis]!]
      return Number.isInteger(from) && Number.isInteger(count) && from >= 0 && count >= 0 && from + count <= length
    })
    return fits && begin.length === x.shape.length && size.length === begin.length
      ? { shape: size, dtype: x.dtype }
      : mismatch(
          'slice',
          `a box inside ${describe(x)}`,
          `begin [${begin.join(', ')}] with size [${size.join(', ')}]`,
          'Give a begin and a size for every axis; a size of -1 means "to the end".',
        )
  },
  reference: ({ attrs, output }, { shape, data }) => {
    const strides = stridesOf(shape)
    return pick(data, walk(output.shape, strides, offsetOf(attrs.begin, strides)))
  },
  wasm: onHeap('slice', sliceLoop),
  native: ({ attrs }, x) => (x.rank === 0 ? tf.clone(x) : tf.slice(x, [...attrs.begin], [...attrs.size])),
  vjp: ({ dy, attrs: { begin, size } }, x) => [
    pad(
      dy,
      begin.map((before, axis) => [before, x.shape[axis]! - before - size[axis]!]),
    ),
  ],
})

const offsetOf = (index: Shape, strides: Shape): number =>
  index.reduce((offset, position, axis) => offset + position * strides[axis]!, 0)

/**
 * The box of the given size that starts at `begin`; a size of -1 means "to the end".
 *
 * @example
 * ```ts
 * import { slice, tensor, toArray } from 'espalier/ops'
 *
 * toArray(slice(tensor([[1, 2, 3], [4, 5, 6]]), [0, 1], [-1, 2])) // => [[2, 3], [5, 6]]
 * ```
 */
export const slice = (x: Tensor, begin: Shape, size: Shape): Tensor =>
  apply(sliceOp, [x], {
    begin,
    size: size.map((count, axis) => (count === -1 ? (x.shape[axis] ?? 0) - (begin[axis] ?? 0) : count)),
  })

type PadAttrs = { readonly widths: readonly (readonly [before: number, after: number])[] }

const padOp = define<PadAttrs>({
  name: 'pad',
  infer: ({ widths }, x) =>
    widths.length === x.shape.length && widths.flat().every((width) => Number.isInteger(width) && width >= 0)
      ? { shape: x.shape.map((length, axis) => length + widths[axis]![0] + widths[axis]![1]), dtype: x.dtype }
      : mismatch(
          'pad',
          `a pair of widths for each axis of ${describe(x)}`,
          `[${widths.map(([before, after]) => `[${before}, ${after}]`).join(', ')}]`,
          'Widths are whole numbers from 0.',
        ),
  reference: ({ attrs, output }, { shape, data }) => {
    const strides = stridesOf(output.shape)
    const target = walk(
      shape,
      strides,
      offsetOf(
        attrs.widths.map(([before]) => before),
        strides,
      ),
    )
    const out = allocate(output.dtype, sizeOf(output.shape))
    for (let i = 0; i < target.length; i++) out[target[i]!] = data[i]!
    return out
  },
  accelerated: ({ attrs }, x) =>
    x.rank === 0
      ? tf.clone(x)
      : tf.pad(
          x,
          attrs.widths.map(([before, after]): [number, number] => [before, after]),
        ),
  vjp: ({ dy, attrs }, x) => [
    slice(
      dy,
      attrs.widths.map(([before]) => before),
      x.shape,
    ),
  ],
})

/**
 * The tensor with zeros before and after it along each axis.
 *
 * @example
 * ```ts
 * import { pad, tensor, toArray } from 'espalier/ops'
 *
 * toArray(pad(tensor([1, 2]), [[1, 2]])) // => [0, 1, 2, 0, 0]
 * ```
 */
export const pad = (x: Tensor, widths: readonly (readonly number[])[]): Tensor =>
  apply(padOp, [x], { widths: widths.map(([before = 0, after = 0]): [number, number] => [before, after]) })

const concatOp = define<{ readonly axis: number }>({
  name: 'concat',
  infer: ({ axis }, ...list) => {
    const [first, ...others] = list as [(typeof list)[number], ...typeof list]
    for (const other of others) {
      const alike = other.shape.every((length, i) => i === axis || length === first.shape[i])
      if (!alike || other.shape.length !== first.shape.length || other.dtype !== first.dtype)
        return mismatch(
          'concat',
          `tensors that differ from ${describe(first)} along axis ${axis} alone`,
          describe(other),
          'reshape, broadcastTo or cast the odd one first.',
        )
    }
    const total = list.reduce((length, { shape }) => length + shape[axis]!, 0)
    return { shape: first.shape.map((length, i) => (i === axis ? total : length)), dtype: first.dtype }
  },
  reference: ({ attrs: { axis }, output }, ...list) => {
    const out = allocate(output.dtype, sizeOf(output.shape))
    const strides = stridesOf(output.shape)
    let begin = 0
    for (const { shape, data } of list) {
      const target = walk(shape, strides, begin * strides[axis]!)
      for (let i = 0; i < target.length; i++) out[target[i]!] = data[i]!
      begin += shape[axis]!
    }
    return out
  },
  accelerated: ({ attrs }, ...list) => tf.concat(list, attrs.axis),
  vjp: ({ dy, attrs: { axis }, needs }, ...list) => {
    let begin = 0
    return list.map(({ shape, dtype }, i) => {
      const from = begin
      begin += shape[axis]!
      return needs[i] && dtype === 'float32'
        ? slice(
            dy,
            shape.map((_, at) => (at === axis ? from : 0)),
            shape,
          )
        : null
    })
  },
})

/**
 * Tensors one after the other along an axis; they must agree in dtype and along all other axes.
 *
 * @example
 * ```ts
 * import { concat, tensor, toArray } from 'espalier/ops'
 *
 * toArray(concat([tensor([[1], [2]]), tensor([[3], [4]])], -1)) // => [[1, 3], [2, 4]]
 * ```
 */
export const concat = (list: readonly Tensor[], axis = 0): Tensor =>
  list[0] === undefined
    ? mismatch('concat', 'at least one tensor', 'an empty list', 'There is no shape to give the result.')
    : apply(concatOp, list, { axis: axisOf('concat', axis, list[0].shape.length) })

const castOp = define<{ readonly dtype: DType }>({
  name: 'cast',
  infer: ({ dtype }, { shape }) => ({ shape, dtype }),
  reference: ({ output }, { data }) => {
    const out = allocate(output.dtype, data.length)
    if (output.dtype === 'bool') for (let i = 0; i < out.length; i++) out[i] = data[i] === 0 ? 0 : 1
    else out.set(data)
    return out
  },
  accelerated: ({ output }, x) => (x.dtype === output.dtype ? tf.clone(x) : convert(x, output.dtype)),
  vjp: ({ dy, attrs }, x) => [x.dtype === 'float32' && attrs.dtype === 'float32' ? cast(dy, 'float32') : null],
})

/**
 * The tensor in another dtype: to int32 by cutting off the fraction, to bool by "is not zero".
 *
 * A gradient passes only from float32 to float32. Floats outside the range of int32 give an unspecified integer.
 *
 * @example
 * ```ts
 * import { cast, tensor, toArray } from 'espalier/ops'
 *
 * toArray(cast(tensor([1.7, -1.7]), 'int32')) // => [1, -1]
 * ```
 */
export const cast = (x: Tensor, dtype: DType): Tensor => apply(castOp, [x], { dtype })

const stopGradientOp = define<Attrs>({
  name: 'stopGradient',
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
  reference: (_, { data }) => data,
  accelerated: (_, x) => tf.clone(x),
  vjp: () => [null],
})

/**
 * The same values as a constant: no gradient passes through.
 *
 * @example
 * ```ts
 * import { stopGradient, tensor, toArray } from 'espalier/ops'
 *
 * toArray(stopGradient(tensor([1, 2]))) // => [1, 2]
 * ```
 */
export const stopGradient = (x: Tensor): Tensor => apply(stopGradientOp, [x], {})

/** @internal */
export const shapeOps: readonly Op<never>[] = [transposeOp, sliceOp, padOp, concatOp, castOp, stopGradientOp]
