import { fail } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import { isSymbolic } from './symbolic.ts'

/** Refuses a handle without elements. @internal */
export const refuseSymbolic = (what: string, t: Tensor): void => {
  if (!isSymbolic(t)) return
  fail({
    _tag: 'SymbolicTensor',
    path: what,
    expected: 'a tensor with elements',
    found: `a symbolic tensor of shape [${t.shape.join(', ')}], made while a function was recorded`,
    hint: 'A recorded function must not read values back, nor let its tensors out except as results.',
  })
}

/** Refuses a handle whose memory was given back. @internal */
export const refuseDisposed = (what: string, t: Tensor): void => {
  if (!t.isDisposed) return
  fail({
    _tag: 'DisposedTensor',
    path: what,
    expected: 'a live tensor',
    found: `one of shape [${t.shape.join(', ')}] whose memory was given back`,
    hint: 'It was released, or made inside a scope that did not return it.',
  })
}
