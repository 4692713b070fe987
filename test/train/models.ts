import { fc } from '@fast-check/vitest'
import { add, mean, mul, reachable, read, square, sub, tensor } from '../../src/ops/index.ts'
import type { Param, Tensor } from '../../src/tree/index.ts'
import { leafPlaces, param, withStatus } from '../../src/tree/index.ts'
import { accumulate, adamw, sgd, warmupCosine } from '../../src/train/index.ts'
import type { Loss, Optimiser } from '../../src/train/index.ts'

/** One leaf of a made-up model, and at how many places it stands. */
export interface LeafPlan {
  readonly values: readonly number[]
  readonly frozen: boolean
  readonly places: number
}

export interface AnyModel {
  readonly blocks: readonly { readonly weight: Param; readonly inner: { readonly base: Param } }[]
}

/** Numbers k/16: sums and products of a few of them are exact in float32. */
export const dyadic: fc.Arbitrary<number> = fc.integer({ min: -32, max: 32 }).map((k) => k / 16)
export const vector = (length: number): fc.Arbitrary<readonly number[]> =>
  fc.array(dyadic, { minLength: length, maxLength: length })

const leafPlan: fc.Arbitrary<LeafPlan> = fc.record({
  values: vector(3),
  frozen: fc.boolean(),
  places: fc.integer({ min: 1, max: 3 }),
})

/** Leaves of a model with something to train. */
export const plans: fc.Arbitrary<readonly LeafPlan[]> = fc
  .array(leafPlan, { minLength: 1, maxLength: 4 })
  .map(([first, ...rest]) => [{ ...first!, frozen: false }, ...rest])

/** Leaves at the places of an array of blocks, tied where a plan has several places. */
export const build = (leaves: readonly LeafPlan[]): AnyModel => {
  const at = leaves.flatMap(({ values, frozen, places }, i) => {
    const made = withStatus(param('vector', `leaf.${i}`, tensor(values)), frozen ? 'frozen' : 'trainable')
    return Array.from({ length: places }, () => made)
  })
  return { blocks: at.map((leaf, i) => ({ weight: leaf, inner: { base: at[at.length - 1 - i]! } })) }
}

/** Each place has a weight of its own, so that no two places do the same. */
export const loss: Loss<unknown, Tensor> = (model, batch) =>
  leafPlaces(model)
    .map(({ node }, i) => mean(square(sub(mul(node.value, (i + 1) / 4), batch))))
    .reduce((a, b) => add(a, b))

export const batchOf = (rows: readonly (readonly number[])[]): Tensor => tensor(rows, [rows.length, 3])

/** The elements of every tensor in a value, to tell whether anything was written to. */
export const digest = (x: unknown): string => JSON.stringify(reachable(x).map((t) => [t.id, t.shape, [...read(t)]]))

/** The elements alone: equal for equal numbers, −0 and 0 told apart. */
export const numbers = (x: unknown): readonly (readonly number[])[] => reachable(x).map((t) => [...read(t)])

/** Optimisers of every kind, by name. */
export const optimisers: Readonly<Record<string, Optimiser<unknown>>> = {
  sgd: sgd({ rate: 0.1 }),
  momentum: sgd({ rate: 0.1, momentum: 0.9, clip: 0.5 }),
  nesterov: sgd({ rate: 0.1, momentum: 0.5, nesterov: true }),
  adamw: adamw({ rate: 0.01, weightDecay: 0.5 }),
  clipped: adamw({ rate: warmupCosine({ peak: 0.1, warmup: 1, total: 5 }), weightDecay: 0.5, clip: 0.1 }),
  accumulated: accumulate(2, adamw({ rate: 0.01, weightDecay: 0.5 })) as Optimiser<unknown>,
} as Readonly<Record<string, Optimiser<unknown>>>

export const optimiser: fc.Arbitrary<Optimiser<unknown>> = fc
  .constantFrom(...Object.keys(optimisers))
  .map((name) => optimisers[name]!)
