import {
  abs,
  add,
  blend,
  cast,
  concat,
  div,
  equal,
  greater,
  less,
  matmul,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  ones,
  reshape,
  scalar,
  scope,
  slice,
  square,
  sub,
  sum,
  tensor,
  where,
} from '../ops/index.ts'
import { fail } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import { places } from '../tree/walk.ts'
import type { AdaLora } from '../weight/index.ts'
import { identity } from '../weight/rotation.ts'
import { mapLabelled } from './labelled.ts'
import type { Labelled } from './labelled.ts'
import { zerosLike } from './optimiser.ts'
import type { Optimiser } from './optimiser.ts'
import { isCount, requireSetting } from './schedule.ts'

/** When and how far AdaLoRA prunes. */
export interface AdaLoraOptions {
  /** The rank that is kept at the end, on average over the weights. */
  readonly targetRank: number
  /** Updates in all. */
  readonly total: number
  /** Updates before pruning begins; 0 by default. */
  readonly warmup?: number
  /** Updates at the end in which what is pruned no longer changes; 0 by default. */
  readonly final?: number
  /** Updates from one pruning to the next; 1 by default. */
  readonly every?: number
  /** What is kept of the smoothed sensitivity at each update; 0.85 by default. */
  readonly beta1?: number
  /** What is kept of its smoothed uncertainty; 0.85 by default. */
  readonly beta2?: number
}

/** What the schedule remembers beside the optimiser's own state. */
export interface AdaLoraState<S> {
  readonly inner: S
  /** Updates so far, an int32 scalar. */
  readonly count: Tensor
  /** Smoothed |w·g| of each parameter of a triplet, and how far it swings. */
  readonly sensitivity: Labelled
  readonly uncertainty: Labelled
  /** 1 for each direction that is kept, 0 for each that is pruned, [all directions]. */
  readonly kept: Tensor
}

/** The labels of one weight's triplets, and how many there are. */
interface Triplets {
  readonly a: string
  readonly e: string
  readonly b: string
  readonly rank: number
}

/** Each E with the A and B beside it. */
const tripletsOf = (params: Labelled): readonly Triplets[] =>
  Object.keys(params).flatMap((e) => {
    if (!/(^|\.)e$/.test(e)) return []
    const [a, b] = [`${e.slice(0, -1)}a`, `${e.slice(0, -1)}b`]
    const rank = params[e]?.shape[0] ?? 0
    const fits = params[e]?.shape.length === 1 && params[a]?.shape[1] === rank && params[b]?.shape[0] === rank
    return fits ? [{ a, e, b, rank }] : []
  })

const requireSettings = ({
  targetRank,
  total,
  warmup = 0,
  final = 0,
  every = 1,
  beta1 = 0.85,
  beta2 = 0.85,
}: AdaLoraOptions) => {
  const whole = (name: string, n: number, least: number): void =>
    requireSetting(`adaloraSchedule.${name}`, n, isCount(n) && n >= least, `a whole number >= ${least}`)
  whole('targetRank', targetRank, 1)
  whole('warmup', warmup, 0)
  whole('final', final, 0)
  whole('every', every, 1)
  whole('total', total, 1)
  requireSetting('adaloraSchedule.total', total, total > warmup + final, 'a whole number > warmup + final')
  for (const [name, beta] of Object.entries({ beta1, beta2 }))
    requireSetting(`adaloraSchedule.${name}`, beta, beta >= 0 && beta < 1, 'a number from 0 to less than 1')
  return { targetRank, total, warmup, final, every, beta1, beta2 }
}

const requireTriplets = (params: Labelled, targetRank: number): readonly Triplets[] => {
  const all = tripletsOf(params)
  const directions = all.reduce((n, { rank }) => n + rank, 0)
  if (all.length === 0 || targetRank * all.length > directions)
    fail({
      _tag: all.length === 0 ? 'NoMatch' : 'InvalidSetting',
      path: all.length === 0 ? 'adaloraSchedule' : 'adaloraSchedule.targetRank',
      expected:
        all.length === 0 ? 'trainable A, E and B of adalora' : `at most the mean rank, ${directions / all.length}`,
      found: all.length === 0 ? 'none' : String(targetRank),
      hint: 'Put on adalora with a rank above the target, by half as much again in the paper.',
    })
  return all
}

/** Directions to keep after so many updates: all, then falling with the third power, then the target. */
const budget = (
  count: Tensor,
  from: number,
  to: number,
  { warmup, total, final }: Required<AdaLoraOptions>,
): Tensor => {
  const done = div(sub(cast(count, 'float32'), warmup), total - final - warmup)
  const left = sub(1, minimum(maximum(done, 0), 1))
  return add(mul(mul(mul(left, left), left), from - to), to)
}

/** 1 for the `most` highest scores, 0 for the rest; of equal ones the first counts as higher. No value is read. */
const highest = (scores: Tensor, most: Tensor): Tensor => {
  const n = scores.shape[0] ?? 0
  const [column, row] = [reshape(scores, [n, 1]), reshape(scores, [1, n])]
  const index = tensor(Float32Array.from({ length: n }, (_, i) => i))
  const earlier = less(reshape(index, [1, n]), reshape(index, [n, 1]))
  const above = add(
    cast(greater(row, column), 'float32'),
    mul(cast(equal(row, column), 'float32'), cast(earlier, 'float32')),
  )
  return cast(less(sum(above, { axes: 1 }), most), 'float32')
}

