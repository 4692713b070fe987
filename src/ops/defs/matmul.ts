import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import type { MatmulAttrs } from '../attrs.ts'
import { apply } from '../dispatch.ts'
import type { Op, OwnNode } from '../op.ts'
import { prefersOwnMatmul } from '../native/custom.ts'
import { tf } from '../tf.ts'
import { matmulWasm } from '../wasm/matmul.ts'
import { reshape } from './broadcast.ts'
import { define } from './define.ts'
import { transpose } from './shape.ts'
import { describe, mismatch, requireFloat, type Shape, sizeOf } from '../shape-rules.ts'

const leading = (shape: Shape): Shape => shape.slice(0, -2)

/** Rows and columns of a factor as it is multiplied. */
const sides = (shape: Shape, transposed: boolean): readonly [rows: number, columns: number] => {
  const [rows, columns] = [shape.at(-2)!, shape.at(-1)!]
  return transposed ? [columns, rows] : [rows, columns]
}

const swapLast = (x: Tensor): Tensor => {
  const rank = x.shape.length
  return transpose(x, [...Array(rank - 2).keys(), rank - 1, rank - 2])
}

/** All rows of a batch of matrices under each other. */
const flattenRows = (x: Tensor): Tensor => reshape(x, [sizeOf(x.shape.slice(0, -1)), x.shape.at(-1)!])

/** One right factor for all rows, which are then those of one matrix. */
const asRows = <S extends TensorSpec>(
  a: S,
  b: S,
  transposeA: boolean,
): readonly [rows: number, depth: number] | undefined => {
  if (b.shape.length !== 2 || (transposeA && a.shape.length > 2)) return undefined
  const [m, k] = sides(a.shape, transposeA)
  return [sizeOf(leading(a.shape)) * m, k]
}

const matmulNode: OwnNode<MatmulAttrs> = {
  serves: ([a, b], { transposeA, transposeB }) => {
    const size = asRows(a!, b!, transposeA)
    return size !== undefined && prefersOwnMatmul(...size, sides(b!.shape, transposeB)[1], transposeA, transposeB)
  },
  write: (to, [a, b], { transposeA, transposeB }, { shape, dtype }) => {
    const rows = a!.shape.length === 2 ? a! : to.reshape(a!, asRows(a!, b!, transposeA)!)
    const attrs = { transpose_a: transposeA, transpose_b: transposeB }
    const flat = { shape: [sizeOf(shape.slice(0, -1)), shape.at(-1)!], dtype }
    return to.reshape(to.node('EspalierMatMul', [rows, b!], attrs, flat), shape)
  },
}

const base = define<MatmulAttrs>({
  name: 'matmul',
  infer: ({ transposeA, transposeB }, a, b) => {
    requireFloat('matmul', 'a', a)
    requireFloat('matmul', 'b', b)
    const found = `${describe(a)}${transposeA ? ' transposed' : ''} times ${describe(b)}${transposeB ? ' transposed' : ''}`
    if (a.shape.length < 2 || b.shape.length < 2)
      return mismatch('matmul', 'factors with at least two axes', found, 'reshape a vector to [1, n] or [n, 1].')
    const [m, k] = sides(a.shape, transposeA)
    const [rows, n] = sides(b.shape, transposeB)
    if (k !== rows)
      return mismatch(
        'matmul',
        'as many columns on the left as rows on the right',
        `${k} and ${rows} in ${found}`,
        'Did you mean transposeA or transposeB?',
      )
    if (b.shape.length > 2 && String(leading(a.shape)) !== String(leading(b.shape)))
      return mismatch(
        'matmul',
        'equal leading axes, or a right factor with two axes',
        found,
        'broadcastTo repeats a factor along the batch.',
      )
    return { shape: [...leading(a.shape), m, n], dtype: 'float32' }
  },
  reference: ({ attrs: { transposeA, transposeB }, output }, a, b) => {
    const [m, k] = sides(a.shape, transposeA)
    const [, n] = sides(b.shape, transposeB)
    const [rowA, stepA] = transposeA ? [1, m] : [k, 1]
    const [stepB, columnB] = transposeB ? [1, k] : [n, 1]
    const batchB = b.shape.length > 2 ? k * n : 0
    const out = new Float32Array(sizeOf(output.shape))
    for (let batch = 0; batch < sizeOf(leading(a.shape)); batch++)
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let total = 0
          let atA = batch * m * k + i * rowA
          let atB = batch * batchB + j * columnB
          for (let p = 0; p < k; p++, atA += stepA, atB += stepB) total += a.data[atA]! * b.data[atB]!
          out[(batch * m + i) * n + j] = total
        }
    return out
  },
  own: matmulNode,
  native: ({ attrs: { transposeA, transposeB }, output }, a, b) => {
    if (a.rank === b.rank) return tf.matMul(a, b, transposeA, transposeB)
    const order = [...Array(a.rank - 2).keys(), a.rank - 1, a.rank - 2]
    const rows = transposeA ? tf.transpose(a, order) : a
    const flat = tf.reshape(rows, [sizeOf(rows.shape.slice(0, -1)), rows.shape.at(-1)!])
    return tf.reshape(tf.matMul(flat, b, false, transposeB), [...output.shape])
  },
  vjp: ({ dy, attrs: { transposeA, transposeB }, needs }, a, b) => [
    needs[0] ? leftGradient(dy, b, transposeA, transposeB) : null,
    needs[1] ? rightGradient(dy, a, b, transposeA, transposeB) : null,
  ],
})

const leftGradient = (dy: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor => {
  if (!transposeA) return matmul(dy, b, { transposeB: !transposeB })
  return b.shape.length === dy.shape.length
    ? matmul(b, dy, { transposeA: transposeB, transposeB: true })
    : swapLast(matmul(dy, b, { transposeB: !transposeB }))
}

const rightGradient = (dy: Tensor, a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor => {
  if (a.shape.length > b.shape.length) {
    // One right factor served the whole batch: under each other, the rows of all batches sum its gradient.
    const rows = flattenRows(transposeA ? swapLast(a) : a)
    return rightGradient(flattenRows(dy), rows, b, false, transposeB)
  }
  return transposeB
    ? matmul(dy, a, { transposeA: true, transposeB: transposeA })
    : matmul(a, dy, { transposeA: !transposeA })
}

/** @internal */
export const matmulOp: Op<MatmulAttrs> = { ...base, wasm: matmulWasm }

/** How `matmul` reads its factors; both false by default. */
export interface MatmulOptions {
  readonly transposeA?: boolean
  readonly transposeB?: boolean
}

/**
 * The matrix product over the last two axes, of float32 tensors.
 *
 * Shapes: [m, k] × [k, n]; a batch of each, [..., m, k] × [..., k, n] with equal leading axes; or a batch with one right
 * factor, [..., m, k] × [k, n]. `transposeA` and `transposeB` read a factor as [..., k, m] or [..., n, k]. Anything else
 * throws a `ShapeMismatch` that shows both shapes.
 *
 * @example
 * ```ts
 * import { matmul, tensor, toArray } from 'espalier/ops'
 *
 * const a = tensor([[1, 2], [3, 4]])
 * toArray(matmul(a, tensor([[1], [10]]))) // => [[21], [43]]
 * toArray(matmul(a, a, { transposeB: true })) // => [[5, 11], [11, 25]]
 * ```
 */
export const matmul = (a: Tensor, b: Tensor, { transposeA = false, transposeB = false }: MatmulOptions = {}): Tensor =>
  apply(matmulOp, [a, b], { transposeA, transposeB })

/** @internal */
export const matmulOps: readonly Op<never>[] = [matmulOp]
