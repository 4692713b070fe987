import type { DType, Tensor } from '../tree/tensor.ts'
import { apply } from './dispatch.ts'
import { isOwned } from './memory.ts'
import type { Attrs, Data, Op } from './op.ts'
import { isSymbolic } from './symbolic.ts'
import { upload } from './native/upload.ts'
import { allocate, sizeOf } from './shape-rules.ts'
import { asTensor, asTf, fromData, tf } from './tf.ts'

/** The same elements under a new handle. */
export const identityOp: Op = {
  name: 'identity',
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  reference: ([x]) => x!.data,
  accelerated: ([x]) => asTensor(tf.clone(asTf(x!))),
  vjp: ({ dy }) => [dy],
}

/** A new handle on the same elements: freeing one of the two leaves the other alive. @internal */
export const identity = (x: Tensor): Tensor => apply(identityOp, [x], {})

/** The elements of x, but not before those of its second input are there: for what must not start, or be merged, early. */
export const afterOp: Op = {
  ...identityOp,
  name: 'after',
  vjp: ({ dy }) => [dy, null],
}

/** `x` once `earlier` is there, under a new handle. @internal */
export const after = (x: Tensor, earlier: Tensor): Tensor => apply(afterOp, [x, earlier], {})

/**
 * A function that gives handles the caller may free one by one: what the open scope owns as it is, anything else
 * under a new handle.
 *
 * @internal
 */
export const ownHandles = (): ((t: Tensor) => Tensor) => {
  const taken = new Set<Tensor>()
  return (t) => {
    const own = (isSymbolic(t) || isOwned(t)) && !taken.has(t) ? t : identity(t)
    taken.add(own)
    return own
  }
}

/** A tensor of one value. */
export interface FillAttrs extends Attrs {
  readonly shape: readonly number[]
  readonly dtype: DType
  readonly value: number
}

/** An op without inputs, so that a recording sees it as one small node. */
export const fillOp: Op<FillAttrs> = {
  name: 'fill',
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
  reference: (_, { value }, { shape, dtype }) => allocate(dtype, sizeOf(shape)).fill(value),
}

/** Elements that were there before the op. */
export interface ConstantAttrs extends Attrs {
  readonly shape: readonly number[]
  readonly dtype: DType
  readonly data: Data
}

/** An op without inputs that hands out given elements; their array then belongs to it. */
export const constantOp: Op<ConstantAttrs> = {
  name: 'constant',
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
  reference: (_, { data }) => data,
  // tfjs-node would hold the array besides its own copy until the tensor is used: a model would be in memory twice.
  native: (_, { data }, { shape, dtype }) => {
    const made = fromData(data, shape, dtype)
    upload(made)
    return made
  },
}
