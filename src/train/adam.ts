import { adamDirection, add, blend, blendSquare, cast, div, expm1, mul, scalar, sqrt } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import { mapLabelled } from './labelled.ts'
import type { Labelled } from './labelled.ts'
import { addDecayedWeights, chain, clipByGlobalNorm, scaleByRate, trace, zerosLike } from './optimiser.ts'
import type { CountState, DecayOptions, Optimiser, Stateless, TraceOptions, TraceState } from './optimiser.ts'
import { requireSetting } from './schedule.ts'
import type { Schedule } from './schedule.ts'

/** The moments that Adam keeps of each gradient. */
export interface AdamState extends CountState {
  readonly mean: Labelled
  /** The mean of the squares, not centred. */
  readonly square: Labelled
}

/** How long Adam remembers. */
export interface AdamOptions {
  /** What is kept of the mean and of the mean square at each step; [0.9, 0.999] by default. */
  readonly betas?: readonly [mean: number, square: number]
  /** Added to the root of the mean square; 1e-8 by default. */
  readonly eps?: number
}

/**
 * Adam without its rate: the mean of the gradients over the root of the mean of their squares, both corrected for bias.
 *
 * Errors: `InvalidSetting`.
 *
 * @source Kingma & Ba 2015, "Adam", algorithm 1.
 * @example
 * ```ts
 * import { scaleByAdam } from 'espalier'
 * import { read, tensor } from 'espalier/ops'
 *
 * const { init, update } = scaleByAdam()
 * const grads = { w: tensor([100, -0.01]) }
 * const { updates } = update(grads, init(grads), grads)
 * Array.from(read(updates.w!), Math.round) // => [1, -1]
 * ```
 */
export const scaleByAdam = ({ betas = [0.9, 0.999], eps = 1e-8 }: AdamOptions = {}): Optimiser<AdamState> => {
  betas.forEach((beta, i) =>
    requireSetting(`scaleByAdam.betas.${i}`, beta, beta >= 0 && beta < 1, 'a number from 0 to less than 1'),
  )
  requireSetting('scaleByAdam.eps', eps, eps >= 0 && Number.isFinite(eps), 'a finite number >= 0')
  const [keptMean, keptSquare] = betas
  return {
    init: (params) => ({
      count: scalar(0, 'int32'),
      mean: mapLabelled(params, zerosLike),
      square: mapLabelled(params, zerosLike),
    }),
    update: (grads, state) => {
      const count = add(state.count, 1)
      const mean = mapLabelled(grads, (g, label) => blend(state.mean[label]!, g, keptMean))
      const squares = mapLabelled(grads, (g, label) => blendSquare(state.square[label]!, g, keptSquare))
      // The bias of both goes into two scalars of the denominator: a pass over the parameters less.
      const bias = unbiased(count, keptMean)
      const scale = div(bias, sqrt(unbiased(count, keptSquare)))
      const floor = mul(bias, eps)
      const updates = mapLabelled(grads, (_, label) => adamDirection(mean[label]!, squares[label]!, scale, floor))
      return { updates, state: { count, mean, square: squares } }
    },
  }
}

/** `1 - beta^count`: as it stands it would lose half its digits in float32 at the first steps. */
const unbiased = (count: Tensor, beta: number): Tensor => mul(expm1(mul(cast(count, 'float32'), Math.log(beta))), -1)

/** How `adamw` steps. */
export interface AdamWOptions extends AdamOptions, DecayOptions {
  readonly rate: number | Schedule
  /** Decoupled weight decay; 0.01 by default. */
  readonly weightDecay?: number
  /** The largest global norm of the gradients; not clipped by default. */
  readonly clip?: number
}

/** The state of `adamw`: of clipping, the moments, the decay and the rate. */
export type AdamWState = readonly [Stateless, AdamState, Stateless, CountState]

/**
 * AdamW: Adam with decoupled weight decay on every trainable parameter that `decays` does not leave out.
 *
 * Errors: `InvalidSetting`.
 *
 * @source Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
 * @example
 * ```ts
 * import { adamw } from 'espalier'
 * import { read, tensor } from 'espalier/ops'
 *
 * const { init, update } = adamw({ rate: 0.1, weightDecay: 0 })
 * const params = { w: tensor([3, 3]) }
 * const { updates } = update({ w: tensor([7, -7]) }, init(params), params)
 * Array.from(read(updates.w!), (x) => Math.round(x * 1000) / 1000) // => [-0.1, 0.1]
 * ```
 */
export const adamw = ({ rate, weightDecay = 0.01, clip, ...options }: AdamWOptions): Optimiser<AdamWState> =>
  chain<AdamWState>(
    clip === undefined ? unchanged : clipByGlobalNorm(clip),
    scaleByAdam(options),
    addDecayedWeights(weightDecay, options),
    scaleByRate(rate),
  )

/** How `sgd` steps. */
export interface SgdOptions extends Partial<TraceOptions> {
  readonly rate: number | Schedule
  /** The largest global norm of the gradients; not clipped by default. */
  readonly clip?: number
}

/** The state of `sgd`: of clipping, the momentum and the rate. */
export type SgdState = readonly [Stateless, Stateless | TraceState, CountState]

/**
 * Stochastic gradient descent, with momentum if asked for. Errors: `InvalidSetting`.
 *
 * @source Robbins & Monro 1951, "A stochastic approximation method".
 * @example
 * ```ts
 * import { sgd } from 'espalier'
 * import { tensor, toArray } from 'espalier/ops'
 *
 * const { init, update } = sgd({ rate: 0.5 })
 * const params = { w: tensor([3]) }
 * toArray(update({ w: tensor([2]) }, init(params), params).updates.w!) // => [-1]
 * ```
 */
export const sgd = ({ rate, momentum = 0, nesterov = false, clip }: SgdOptions): Optimiser<SgdState> =>
  chain<SgdState>(
    clip === undefined ? unchanged : clipByGlobalNorm(clip),
    (momentum === 0 ? unchanged : trace({ momentum, nesterov })) as Optimiser<Stateless | TraceState>,
    scaleByRate(rate),
  )

/** Passes gradients on as they are. @internal */
export const unchanged: Optimiser<Stateless> = {
  init: () => ({}),
  update: (grads, state) => ({ updates: grads, state }),
}
