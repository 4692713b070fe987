import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import type { Attrs, Data, Op } from '../op.ts'
import { tf } from '../tf.ts'
import { gatherWasm, scatterAddWasm } from '../wasm/gather.ts'
import { define } from './define.ts'
import { fresh, type Loop, onHeap } from './heap.ts'
import {
  axisOf,
  describe,
  mismatch,
  requireFloat,
  requireInt,
  requireRange,
  type Shape,
  sizeOf,
} from '../shape-rules.ts'

const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((length, i) => length === b[i])

/**
 * The ids in range, on the engine in use: tfjs-node's gather reads them past tfjs, which would have moved those that were
 * made before the engine was chosen.
 */
const checkedIds = (name: string, ids: tf.Tensor, limit: number): tf.Tensor => {
  const values = ids.dataSync<'int32'>()
  requireRange(name, 'ids', values, limit)
  return tf.reshape(tf.tensor1d(values, 'int32'), ids.shape)
}

/** Copies rows of `width` elements to the target, one after the other; row `from(i)` of the source is the i-th. */
const copyRows = (width: number, source: Data, target: Data, from: (i: number) => number): void => {
  for (let at = 0, i = 0; at < target.length; at += width, i++)
    target.set(source.subarray(from(i) * width, (from(i) + 1) * width), at)
}

const gatherLoop: Loop<Attrs> = (_, out, table, ids) => {
  requireRange('gather', 'ids', ids.data, table.shape[0]!)
  copyRows(sizeOf(table.shape.slice(1)), table.data, out, (i) => ids.data[i]!)
}

const gatherOp = define<Attrs>({
  name: 'gather',
  infer: (_, table, ids) => {
    axisOf('gather', 0, table.shape.length)
    requireInt('gather', 'ids', ids)
    return { shape: [...ids.shape, ...table.shape.slice(1)], dtype: table.dtype }
  },
  reference: fresh(gatherLoop),
  wasm: gatherWasm,
  native: (_, table, ids) => tf.gather(table, checkedIds('gather', ids, table.shape[0])),
  vjp: ({ dy }, table, ids) => [table.dtype === 'float32' ? scatterAdd(ids, dy, table.shape[0]!) : null, null],
})

const scatterLoop: Loop<{ readonly rows: number }> = ({ attrs }, out, ids, dy) => {
  requireRange('scatterAdd', 'ids', ids.data, attrs.rows)
  out.fill(0)
  const width = dy.data.length / ids.data.length
  for (let i = 0; i < ids.data.length; i++) {
    const at = ids.data[i]! * width
    for (let j = 0; j < width; j++) out[at + j]! += dy.data[i * width + j]!
  }
}

const scatterAddOp = define<{ readonly rows: number }>({
  name: 'scatterAdd',
  infer: ({ rows }, ids, dy) => {
    requireInt('scatterAdd', 'ids', ids)
    requireFloat('scatterAdd', 'dy', dy)
    return sameShape(dy.shape.slice(0, ids.shape.length), ids.shape)
      ? { shape: [rows, ...dy.shape.slice(ids.shape.length)], dtype: 'float32' }
      : mismatch(
          'scatterAdd',
          `a row of dy for each id, that is dy of shape [${[...ids.shape, '…'].join(', ')}]`,
          describe(dy),
          'The leading axes of dy are those of ids.',
        )
  },
  reference: fresh(scatterLoop),
  wasm: scatterAddWasm,
  native: ({ attrs, output }, ids, dy) => {
    const flat = tf.reshape(dy, [ids.size, sizeOf(output.shape.slice(1))])
    const rows = tf.reshape<tf.Rank.R1>(checkedIds('scatterAdd', ids, attrs.rows), [ids.size])
    const sums = tf.unsortedSegmentSum(flat, rows, attrs.rows)
    return tf.reshape(sums, [...output.shape])
  },
  vjp: ({ dy }, ids) => [null, gather(dy, ids)],
})

/**
 * Rows of a table: `out[…, :] = table[ids[…], :]`, for a table [rows, …] and int32 ids of any shape.
 *
 * An id outside the table throws `OutOfRange`, on every engine. The gradient of the table adds up the rows.
 *
 * @example
 * ```ts
 * import { gather, tensor, toArray } from 'espalier/ops'
 *
 * const table = tensor([[1, 2], [3, 4], [5, 6]])
 * toArray(gather(table, tensor([2, 0], [2], 'int32'))) // => [[5, 6], [1, 2]]
 * ```
 */
