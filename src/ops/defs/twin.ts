import type { Tensor } from '../../tree/tensor.ts'
import { vjp } from '../tape.ts'
import type { Attrs, Backward } from '../op.ts'

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
