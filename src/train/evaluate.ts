import { compile, item, scope } from '../ops/index.ts'
import { batches } from './data.ts'
import type { Loss } from './grad.ts'

/** On what a model is judged. */
export interface EvaluateOptions<M, T, B> {
  readonly data: readonly T[]
  /** Makes a batch of examples; its tensors are freed after it was judged. */
  readonly collate: (examples: readonly T[]) => B
  readonly loss: Loss<M, B>
  /** Examples in a batch; all by default. */
  readonly batchSize?: number
}

/**
 * Makes an `evaluate` for `fit`: the mean loss over held-out examples, without dropout, each example weighed alike.
 *
 * It frees all that it allocates. Errors: `InvalidSetting` for a batch size that is none or no data, those of the loss.
 *
 * @example
 * ```ts
 * import { evaluateOn, param } from 'espalier'
 * import { mean, mul, scalar, tensor } from 'espalier/ops'
 *
 * const model = { w: param('vector', 'w', scalar(2)) }
 * const judge = evaluateOn({
 *   data: [1, 2, 3],
 *   collate: (xs) => tensor(xs),
 *   loss: (m: typeof model, x) => mean(mul(m.w.value, x)),
 *   batchSize: 2,
 * })
 * judge(model) // => { loss: 4 }
 * ```
 */
export const evaluateOn = <M, T, B>({
  data,
  collate,
  loss,
  batchSize = data.length,
}: EvaluateOptions<M, T, B>): ((model: M) => { readonly loss: number }) => {
  const parts = batches(data, { size: batchSize })
  const judge = compile((model: M, batch: B) => loss(model, batch, {}))
  return (model) => {
    const total = parts.reduce((sum, part) => sum + part.length * scope(() => item(judge(model, collate(part)))), 0)
    return { loss: total / data.length }
  }
}
