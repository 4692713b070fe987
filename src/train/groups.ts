import { EspalierError, fail } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { isParam } from '../tree/leaf.ts'
import { didYouMean } from '../tree/nearest.ts'
import { places } from '../tree/walk.ts'
import { formOf, isWrapper } from '../tree/wrap.ts'
import { mul } from '../ops/index.ts'
import { adamw, unchanged } from './adam.ts'
import type { AdamWOptions, AdamWState } from './adam.ts'
import type { Labelled } from './labelled.ts'
import { chain, clipByGlobalNorm } from './optimiser.ts'
import type { Optimiser, Stateless } from './optimiser.ts'
import { requireSetting } from './schedule.ts'
import type { Schedule } from './schedule.ts'

/** Those of a record's entries whose label belongs to a group, in the order they have there. */
const part = (all: Labelled, groupOf: (label: string) => string, group: string): Labelled =>
  Object.fromEntries(Object.entries(all).filter(([label]) => groupOf(label) === group))

const unknownGroups = (labels: readonly string[], groupOf: (label: string) => string, groups: readonly string[]) =>
  labels.flatMap((label): Issue[] => {
    const group: unknown = groupOf(label)
    if (groups.includes(group as string)) return []
    return [
      {
        _tag: 'NoGroup',
        path: label,
        expected: `a group: ${groups.join(', ')}`,
        found: String(group),
        hint: didYouMean(String(group), groups),
      },
    ]
  })

const emptyGroups = (labels: readonly string[], groupOf: (label: string) => string, groups: readonly string[]) =>
  groups
    .filter((group) => !labels.some((label) => groupOf(label) === group))
    .map((group): Issue => ({
      _tag: 'EmptyGroup',
      path: group,
      expected: 'a trainable parameter in each group',
      found: 'none in this one',
      hint: `There is ${labels.slice(0, 4).join(', ')}; leave out a group that has none.`,
    }))

/**
 * One optimiser for each group of parameters: `groupOf` names the group of each label, and each group keeps its own state.
 *
 * What looks at all gradients together, such as clipping, goes before it in a `chain`; within a group it sees the group.
 *
 * @throws EspalierError at `init`: `NoGroup` for a label whose group is not there, `EmptyGroup` for a group without labels.
 * @example
 * ```ts
 * import { byLabel, sgd } from 'espalier'
 * import { tensor, toArray } from 'espalier/ops'
 *
 * const optimiser = byLabel((label) => (label.endsWith('bias') ? 'biases' : 'weights'), {
 *   weights: sgd({ rate: 1 }),
 *   biases: sgd({ rate: 0.25 }),
 * })
 * const params = { weight: tensor([1]), bias: tensor([1]) }
 * const { updates } = optimiser.update(params, optimiser.init(params), params)
 * toArray(updates.weight!) // => [-1]
 * toArray(updates.bias!) // => [-0.25]
 * ```
 */
export const byLabel = <S extends object>(
  groupOf: (label: string) => keyof S & string,
  optimisers: { readonly [K in keyof S]: Optimiser<S[K]> },
): Optimiser<S> => {
  const groups = Object.entries(optimisers as Readonly<Record<string, Optimiser<unknown>>>)
  const names = groups.map(([name]) => name)
  return {
    init: (params) => {
      const labels = Object.keys(params)
      const issues = [...unknownGroups(labels, groupOf, names), ...emptyGroups(labels, groupOf, names)]
      if (issues.length > 0) throw new EspalierError(issues)
      return Object.fromEntries(groups.map(([name, o]) => [name, o.init(part(params, groupOf, name))])) as S
    },
    update: (grads, state, params) => {
      const states = state as Readonly<Record<string, unknown>>
      const after = groups.map(
        ([name, o]) => [name, o.update(part(grads, groupOf, name), states[name], part(params, groupOf, name))] as const,
      )
      const all: Labelled = Object.assign({}, ...after.map(([, { updates }]) => updates))
      return {
        // In the order of the gradients, so that the grouping does not show.
        updates: Object.fromEntries(Object.keys(grads).map((label) => [label, all[label]!])),
        state: Object.fromEntries(after.map(([name, { state: next }]) => [name, next])) as S,
      }
    },
  }
}

/** How `loraPlus` steps: as `adamw`, but for the rates. */
export interface LoraPlusOptions extends AdamWOptions {
  /** The rate of all but B. */
  readonly rate: number | Schedule
  /** How many times as fast B learns; 16 by default. */
  readonly ratio?: number
}

/** The state of `loraPlus`: of clipping, and then of B and of all else. */
export type LoraPlusState = readonly [Stateless, { readonly b: AdamWState; readonly rest: AdamWState }]

/** The labels of B in every low-rank change to a matrix. */
const labelsOfB = (model: unknown): ReadonlySet<string> => {
  const found = new Set<string>()
  for (const { node } of places(model)) {
    if (!isWrapper(node) || formOf(node) !== 'matrix') continue
    const { a, b } = node as { readonly a?: unknown; readonly b?: unknown }
    if (isParam(a) && isParam(b) && b.status === 'trainable') found.add(b.label)
  }
  return found
}

/**
 * LoRA+: AdamW with a rate `ratio` times as high for B of every low-rank change to a matrix as for all else.
 *
 * It looks at the model only for which labels are B. On an embedding A begins at zero and B does not, so both keep `rate`.
 *
 * @throws EspalierError `InvalidSetting`, `NoMatch` for a model that has no B to train.
 * @example
 * ```ts
 * import { freeze, key, lora, loraPlus, pipe, sllm, start } from 'espalier'
 *
 * const tuned = pipe(sllm.init(sllm.config.seed, key(0)), freeze, lora({ at: '**.mlp', rank: 8 }))
 * const run = start(tuned, loraPlus(tuned, { rate: 1e-4, weightDecay: 0 }), { key: key(1) })
 * Object.keys(run.state[1]) // => ['b', 'rest']
 * ```
 * @source Hayou et al. 2024, "LoRA+: Efficient Low Rank Adaptation of Large Models", §4.
 */
export const loraPlus = (
  model: unknown,
  { rate, ratio = 16, clip, ...options }: LoraPlusOptions,
): Optimiser<LoraPlusState> => {
  requireSetting('loraPlus.ratio', ratio, ratio > 0 && Number.isFinite(ratio), 'a finite number > 0')
  const ofB = labelsOfB(model)
  if (ofB.size === 0)
    fail({
      _tag: 'NoMatch',
      path: 'loraPlus',
      expected: 'a model with a trainable B of a low-rank change',
      found: 'none',
      hint: 'Put on lora, dora or adalora first, and pass the model that is trained.',
    })
  const faster: number | Schedule = typeof rate === 'number' ? rate * ratio : (count) => mul(rate(count), ratio)
  return chain<LoraPlusState>(
    // The norm is that of all gradients together, as with one rate.
    clip === undefined ? unchanged : clipByGlobalNorm(clip),
    byLabel((label) => (ofB.has(label) ? 'b' : 'rest'), {
      b: adamw({ ...options, rate: faster }),
      rest: adamw({ ...options, rate }),
    }),
  )
}
