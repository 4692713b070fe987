import type { Ctx } from '../kind/index.ts'
import { add } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'

/** x + sublayer, normed after that where a model does so; the sublayer is told what it is added to, for adapters on it. */
export const besides = (
  around: Tensor,
  ctx: Ctx,
  sublayer: (ctx: Ctx) => Tensor,
  normed: (sum: Tensor) => Tensor = (sum) => sum,
): Tensor => {
  const join = (y: Tensor): Tensor => normed(add(y, around))
  return join(sublayer({ ...ctx, residual: { around, join } }))
}
