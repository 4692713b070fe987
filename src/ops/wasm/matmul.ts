import { fail } from '../../tree/error.ts'
import type { MatmulAttrs } from '../defs/matmul.ts'
import type { Kernel } from '../op.ts'
import { asTensor, asTf } from '../tf.ts'
import { parallel, produce } from './index.ts'

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
  const { batch, rows, columns, depth, left, right } = plan(a.shape, b.shape, attrs)
  return asTensor(
    produce('matmul', [asTf(a), asTf(b)], output, (c, aAt = 0, bAt = 0) =>
      parallel('matmul', batch, rows * columns * depth, (first, count) => [
        count,
        rows,
        columns,
        depth,
        aAt + 4 * first * left[0],
        ...left,
        bAt + 4 * first * right[0],
        ...right,
        c + 4 * first * rows * columns,
      ]),
    ),
  )
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
