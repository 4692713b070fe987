import { add, div, maximum, mul, scalar, sqrt, square, sum, zeros } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import { mapLabelled } from './labelled.ts'
import type { Labelled } from './labelled.ts'
import { isCount, requireSetting } from './schedule.ts'
import type { Schedule } from './schedule.ts'

/**
 * A pure pair: the state to begin with, and what becomes of gradients and state at a step.
 *
 * `updates` are added to the parameters. Whatever changes from step to step is a tensor in the state, never a number, so
 * that a compiled step does not bake it in. Neither function frees anything.
 */
export interface Optimiser<S> {
  /** The state before the first step; what it allocates is the caller's. */
  readonly init: (params: Labelled) => S
  /** What to add to the parameters, and the next state, from gradients, state and parameters by label. */
  readonly update: (grads: Labelled, state: S, params: Labelled) => Updated<S>
}

/** What to add to the parameters, and the next state. */
export interface Updated<S> {
  readonly updates: Labelled
  readonly state: S
}

/** The state of what needs none. */
export interface Stateless {
  readonly none?: never
}

const stateless = (update: (grads: Labelled, params: Labelled) => Labelled): Optimiser<Stateless> => ({
  init: () => ({}),
  update: (grads, state, params) => ({ updates: update(grads, params), state }),
})

/**
 * One optimiser after another: each is given what the one before it made of the gradients.
 *
 * @example
 * ```ts
 * import { chain, clipByGlobalNorm, scaleByRate } from 'espalier'
 * import { tensor, toArray } from 'espalier/ops'
 *
 * const clipped = chain(clipByGlobalNorm(1), scaleByRate(0.5))
 * const params = { w: tensor([0, 0]) }
 * const { updates } = clipped.update({ w: tensor([0, 8]) }, clipped.init(params), params)
 * toArray(updates.w!) // => [-0, -0.5]
 * ```
 */
export const chain = <S extends readonly unknown[]>(
  ...parts: { readonly [I in keyof S]: Optimiser<S[I]> }
): Optimiser<S> => {
  const all = parts as readonly Optimiser<unknown>[]
  return {
    init: (params) => all.map((part) => part.init(params)) as unknown as S,
    update: (grads, states, params) => {
      const next: unknown[] = []
      const updates = all.reduce((before, part, i) => {
        const after = part.update(before, states[i], params)
        next.push(after.state)
        return after.updates
      }, grads)
      return { updates, state: next as unknown as S }
    },
  }
}

/**
 * The Euclidean norm of all tensors together, a scalar.
 *
 * @example
 * ```ts
 * import { globalNorm } from 'espalier'
 * import { item, tensor } from 'espalier/ops'
 *
 * item(globalNorm({ a: tensor([3]), b: tensor([[0, 4]]) })) // => 5
 * ```
 */
export const globalNorm = (all: Labelled): Tensor =>
  sqrt(Object.values(all).reduce((total, x) => add(total, sum(square(x))), scalar(0)))

/**
 * Scales all gradients by one factor so that their global norm is at most `norm`; smaller ones stay as they are.
 *
 * A norm beyond float32 gives NaN rather than a step of zero, so that training stops. Errors: `InvalidSetting`.
 *
 * @source Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", algorithm 1.
 * @example
 * ```ts
 * import { clipByGlobalNorm } from 'espalier'
 * import { tensor, toArray } from 'espalier/ops'
 *
 * const { updates } = clipByGlobalNorm(2).update({ a: tensor([0, 4]) }, {}, {})
 * toArray(updates.a!) // => [0, 2]
 * ```
 */
export const clipByGlobalNorm = (norm: number): Optimiser<Stateless> => {
  requireSetting('clipByGlobalNorm.norm', norm, norm > 0 && Number.isFinite(norm), 'a finite number > 0')
  return stateless((grads) => {
    const found = globalNorm(grads)
    // The second term is 0, and NaN where the norm is infinite.
    const factor = add(div(norm, maximum(found, norm)), mul(found, 0))
    return mapLabelled(grads, (g) => mul(g, factor))
  })
}

/** What momentum remembers. */
export interface TraceState {
  readonly trace: Labelled
}

/** How much of the past `trace` keeps. */
export interface TraceOptions {
  /** From 0 up to, but not including, 1. */
  readonly momentum: number
  /** Looks one step ahead along the trace; false by default. */
  readonly nesterov?: boolean
}

