import type { Tensor } from '../../tree/tensor.ts'
import { under } from '../interpreters.ts'
import { scope } from '../memory.ts'
import type { Attrs, Backward, Kernel } from '../op.ts'
import { vjp } from '../tape.ts'

/**
 * The derivative of a fused op as that of its unfused twin, written in other ops.
 *
 * Fused ops appear in gradients; this is what makes the gradient of such a gradient right without a third formula.
 *
 * @internal
 */
export const throughTwin = (
  { dy, inputs, needs }: Backward<Attrs>,
  twin: (...inputs: Tensor[]) => Tensor,
): readonly (Tensor | null)[] => {
  const wanted = inputs.map((input, i) => needs[i] === true && input.dtype === 'float32')
  const { grads } = vjp(
    () => twin(...inputs),
    inputs.filter((_, i) => wanted[i]),
    dy,
  )
  const remaining = [...grads]
  return wanted.map((want) => (want ? (remaining.shift() ?? null) : null))
}

/**
 * The kernel of a fused op where an engine has none of its own: its unfused twin, unseen by tapes and recordings.
 *
 * @internal
 */
export const asKernel =
  <A extends Attrs>(twin: (attrs: A, ...inputs: Tensor[]) => Tensor): Kernel<A> =>
  (inputs, attrs) =>
    under({ tapes: [], recorder: undefined }, () => scope(() => twin(attrs, ...inputs)))
