import { fail } from '../../tree/error.ts'
import type { MatmulAttrs } from '../attrs.ts'
import type { Kernel } from '../op.ts'
import { asTensor, asTf } from '../tf.ts'
import { parallel, produce, wasmKernels } from './index.ts'
import { sharedRows, tileColumns } from './tiles.ts'

/**
 * The matrix product on the WASM engine, in every transpose and batch at one speed.
 *
 * Never tfjs's own BatchMatMul: it falls back to a scalar loop for every transpose and batch, and keeps a packed copy of
 * the right operand that a reshape or an update in place makes wrong.
 *
 * @internal
 */
export const matmulWasm: Kernel<MatmulAttrs> = ([a, b], attrs, output) => {
  if (a === undefined || b === undefined || a.dtype !== 'float32' || b.dtype !== 'float32') {
    return fail({
      _tag: 'DTypeMismatch',
      path: 'matmul',
      expected: 'two float32 tensors',
      found: `${a?.dtype} and ${b?.dtype}`,
      hint: "Convert with `cast(x, 'float32')`.",
    })
  }
  return asTensor(
    produce('matmul', [asTf(a), asTf(b)], output, (c, aAt = 0, bAt = 0) =>
      multiply(plan(a.shape, b.shape, attrs), aAt, bAt, c),
    ),
  )
}

/** Whole products of the batch, or parts of C, to each thread; never parts of a sum, whose order is that of one thread. */
const multiply = ({ batch, rows, columns, depth, left, right }: Plan, a: number, b: number, c: number): void => {
  const part = (first: number, count: number, row: number, height: number, column: number, width: number) =>
    [
      count,
      height,
      width,
      depth,
      a + 4 * (first * left[0] + row * left[1]),
      ...left,
      b + 4 * (first * right[0] + column * right[2]),
      ...right,
      c + 4 * ((first * rows + row) * columns + column),
      columns,
    ] as const
  if (batch > wasmKernels().helpers.length) {
    const cost = rows * columns * depth
    parallel('matmul', batch, cost, (first, count) => part(first, count, 0, rows, 0, columns))
    return
  }
  for (let i = 0; i < batch; i++) {
    if (rows >= columns) {
      const cost = columns * depth
      parallel('matmul', rows, cost, (row, height) => part(i, 1, row, height, 0, columns), sharedRows)
    } else {
      const cost = rows * depth
      parallel('matmul', columns, cost, (column, width) => part(i, 1, 0, rows, column, width), tileColumns)
    }
  }
}

/** One call of the kernel, except for the addresses. */
interface Plan {
  readonly batch: number
  readonly rows: number
  readonly columns: number
  readonly depth: number
  readonly left: Strides
  readonly right: Strides
}

/** In elements: from matrix to matrix, from row to row, from column to column. */
type Strides = readonly [batch: number, row: number, column: number]

/** A transpose is two strides exchanged; a matrix shared by the whole batch is a batch stride of 0. */
const plan = (aShape: readonly number[], bShape: readonly number[], attrs: MatmulAttrs): Plan => {
  const a = matrices(aShape, attrs.transposeA)
  const b = matrices(bShape, attrs.transposeB)
  const size = { columns: b.columns, depth: a.columns, left: a.strides, right: b.strides }
  // With one right operand for all, the rows of an untransposed batch follow each other as those of one tall matrix: b is
  // then packed once.
  if (b.count === 1 && !attrs.transposeA) return { ...size, batch: 1, rows: a.count * a.rows }
  return { ...size, batch: a.count === 1 ? b.count : a.count, rows: a.rows }
}

const matrices = (shape: readonly number[], transposed: boolean) => {
  const [height = 1, width = 1] = shape.slice(-2)
  const count = shape.slice(0, -2).reduce((product, length) => product * length, 1)
  const step = count === 1 ? 0 : height * width
  return transposed
    ? { count, rows: width, columns: height, strides: [step, 1, width] as const }
    : { count, rows: height, columns: width, strides: [step, width, 1] as const }
}