/**
 * Momentum: the trace is `momentum · trace + gradient`, and takes the gradient's place. Errors: `InvalidSetting`.
 *
 * @source Sutskever et al. 2013, "On the importance of initialization and momentum", §2.
 * @example
 * ```ts
 * import { trace } from 'espalier'
 * import { tensor, toArray } from 'espalier/ops'
 *
 * const { init, update } = trace({ momentum: 0.5 })
 * const grads = { w: tensor([1]) }
 * const first = update(grads, init(grads), grads)
 * toArray(update(grads, first.state, grads).updates.w!) // => [1.5]
 * ```
 */
export const trace = ({ momentum, nesterov = false }: TraceOptions): Optimiser<TraceState> => {
  requireSetting('trace.momentum', momentum, momentum >= 0 && momentum < 1, 'a number from 0 to less than 1')
  const decayed = (old: Labelled, grads: Labelled): Labelled =>
    mapLabelled(grads, (g, label) => add(mul(old[label]!, momentum), g))
  return {
    init: (params) => ({ trace: mapLabelled(params, zerosLike) }),
    update: (grads, state) => {
      const next = decayed(state.trace, grads)
      return { updates: nesterov ? decayed(next, grads) : next, state: { trace: next } }
    },
  }
}

/** Which parameters decay. */
export interface DecayOptions {
  /** By label; every trainable parameter by default, biases and norms too. */
  readonly decays?: (label: string) => boolean
}

/**
 * Adds `decay · parameter` to the update: decoupled weight decay when it stands after the scaling by moments.
 *
 * It reaches every trainable parameter that `decays` does not leave out, and never a frozen one. Errors: `InvalidSetting`.
 *
 * @source Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
 * @example
 * ```ts
 * import { addDecayedWeights } from 'espalier'
 * import { tensor, toArray } from 'espalier/ops'
 *
 * const decay = addDecayedWeights(0.5, { decays: (label) => !label.endsWith('bias') })
 * const zero = { weight: tensor([0]), bias: tensor([0]) }
 * const { updates } = decay.update(zero, {}, { weight: tensor([4]), bias: tensor([4]) })
 * toArray(updates.weight!) // => [2]
 * toArray(updates.bias!) // => [0]
 * ```
 */
export const addDecayedWeights = (decay: number, { decays = () => true }: DecayOptions = {}): Optimiser<Stateless> => {
  requireSetting('addDecayedWeights.decay', decay, decay >= 0 && Number.isFinite(decay), 'a finite number >= 0')
  return stateless((grads, params) =>
    mapLabelled(grads, (g, label) => (decay > 0 && decays(label) ? add(g, mul(params[label]!, decay)) : g)),
  )
}

/** How many updates there were. */
export interface CountState {
  /** An int32 scalar. */
  readonly count: Tensor
}

/**
 * Turns updates round and scales them: what is added to the parameters is `-rate · update`.
 *
 * A schedule is asked with the number of updates before this one, so 0 at first. Errors: `InvalidSetting`.
 *
 * @example
 * ```ts
 * import { linearRate, scaleByRate } from 'espalier'
 * import { tensor, toArray } from 'espalier/ops'
 *
 * const falling = scaleByRate(linearRate({ from: 1, to: 0, steps: 4 }))
 * const grads = { w: tensor([2]) }
 * const first = falling.update(grads, falling.init(grads), grads)
 * toArray(first.updates.w!) // => [-2]
 * toArray(falling.update(grads, first.state, grads).updates.w!) // => [-1.5]
 * ```
 */
export const scaleByRate = (rate: number | Schedule): Optimiser<CountState> => {
  if (typeof rate !== 'function')
    requireSetting('scaleByRate.rate', rate, Number.isFinite(rate) && rate >= 0, 'a finite number >= 0')
  const factorAt = (count: Tensor): Tensor | number => (typeof rate === 'number' ? -rate : mul(rate(count), -1))
  return {
    init: () => ({ count: scalar(0, 'int32') }),
    update: (grads, { count }) => {
      const factor = factorAt(count)
      return { updates: mapLabelled(grads, (g) => mul(g, factor)), state: { count: add(count, 1) } }
    },
  }
}

/** Zeros in the shape of a parameter. @internal */
export const zerosLike = ({ shape }: Tensor): Tensor => zeros(shape)

/** Refuses a number of micro-batches that is none. @internal */
export const requireParts = (path: string, n: number): void =>
  requireSetting(path, n, isCount(n) && n > 0, 'a whole number > 0')