export const gather = (table: Tensor, ids: Tensor): Tensor => apply(gatherOp, [table, ids], {})

/**
 * A table of zeros to which row `ids[…]` gets `dy[…, :]` added: the gradient of `gather`.
 *
 * @example
 * ```ts
 * import { scatterAdd, tensor, toArray } from 'espalier/ops'
 *
 * toArray(scatterAdd(tensor([1, 1], [2], 'int32'), tensor([[1, 2], [3, 4]]), 3)) // => [[0, 0], [4, 6], [0, 0]]
 * ```
 */
export const scatterAdd = (ids: Tensor, dy: Tensor, rows: number): Tensor => apply(scatterAddOp, [ids, dy], { rows })

const requirePositions = (name: string, leading: number | undefined, positions: TensorSpec): void => {
  requireInt(name, 'positions', positions)
  if (positions.shape.length !== 1 || positions.shape[0] !== leading)
    mismatch(
      name,
      `one position for each of the ${leading} rows of the batch`,
      describe(positions),
      'positions has shape [batch].',
    )
}

const takeLoop: Loop<Attrs> = (_, out, { shape, data }, positions) => {
  requireRange('takeRows', 'positions', positions.data, shape[1]!)
  copyRows(sizeOf(shape.slice(2)), data, out, (row) => row * shape[1]! + positions.data[row]!)
}

const takeRowsOp = define<Attrs>({
  name: 'takeRows',
  infer: (_, x, positions) => {
    axisOf('takeRows', 1, x.shape.length)
    requirePositions('takeRows', x.shape[0], positions)
    return { shape: [x.shape[0]!, ...x.shape.slice(2)], dtype: x.dtype }
  },
  reference: fresh(takeLoop),
  wasm: onHeap('takeRows', takeLoop),
  native: (_, x, positions) => {
    const [batch, length] = [x.shape[0], x.shape[1]!]
    const rows = tf.add(
      checkedIds('takeRows', positions, length),
      tf.mul(tf.range(0, batch, 1, 'int32'), tf.scalar(length, 'int32')),
    )
    return tf.gather(tf.reshape(x, [batch * length, ...x.shape.slice(2)]), rows)
  },
  vjp: ({ dy }, x, positions) => [
    x.dtype === 'float32' ? apply(putRowsOp, [dy, positions], { length: x.shape[1]! }) : null,
    null,
  ],
})

const putLoop: Loop<{ readonly length: number }> = ({ attrs }, out, dy, positions) => {
  requireRange('putRows', 'positions', positions.data, attrs.length)
  out.fill(0)
  const width = sizeOf(dy.shape.slice(1))
  for (let row = 0; row < positions.data.length; row++)
    out.set(dy.data.subarray(row * width, (row + 1) * width), (row * attrs.length + positions.data[row]!) * width)
}

// The gradient of takeRows: each row of dy at its position, zeros elsewhere.
const putRowsOp = define<{ readonly length: number }>({
  name: 'putRows',
  infer: ({ length }, dy, positions) => {
    requireFloat('putRows', 'dy', dy)
    requirePositions('putRows', dy.shape[0], positions)
    return { shape: [dy.shape[0]!, length, ...dy.shape.slice(1)], dtype: 'float32' }
  },
  reference: fresh(putLoop),
  wasm: onHeap('putRows', putLoop),
  vjp: ({ dy }, _, positions) => [takeRows(dy, positions), null],
})

/**
 * One position of axis 1 for each row of the batch: `out[b, …] = x[b, positions[b], …]`, x [batch, length, …].
 *
 * positions is int32 [batch]; one outside the length throws `OutOfRange`.
 *
 * @example
 * ```ts
 * import { takeRows, tensor, toArray } from 'espalier/ops'
 *
 * const x = tensor([[[1], [2]], [[3], [4]]])
 * toArray(takeRows(x, tensor([1, 0], [2], 'int32'))) // => [[2], [3]]
 * ```
 */
export const takeRows = (x: Tensor, positions: Tensor): Tensor => apply(takeRowsOp, [x, positions], {})

/** @internal */
export const gatherOps: readonly Op<never>[] = [gatherOp, scatterAddOp, takeRowsOp, putRowsOp]
