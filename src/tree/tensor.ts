/** Element types a tensor can have. */
export type DType = 'float32' | 'int32' | 'bool'

/**
 * An opaque handle on an immutable n-dimensional array; `espalier/ops` makes and reads them.
 *
 * The tree only ever looks at these fields: it knows no tensor library.
 */
export interface Tensor {
  /** Unique in this process. */
  readonly id: number
  /** Length of each axis; `[]` for a scalar. */
  readonly shape: readonly number[]
  readonly dtype: DType
  /** Number of elements. */
  readonly size: number
  /** True once its memory has been given back. */
  readonly isDisposed: boolean
}

/** What is known of a tensor before it is computed. */
export type TensorSpec = Pick<Tensor, 'shape' | 'dtype'>

/**
 * Tells a tensor handle from a tree node or plain data.
 *
 * @example
 * ```ts
 * import { isTensor, zeros } from 'espalier/ops'
 *
 * isTensor(zeros([2])) // => true
 * isTensor([0, 0]) // => false
 * ```
 */
export const isTensor = (x: unknown): x is Tensor =>
  typeof x === 'object' && x !== null && 'isDisposed' in x && 'dtype' in x && 'shape' in x
