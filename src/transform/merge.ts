import { materialize } from '../kind/index.ts'
import type { Kinds, Weight } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import type { Linear, ScaledOutputs } from '../nn/index.ts'
import { mul, scope } from '../ops/index.ts'
import { sameStructure } from '../tree/equal.ts'
import { explained } from '../tree/error.ts'
import { requireSound } from '../tree/labels.ts'
import { isParam, param, withStatus, withValue } from '../tree/leaf.ts'
import type { Param } from '../tree/leaf.ts'
import { allTargets, targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import type { Whole, Targeted } from '../tree/types/step.ts'
import type { Tensor } from '../tree/tensor.ts'
import { replaceAt, showPath } from '../tree/walk.ts'
import type { Place } from '../tree/walk.ts'
import { innermost, isWrappedWeight, isWrapper, labelOf } from '../tree/wrap.ts'
import type { Packed } from '../tree/wrap.ts'
import { targeted } from './targeted.ts'

type Mergeable = Weight | ScaledOutputs<Linear>

const isScaledOutputs = (node: unknown): node is ScaledOutputs<Linear> =>
  isWrapper(node) && node._tag === 'ScaledOutputs' && (node.base as { readonly _tag?: unknown })._tag === 'Linear'

const wrapped: Taste<Mergeable> = {
  verdict: (node) => (isWrappedWeight(node) || isScaledOutputs(node) ? 'take' : 'into'),
  wants: 'an adapted weight',
}

/** What a wrapped weight is once merged; with a factor for each output where its layer has one. */
const mergedWeight = (node: Weight, path: readonly string[], kinds: Kinds, scale?: Tensor): Param => {
  const base = innermost(node) as Param | Packed
  const dense = explained(
    () => materialize(node, context({ kinds })),
    (found) => ({ ...found, path: showPath(path) }),
  )
  const value = scale === undefined ? dense : mul(dense, scale)
  return isParam(base) ? withValue(base, value) : withStatus(param(base.form, labelOf(base), value), 'frozen')
}

const mergedOf = ({ node, path }: Place<Mergeable>, kinds: Kinds): Param | Linear => {
  if (!isScaledOutputs(node)) return mergedWeight(node, path, kinds)
  const { base, scale } = node
  const weight = mergedWeight(base.weight, [...path, 'weight'], kinds, scale.value)
  return { ...base, weight, bias: base.bias === null ? null : withValue(base.bias, mul(base.bias.value, scale.value)) }
}

/** The merged model; one adapted weight that stands in several places is one leaf in all of them afterwards too. */
const mergeAt = (model: unknown, at: readonly Place<Mergeable>[], kinds: Kinds): unknown =>
  scope(() => {
    const done = new Map<unknown, readonly { readonly node: Mergeable; readonly value: Param | Linear }[]>()
    const once = (place: Place<Mergeable>): Param | Linear => {
      const base = innermost(place.node)
      const known = done.get(base) ?? []
      // Training builds the nodes anew around leaves that stay one leaf, so that nodes are compared by what they hold.
      const earlier = known.find((k) => sameStructure(k.node, place.node))
      if (earlier !== undefined) return earlier.value
      const value = mergedOf(place, kinds)
      done.set(base, [...known, { node: place.node, value }])
      return value
    }
    const merged = replaceAt(
      model,
      at.map((place) => ({ route: place.route, value: once(place) })),
    )
    // A base that is shared with another model would stand there unmerged, under the same label.
    requireSound(merged)
    return merged
  })

const outermost = (model: unknown): readonly Place<Mergeable>[] => {
  requireSound(model)
  return allTargets(model, wrapped)
}

/** `merge` itself, `merge.only` for some places, `merge.knowing` for weight variants of one's own. */
export interface Merge {
  <M>(model: M): Whole<M, 'merge'>
  readonly only: Targeted<unknown, 'merge'>
  /** The same with kinds of one's own, by tag. */
  readonly knowing: (own: Kinds) => Merge
}

const mergeKnowing = (own: Kinds): Merge =>
  Object.assign(<M>(model: M) => mergeAt(model, outermost(model), own) as Whole<M, 'merge'>, {
    only: targeted<unknown, 'merge'>((model, { at }) => mergeAt(model, targets(model, at, wrapped), own), {
      name: 'merge.only',
      options: {},
    }),
    knowing: (more: Kinds) => mergeKnowing({ ...own, ...more }),
  })

/**
 * Makes every adapted weight one dense weight again, with the same outputs: W + s·A·B for LoRA.
 *
 * The base's label and status stay; the model that was merged keeps working. A model without adapters comes back as it is.
 * A base in few bits becomes dense and frozen, since rounding it again would lose the change: that is `requantize`, which says
 * how much.
 *
 * @throws TransformFailure `LabelClash`, `Disposed`, `NotPlain`; (`only`) `NoMatch`, `NotATarget`, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, lora, merge, pipe, sllm, key } from 'espalier'
 * const base = freeze(sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0)))
 * const tuned = lora({ at: '**.ln_1', rank: 2 })(base)
 * count(merge(tuned)).parameters === count(base).parameters // => true
 * ```
 * @source Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", §4.1 ("no additional inference latency").
 */
export const merge: Merge = mergeKnowing({})