const scoresOf = (all: readonly Triplets[], importance: Labelled): Tensor =>
  concat(
    all.map(({ a, e, b }) =>
      add(importance[e]!, add(mean(importance[a]!, { axes: 0 }), mean(importance[b]!, { axes: 1 }))),
    ),
    0,
  )

/**
 * AdaLoRA's rank schedule around an optimiser: it sets those E to exactly zero that matter least, over all weights together.
 *
 * How much a direction matters is its smoothed |parameter · gradient| times how much that swings, of E and on average of A and
 * B. Between prunings, and until the last `final` updates, a pruned direction may come back. State and all that changes is
 * tensors, so a run goes on exactly where it was saved.
 *
 * @throws EspalierError `InvalidSetting`; at `init` `NoMatch` without A, E and B of `adalora` among what is trained.
 * @example
 * ```ts
 * import { adalora, adaloraSchedule, adamw, freeze, key, pipe, sllm, start } from 'espalier'
 * import { read } from 'espalier/ops'
 *
 * const tuned = pipe(sllm.init(sllm.config.seed, key(0)), freeze, adalora({ at: '**.ln_1', rank: 6 }))
 * const optimiser = adaloraSchedule({ targetRank: 4, total: 100, warmup: 10, final: 30 })(adamw({ rate: 1e-3 }))
 * read(start(tuned, optimiser, { key: key(1) }).state.kept).length // => 12
 * ```
 * @source Zhang et al. 2023, "AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning", §3.2–3.3, algorithm 1.
 */
export const adaloraSchedule = (options: AdaLoraOptions) => {
  const settings = requireSettings(options)
  const { targetRank, total, warmup, final, every, beta1, beta2 } = settings
  return <S>(inner: Optimiser<S>): Optimiser<AdaLoraState<S>> => ({
    init: (params) => {
      const all = requireTriplets(params, targetRank)
      const own = Object.fromEntries(all.flatMap(({ a, e, b }) => [a, e, b].map((label) => [label, params[label]!])))
      return {
        inner: inner.init(params),
        count: scalar(0, 'int32'),
        sensitivity: mapLabelled(own, zerosLike),
        uncertainty: mapLabelled(own, zerosLike),
        kept: ones([all.reduce((n, { rank }) => n + rank, 0)]),
      }
    },
    update: (grads, state, params) => {
      const all = tripletsOf(params)
      const directions = state.kept.shape[0] ?? 0
      const { updates, state: next } = inner.update(grads, state.inner, params)
      const count = add(state.count, 1)
      const now = mapLabelled(state.sensitivity, (_, label) => abs(mul(params[label]!, grads[label]!)))
      const sensitivity = mapLabelled(now, (x, label) => blend(state.sensitivity[label]!, x, beta1))
      const uncertainty = mapLabelled(now, (x, label) =>
        blend(state.uncertainty[label]!, abs(sub(x, sensitivity[label]!)), beta2),
      )
      const importance = mapLabelled(sensitivity, (x, label) => mul(x, uncertainty[label]!))
      const [kept, prunes] = scope(() => {
        const passed = cast(div(cast(count, 'float32'), every), 'int32')
        const isEvery = equal(mul(passed, every), count)
        const isFinal = greater(count, total - final - 1)
        const isDue = mul(cast(greater(count, warmup), 'float32'), cast(isEvery, 'float32'))
        const isLast = cast(equal(count, total - final), 'float32')
        const open = mul(isDue, sub(1, cast(isFinal, 'float32')))
        const most = budget(count, directions, targetRank * all.length, settings)
        const chosen = highest(scoresOf(all, importance), most)
        return [
          where(greater(maximum(open, isLast), 0), chosen, state.kept),
          maximum(isDue, cast(isFinal, 'float32')),
        ] as const
      })
      let at = 0
      const masked = all.map(({ e, rank }): readonly [string, Tensor] => {
        const from = at
        at += rank
        const goes = mul(sub(1, slice(kept, [from], [rank])), prunes)
        // e + (−e) is exactly zero, whatever the optimiser would have done.
        return [e, where(greater(goes, 0), neg(params[e]!), updates[e]!)]
      })
      return {
        updates: { ...updates, ...Object.fromEntries(masked) },
        state: { inner: next, count, sensitivity, uncertainty, kept },
      }
    },
  })
}

const isAdaLora = (node: unknown): node is AdaLora => (node as { readonly _tag?: unknown } | null)?._tag === 'AdaLora'

const fromIdentity = (product: Tensor): Tensor => sum(square(sub(product, identity(product.shape[0] ?? 0))))

/**
 * How far the A and B of `adalora` are from orthonormal: the sum over the weights of ‖AᵀA − I‖² + ‖BBᵀ − I‖², a scalar.
 *
 * Add it to the loss, times 0.1 to 0.5; a model without `adalora` gives 0.
 *
 * @example
 * ```ts
 * import { adalora, key, orthogonality, sllm } from 'espalier'
 * import { item } from 'espalier/ops'
 *
 * const tuned = adalora({ at: '**.ln_1', rank: 2 })(sllm.init(sllm.config.seed, key(0)))
 * item(orthogonality(tuned)) > 6 // => true
 * ```
 * @source Zhang et al. 2023, "AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning", §3.1, equation 4.
 */
export const orthogonality = (model: unknown): Tensor =>
  [...places(model)]
    .map((p) => p.node)
    .filter(isAdaLora)
    .reduce(
      (total, { a, b }) =>
        add(
          total,
          add(
            fromIdentity(matmul(a.value, a.value, { transposeA: true })),
            fromIdentity(matmul(b.value, b.value, { transposeB: true })),
          ),
        ),
      scalar(0),
    )
