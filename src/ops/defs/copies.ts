import type { Loop } from './heap.ts'
import { type Shape, sizeOf, stridesOf } from '../shape-rules.ts'

/** Copies along the last axis of the result, and counts the others up like the wheels of an odometer. @internal */
export const transposeLoop: Loop<{ readonly order: Shape }> = ({ attrs: { order }, output }, out, { shape, data }) => {
  const strides = stridesOf(shape)
  const steps = order.map((axis) => strides[axis]!)
  const last = order.length - 1
  const [width, step] = [output.shape[last]!, steps[last]!]
  const index = new Int32Array(order.length)
  let from = 0
  for (let to = 0; to < out.length; to += width) {
    for (let i = 0, at = from; i < width; i++, at += step) out[to + i] = data[at]!
    for (let axis = last - 1; axis >= 0; axis--) {
      from += steps[axis]!
      if (++index[axis]! < output.shape[axis]!) break
      from -= steps[axis]! * output.shape[axis]!
      index[axis] = 0
    }
  }
}

/** A box of an array, begin and size for each axis. @internal */
export type SliceAttrs = { readonly begin: Shape; readonly size: Shape }

/**
 * Copies runs: from the last axis of which not all is taken, the box is contiguous.
 *
 * tfjs's own copies the whole of its input out of the memory of the engine first.
 *
 * @internal
 */
export const sliceLoop: Loop<SliceAttrs> = ({ attrs: { begin, size } }, out, { shape, data }) => {
  const strides = stridesOf(shape)
  const cut = size.findLastIndex((length, axis) => axis === 0 || length !== shape[axis])
  const run = sizeOf(size.slice(Math.max(cut, 0)))
  const index = new Int32Array(size.length)
  let from = begin.reduce((offset, position, axis) => offset + position * strides[axis]!, 0)
  for (let to = 0; to < out.length; to += run) {
    // A view costs what some fifty elements do.
    if (run > 50) out.set(data.subarray(from, from + run), to)
    else for (let i = 0; i < run; i++) out[to + i] = data[from + i]!
    for (let axis = cut - 1; axis >= 0; axis--) {
      from += strides[axis]!
      if (++index[axis]! < size[axis]!) break
      from -= strides[axis]! * size[axis]!
      index[axis] = 0
    }
  }
}
