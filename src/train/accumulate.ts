import { add, equal, mul, scalar, where } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import { mapLabelled, zipTensors } from './labelled.ts'
import type { Labelled } from './labelled.ts'
import { requireParts, zerosLike } from './optimiser.ts'
import type { Optimiser } from './optimiser.ts'

/** What has come together since the last update, and the state of the optimiser that waits for it. */
export interface Accumulated<S> {
  /** An int32 scalar: micro-batches since the last update. */
  readonly filled: Tensor
  readonly sum: Labelled
  readonly inner: S
}

/**
 * Gradient accumulation: the parameters move once in `n` calls, by the mean of the `n` gradients; else by zeros.
 *
 * With `n` micro-batches of equal size, and a loss that is a mean over them, that is the step of one big batch. A loss
 * that is a mean over tokens weighs a batch of few tokens as much as one of many. Errors: `InvalidSetting`.
 *
 * @example
 * ```ts
 * import { accumulate, sgd } from 'espalier'
 * import { tensor, toArray } from 'espalier/ops'
 *
 * const { init, update } = accumulate(2, sgd({ rate: 1 }))
 * const params = { w: tensor([0]) }
 * const first = update({ w: tensor([1]) }, init(params), params)
 * toArray(first.updates.w!) // => [0]
 * toArray(update({ w: tensor([3]) }, first.state, params).updates.w!) // => [-2]
 * ```
 */
export const accumulate = <S>(n: number, optimiser: Optimiser<S>): Optimiser<Accumulated<S>> => {
  requireParts('accumulate.n', n)
  return {
    init: (params) => ({
      filled: scalar(0, 'int32'),
      sum: mapLabelled(params, zerosLike),
      inner: optimiser.init(params),
    }),
    update: (grads, { filled, sum, inner }, params) => {
      const count = add(filled, 1)
      // Which of the two it is lies in a tensor, so that a compiled step can do both.
      const due = equal(count, n)
      const total = mapLabelled(grads, (g, label) => add(sum[label]!, g))
      const mean = mapLabelled(total, (x) => mul(x, 1 / n))
      const { updates, state } = optimiser.update(mean, inner, params)
      return {
        updates: mapLabelled(updates, (u) => where(due, u, 0)),
        state: {
          filled: where(due, 0, count),
          sum: mapLabelled(total, (x) => where(due, 0, x)),
          inner: zipTensors(state, inner, (next, old) => where(due, next, old)),
        },
      }
    },
  }
}
