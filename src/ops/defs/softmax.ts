import type { Tensor } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import type { Array_, Attrs, Op } from '../op.ts'
import { tf } from '../tf.ts'
import { sum } from './broadcast.ts'
import { softmaxWasm } from '../wasm/softmax.ts'
import { convert, define } from './define.ts'
import { fresh, type Loop, onHeap } from './heap.ts'
import { mul, sub } from './elementwise.ts'
import {
  broadcastShapes,
  broadcastStrides,
  describe,
  lastAxis,
  mismatch,
  requireFloat,
  sizeOf,
  walk,
} from '../shape-rules.ts'
import { exp } from './unary.ts'

/** Stands for -Infinity where that is hidden by a mask: a row with everything hidden then has no Infinity - Infinity. @internal */
export const lowest = -3.4028234663852886e38

const softmaxLoop: Loop<{ readonly masked: boolean }> = ({ attrs }, out, x, mask) => {
  const width = x.shape.at(-1)!
  const seen = attrs.masked ? walk(x.shape, broadcastStrides(mask.shape, x.shape)) : undefined
  const isHidden = (i: number): boolean => seen !== undefined && mask.data[seen[i]!] === 0
  out.fill(0)
  for (let begin = 0; begin < out.length; begin += width) {
    let highest = -Infinity
    for (let i = begin; i < begin + width; i++) if (!isHidden(i)) highest = Math.max(highest, x.data[i]!)
    let total = 0
    for (let i = begin; i < begin + width; i++) {
      if (isHidden(i)) continue
      out[i] = Math.exp(x.data[i]! - highest)
      total += out[i]!
    }
    // total is 0 exactly when the whole row is hidden; it then stays zero instead of 0/0.
    if (total !== 0) for (let i = begin; i < begin + width; i++) out[i]! /= total
  }
}

const onAnyRank = onHeap('softmax', softmaxLoop)

const softmaxOp = define<{ readonly masked: boolean }>({
  name: 'softmax',
  infer: ({ masked }, x, mask) => {
    requireFloat('softmax', 'x', x)
    lastAxis('softmax', x)
    const fits = !masked || String(broadcastShapes('softmax', x.shape, mask.shape)) === String(x.shape)
    return fits
      ? { shape: x.shape, dtype: 'float32' }
      : mismatch(
          'softmax',
          `a mask that broadcasts to ${describe(x)}`,
          describe(mask),
          'The mask may have 1 where x has more, not the other way round.',
        )
  },
  reference: fresh(softmaxLoop),
  wasm: (call, ...inputs) => (inputs[0]!.rank > 4 ? onAnyRank(call, ...inputs) : softmaxWasm(call, ...inputs)),
  native: ({ attrs }, x, mask) => {
    if (!attrs.masked) return tf.softmax(x, -1)
    const seen = convert(mask, 'bool')
    const chances = tf.softmax(tf.where(seen, x, tf.scalar(lowest)), -1)
    return tf.mul(chances, tf.cast(seen, 'float32'))
  },
  vjp: ({ dy, output, attrs }) => {
    const weighted = mul(dy, output)
    const dx = sub(weighted, mul(output, sum(weighted, { axes: -1, keepDims: true })))
    return attrs.masked ? [dx, null] : [dx]
  },
})

const logSoftmaxOp = define<Attrs>({
  name: 'logSoftmax',
  infer: (_, x) => {
    requireFloat('logSoftmax', 'x', x)
    lastAxis('logSoftmax', x)
    return { shape: x.shape, dtype: 'float32' }
  },
  reference: (_, x) => {
    const width = x.shape.at(-1)!
    const out = new Float32Array(sizeOf(x.shape))
    for (let begin = 0; begin < out.length; begin += width) {
      const logTotal = logSumExp(x, begin, width)
      for (let i = begin; i < begin + width; i++) out[i] = x.data[i]! - logTotal
    }
    return out
  },
  accelerated: (_, x) => tf.logSoftmax(x, -1),
  vjp: ({ dy, output }) => [sub(dy, mul(exp(output), sum(dy, { axes: -1, keepDims: true })))],
})

/** log Σ eˣ over `width` elements, without overflow. @internal */
export const logSumExp = ({ data }: Array_, begin: number, width: number): number => {
  let highest = -Infinity
  for (let i = begin; i < begin + width; i++) highest = Math.max(highest, data[i]!)
  let total = 0
  for (let i = begin; i < begin + width; i++) total += Math.exp(data[i]! - highest)
  return highest + Math.log(total)
}

/** What `softmax` may see. */
export interface SoftmaxOptions {
  /** Broadcasts to the shape of x: 0 hides a position, anything else shows it. A constant to every gradient. */
  readonly mask?: Tensor
}

/**
 * `eˣ / Σ eˣ` over the last axis, float32 of the same shape.
 *
 * What the mask hides gets exactly 0, whatever stands there; a row with everything hidden is all zeros.
 *
 * @example
 * ```ts
 * import { softmax, tensor, toArray } from 'espalier/ops'
 *
 * toArray(softmax(tensor([3, 3]))) // => [0.5, 0.5]
 * toArray(softmax(tensor([3, 3, 9]), { mask: tensor([1, 1, 0]) })) // => [0.5, 0.5, 0]
 * ```
 */
export const softmax = (x: Tensor, { mask }: SoftmaxOptions = {}): Tensor =>
  mask === undefined ? apply(softmaxOp, [x], { masked: false }) : apply(softmaxOp, [x, mask], { masked: true })

/**
 * `x - log Σ eˣ` over the last axis: the logarithm of softmax without its underflow.
 *
 * @example
 * ```ts
 * import { logSoftmax, tensor, toArray } from 'espalier/ops'
 *
 * toArray(logSoftmax(tensor([1000, 0]))) // => [0, -1000]
 * ```
 */
export const logSoftmax = (x: Tensor): Tensor => apply(logSoftmaxOp, [x], {})

/** @internal */
export const softmaxOps: readonly Op<never>[] = [softmaxOp, logSoftmaxOp]
