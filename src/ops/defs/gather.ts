import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import type { Attrs, Data, Op } from '../op.ts'
import { tf } from '../tf.ts'
import { define } from './define.ts'
import {
  axisOf,
  describe,
  mismatch,
  requireFloat,
  requireInt,
  requireRange,
  type Shape,
  sizeOf,
} from './shape-rules.ts'

const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((length, i) => length === b[i])

const readIds = (name: string, ids: tf.Tensor, limit: number): void =>
  requireRange(name, 'ids', ids.dataSync<'int32'>(), limit)

/** Copies `count` rows of `width` elements to the target, one after the other; row `from(i)` of the source is the i-th. */
const copyRows = (count: number, width: number, source: Data, target: Data, from: (i: number) => number): Data => {
  for (let i = 0; i < count; i++) target.set(source.subarray(from(i) * width, (from(i) + 1) * width), i * width)
  return target
}

const allocateLike = (data: Data, size: number): Data => new (data.constructor as new (size: number) => Data)(size)

const gatherOp = define<Attrs>({
  name: 'gather',
  infer: (_, table, ids) => {
    axisOf('gather', 0, table.shape.length)
    requireInt('gather', 'ids', ids)
    return { shape: [...ids.shape, ...table.shape.slice(1)], dtype: table.dtype }
  },
  reference: ({ output }, table, ids) => {
    requireRange('gather', 'ids', ids.data, table.shape[0]!)
    const out = allocateLike(table.data, sizeOf(output.shape))
    return copyRows(ids.data.length, sizeOf(table.shape.slice(1)), table.data, out, (i) => ids.data[i]!)
  },
  accelerated: (_, table, ids) => {
    readIds('gather', ids, table.shape[0]!)
    return tf.gather(table, ids as tf.Tensor1D)
  },
  vjp: ({ dy }, table, ids) => [table.dtype === 'float32' ? scatterAdd(ids, dy, table.shape[0]!) : null, null],
})

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
  reference: ({ attrs, output }, ids, dy) => {
    requireRange('scatterAdd', 'ids', ids.data, attrs.rows)
    const out = new Float32Array(sizeOf(output.shape))
    addRows(ids.data, dy.data, out)
    return out
  },
  wasm: ({ attrs, output }, ids, dy) => {
    // tfjs has no such kernel on WASM. Adding in place spares the copy of a table that is nearly all zeros.
    const positions = ids.dataSync<'int32'>()
    requireRange('scatterAdd', 'ids', positions, attrs.rows)
    const rows = dy.dataSync<'float32'>()
    // oxlint-disable-next-line unicorn/no-array-fill-with-reference-type -- tfjs's fill, not Array's
    const table = tf.fill([...output.shape], 0)
    const backend = tf.backend() as unknown as { typedArrayFromHeap: (x: tf.Tensor) => Float32Array }
    addRows(positions, rows, backend.typedArrayFromHeap(table))
    return table
  },
  native: ({ attrs, output }, ids, dy) => {
    readIds('scatterAdd', ids, attrs.rows)
    const flat = tf.reshape(dy, [ids.size, sizeOf(output.shape.slice(1))])
    const sums = tf.unsortedSegmentSum(flat, tf.reshape(ids, [ids.size]) as tf.Tensor1D, attrs.rows)
    return tf.reshape(sums, [...output.shape])
  },
  vjp: ({ dy }, ids) => [null, gather(dy, ids)],
})

const addRows = (ids: ArrayLike<number>, rows: ArrayLike<number>, table: Float32Array): void => {
  const width = rows.length / ids.length
  for (let i = 0; i < ids.length; i++) {
    const at = ids[i]! * width
    for (let j = 0; j < width; j++) table[at + j]! += rows[i * width + j]!
  }
}

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

const takeRowsOp = define<Attrs>({
  name: 'takeRows',
  infer: (_, x, positions) => {
    axisOf('takeRows', 1, x.shape.length)
    requirePositions('takeRows', x.shape[0], positions)
    return { shape: [x.shape[0]!, ...x.shape.slice(2)], dtype: x.dtype }
  },
  reference: ({ output }, { shape, data }, positions) => {
    requireRange('takeRows', 'positions', positions.data, shape[1]!)
    const out = allocateLike(data, sizeOf(output.shape))
    return copyRows(shape[0]!, sizeOf(shape.slice(2)), data, out, (row) => row * shape[1]! + positions.data[row]!)
  },
  accelerated: (_, x, positions) => {
    const [batch, length] = [x.shape[0]!, x.shape[1]!]
    readIds('takeRows', positions, length)
    const rows = tf.add(positions, tf.mul(tf.range(0, batch, 1, 'int32'), tf.scalar(length, 'int32')))
    return tf.gather(tf.reshape(x, [batch * length, ...x.shape.slice(2)]), rows as tf.Tensor1D)
  },
  vjp: ({ dy }, x, positions) => [
    x.dtype === 'float32' ? apply(putRowsOp, [dy, positions], { length: x.shape[1]! }) : null,
    null,
  ],
})

// The gradient of takeRows: each row of dy at its position, zeros elsewhere.
const putRowsOp = define<{ readonly length: number }>({
  name: 'putRows',
  infer: ({ length }, dy, positions) => {
    requireFloat('putRows', 'dy', dy)
    requirePositions('putRows', dy.shape[0], positions)
    return { shape: [dy.shape[0]!, length, ...dy.shape.slice(1)], dtype: 'float32' }
  },
  reference: ({ attrs, output }, dy, positions) => {
    requireRange('putRows', 'positions', positions.data, attrs.length)
    const out = new Float32Array(sizeOf(output.shape))
    const width = sizeOf(dy.shape.slice(1))
    positions.data.forEach((position, row) =>
      out.set(dy.data.subarray(row * width, (row + 1) * width), (row * attrs.length + position) * width),
    )
    return out
  },
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
