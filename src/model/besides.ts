import type { Ctx } from '../kind/index.ts'
import { add } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'

/** The norms behind a sublayer, of those that a model has. */
export interface Norms {
  /** Of what the sublayer gives, before it is added. */
  readonly before?: (y: Tensor) => Tensor
  /** Of the sum. */
  readonly after?: (sum: Tensor) => Tensor
}

const same = (x: Tensor): Tensor => x

/** around + sublayer, normed where a model does so; the sublayer is told what it is added to, for adapters on it. */
export const besides = (
  around: Tensor,
  ctx: Ctx,
  sublayer: (ctx: Ctx) => Tensor,
  { before = same, after = same }: Norms = {},
): Tensor => {
  const join = (y: Tensor): Tensor => after(add(before(y), around))
  return join(sublayer({ ...ctx, residual: { around, join } }))
}
