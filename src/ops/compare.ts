import type { Tensor } from '../tree/tensor.ts'
import { read } from './create.ts'

/**
 * Whether two tensors have the same shape, dtype and elements; −0 equals 0, NaN equals NaN.
 *
 * @example
 * ```ts
 * import { sameTensor, tensor } from 'espalier/ops'
 *
 * sameTensor(tensor([0, 1]), tensor([-0, 1])) // => true
 * sameTensor(tensor([0, 1]), tensor([[0, 1]])) // => false
 * ```
 */
export const sameTensor = (a: Tensor, b: Tensor): boolean => {
  if (a === b) return true
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false
  const [x, y] = [read(a), read(b)]
  return x.every((v, i) => v === y[i] || (Number.isNaN(v) && Number.isNaN(y[i])))
}
