import type { Tensor, TensorSpec } from '../tree/tensor.ts'

interface Symbolic extends Tensor {
  readonly symbolic: true
}

let created = 0

/** A handle with a shape and no memory; ids count down from -1, tfjs's own count up. @internal */
export const symbolic = ({ shape, dtype }: TensorSpec): Tensor => {
  created += 1
  const size = shape.reduce((product, length) => product * length, 1)
  const handle: Symbolic = { id: -created, shape, dtype, size, isDisposed: false, symbolic: true }
  return Object.freeze(handle)
}

/** True for a handle that a recording made. @internal */
export const isSymbolic = (t: Tensor): boolean => 'symbolic' in t
