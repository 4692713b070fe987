import type { Tensor } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import type { Attrs, Op } from '../op.ts'
import { tf } from '../tf.ts'
import {
  broadcastTo,
  type ReduceAttrs,
  reducedShape,
  reduceOffsets,
  type Reduction,
  reductionOf,
  reshape,
  sum,
  totals,
} from './broadcast.ts'
import { fresh, type Loop, onHeap } from './heap.ts'
import { convert, define } from './define.ts'
import { div, equal, mul } from './elementwise.ts'
import { cast } from './shape.ts'
import { allocate, describe, lastAxis, mismatch, type Shape, sizeOf } from '../shape-rules.ts'

const countOf = (shape: Shape, axes: Shape): number => sizeOf(axes.map((axis) => shape[axis]!))

const requireElements = (name: string, x: Parameters<typeof describe>[0], axes: Shape): void => {
  if (countOf(x.shape, axes) === 0)
    mismatch(name, 'at least one element to reduce', describe(x), `The ${name} of no element is not defined.`)
}

const meanLoop: Loop<ReduceAttrs> = ({ attrs }, out, x) => {
  const count = countOf(x.shape, attrs.axes)
  out.set(totals(x, attrs.axes).map((total) => total / count))
}

const meanOp = define<ReduceAttrs>({
  name: 'mean',
  infer: (attrs, x) => {
    requireElements('mean', x, attrs.axes)
    return { shape: reducedShape(x.shape, attrs), dtype: 'float32' }
  },
  reference: fresh(meanLoop),
  wasm: onHeap('mean', meanLoop),
  native: ({ attrs }, x) => {
    const numbers = convert(x, 'float32')
    return attrs.axes.length === 0 ? tf.clone(numbers) : tf.mean(numbers, [...attrs.axes], attrs.keepDims)
  },
  vjp: ({ dy, attrs }, x) => {
    if (x.dtype !== 'float32') return [null]
    const share = mul(dy, 1 / countOf(x.shape, attrs.axes))
    return [broadcastTo(reshape(share, reducedShape(x.shape, { ...attrs, keepDims: true })), x.shape)]
  },
})

const maxOp = define<ReduceAttrs>({
  name: 'max',
  infer: (attrs, x) => {
    requireElements('max', x, attrs.axes)
    return { shape: reducedShape(x.shape, attrs), dtype: x.dtype === 'float32' ? 'float32' : 'int32' }
  },
  reference: ({ attrs, output }, x) => {
    const out = allocate(output.dtype, sizeOf(output.shape))
    out.fill(output.dtype === 'float32' ? -Infinity : -(2 ** 31))
    const target = reduceOffsets(x.shape, attrs.axes)
    for (let i = 0; i < target.length; i++) out[target[i]!] = Math.max(out[target[i]!]!, x.data[i]!)
    return out
  },
  accelerated: ({ attrs, output }, x) => {
    const numbers = convert(x, output.dtype)
    return attrs.axes.length === 0 ? tf.clone(numbers) : tf.max(numbers, [...attrs.axes], attrs.keepDims)
  },
  vjp: ({ dy, output, attrs }, x) => {
    if (x.dtype !== 'float32') return [null]
    const kept = reducedShape(x.shape, { ...attrs, keepDims: true })
    const winners = cast(equal(x, reshape(output, kept)), 'float32')
    const each = div(reshape(dy, kept), sum(winners, { axes: attrs.axes, keepDims: true }))
    return [mul(winners, each)]
  },
})

const argmaxOp = define<Attrs>({
  name: 'argmax',
  infer: (_, x) => {
    const axis = lastAxis('argmax', x)
    requireElements('argmax', x, [axis])
    return { shape: x.shape.slice(0, -1), dtype: 'int32' }
  },
  reference: ({ output }, { shape, data }) => {
    const width = shape.at(-1)!
    const out = new Int32Array(sizeOf(output.shape))
    for (let row = 0; row < out.length; row++) {
      let best = 0
      for (let i = 1; i < width; i++) if (data[row * width + i]! > data[row * width + best]!) best = i
      out[row] = best
    }
    return out
  },
  accelerated: (_, x) => tf.argMax(convert(x, 'float32'), -1),
})

/**
 * The mean over some axes, by default over all; always float32. Throws a `ShapeMismatch` over no element.
 *
 * @example
 * ```ts
 * import { item, mean, tensor, toArray } from 'espalier/ops'
 *
 * item(mean(tensor([[1, 2], [3, 4]]))) // => 2.5
 * toArray(mean(tensor([[1, 2], [3, 4]]), { axes: -1, keepDims: true })) // => [[1.5], [3.5]]
 * ```
 */
export const mean = (x: Tensor, reduction: Reduction = {}): Tensor =>
  apply(meanOp, [x], reductionOf('mean', x, reduction))

/**
 * The largest element over some axes, by default over all; ties share the gradient evenly.
 *
 * Throws a `ShapeMismatch` over no element.
 *
 * @example
 * ```ts
 * import { max, tensor, toArray } from 'espalier/ops'
 *
 * toArray(max(tensor([[1, 2], [4, 3]]), { axes: 1 })) // => [2, 4]
 * ```
 */
export const max = (x: Tensor, reduction: Reduction = {}): Tensor => apply(maxOp, [x], reductionOf('max', x, reduction))

/**
 * The position of the largest element along the last axis as int32, the first one at a tie; has no gradient.
 *
 * @example
 * ```ts
 * import { argmax, tensor, toArray } from 'espalier/ops'
 *
 * toArray(argmax(tensor([[1, 2], [4, 3]]))) // => [1, 0]
 * ```
 */
export const argmax = (x: Tensor): Tensor => apply(argmaxOp, [x], {})

/** @internal */
export const reduceOps: readonly Op<never>[] = [meanOp, maxOp, argmaxOp]
