import { detach, lora, mapLeaves, merge, places, replaceAt, withValue } from '../../src/index.ts'
import type { Tensor } from '../../src/index.ts'
import {
  detachRestores,
  doesNotMutate,
  freesNothingOfOthers,
  mergeIsWeightExactly,
  mergePreservesOutputs,
  merging,
  staysClose,
  survivesSaveLoad,
} from '../../src/laws/index.ts'
import { add, matmul, mul, read, release, transpose } from '../../src/ops/index.ts'
import { elementsOf, isLora, onNet } from './broken.ts'
import type { Fault, LoraNode } from './broken.ts'

const tuned = lora({ at: '**', rank: 2, alpha: 2 })

/** A merge that makes of each wrapped weight what it is told. */
const mergeBy =
  (f: (node: LoraNode) => Tensor) =>
  (model: unknown): unknown =>
    replaceAt(
      model,
      [...places(model)]
        .filter((p) => isLora(p.node))
        .map((p) => {
          const node = p.node as LoraNode
          return { route: p.route, value: withValue(node.base, f(node)) }
        }),
    )

const change = ({ a, b }: LoraNode): Tensor => matmul(a.value, b.value)

const right = mergeBy((w) => add(w.base.value, mul(change(w), w.alpha)))
const withoutScale = mergeBy((w) => add(w.base.value, change(w)))
const scaledTwice = mergeBy((w) => add(w.base.value, mul(change(w), w.alpha * w.alpha)))
const transposed = mergeBy((w) => {
  const [rows, columns] = w.base.value.shape
  return add(w.base.value, mul(rows === columns ? transpose(change(w)) : change(w), w.alpha))
})

/** Adds to the elements of the base, as if nobody else could be using them. */
const inPlace = mergeBy((w) => {
  const [elements, delta] = [elementsOf(w.base.value), read(mul(change(w), w.alpha))]
  elements.forEach((x, i) => (elements[i] = x + (delta[i] ?? 0)))
  return w.base.value
})

const freeing = (model: unknown): unknown => {
  const after = merge(model)
  release(model, { keep: after })
  return after
}

const copying = (model: unknown): unknown => mapLeaves(detach(model), (leaf) => ({ ...leaf }))

const mergeOnlyFc1 =
  (rest: (model: unknown) => unknown) =>
  (model: never): unknown =>
    rest(merge.only.unchecked({ at: '**.fc1' })(model))

/** A file that has no place for alpha, and a reader that takes 1 for it. */
const withoutAlpha = (model: unknown): unknown =>
  replaceAt(
    model,
    [...places(model)]
      .filter((p) => isLora(p.node))
      .map((p) => ({ route: p.route, value: { ...(p.node as LoraNode), alpha: 1 } })),
  )

export const mergeFaults: readonly Fault[] = [
  {
    name: 'merge = detach',
    source: 'nobody sees it who merges a fresh adapter, whose B is zero',
    law: mergePreservesOutputs,
    ...onNet,
    broken: { transform: tuned, using: { merge: detach } },
    twin: { transform: tuned },
  },
  {
    name: 'merge forgets the scale',
    source: 'nnx and gemma: LoRA without alpha, so that adapters of other libraries merge wrongly',
    law: mergeIsWeightExactly,
    ...onNet,
    broken: { transform: tuned, using: { merge: withoutScale } },
    twin: { transform: tuned, using: { merge: right } },
  },
  {
    name: 'merge applies the scale twice',
    source: 'PEFT, add_weighted_adapter: a combination of one adapter is not that adapter (issues 3449, 3761)',
    law: mergeIsWeightExactly,
    ...onNet,
    broken: { transform: tuned, using: { merge: scaledTwice } },
    twin: { transform: tuned, using: { merge: right } },
  },
  {
    name: 'merge adds (A·B)ᵀ, which only fits square weights',
    source: 'fan_in_fan_out of PEFT, set or not set by hand; mlxts writes PEFT files without transposing',
    law: mergeIsWeightExactly,
    ...onNet,
    broken: { transform: tuned, using: { merge: transposed } },
    twin: { transform: tuned, using: { merge: right } },
  },
  {
    name: 'merge writes into the elements of the base',
    source: 'PEFT: merge adds to weight.data and unmerge subtracts again, with a drift in half precision (issue 3650)',
    law: doesNotMutate,
    ...onNet,
    broken: { transform: tuned, using: { merge: inPlace } },
    twin: { transform: tuned, using: { merge: right } },
  },
  {
    name: 'merge frees the tensors of the model that was merged',
    source: 'lorax, merge_params: destructive by default',
    law: freesNothingOfOthers,
    ...onNet,
    broken: { transform: tuned, using: { merge: freeing } },
    twin: { transform: tuned },
  },
  {
    name: 'merging a part takes the other adapters off',
    source: 'PEFT: merging some adapters leaves the others without effect (issue 3756)',
    law: staysClose,
    ...onNet,
    options: { given: tuned, declare: merging },
    broken: { transform: mergeOnlyFc1(detach) },
    twin: { transform: mergeOnlyFc1((model) => model) },
  },
  {
    name: 'detach gives back a copy',
    source: 'AdapterHub and PEFT: unloading builds new modules, so that nothing tells the base from a copy',
    law: detachRestores,
    ...onNet,
    broken: { transform: tuned, using: { detach: copying } },
    twin: { transform: tuned },
  },
  {
    name: 'saving drops alpha',
    source: 'levanter: the adapter configuration says dropout 0 whatever it was; nnx has nowhere to say alpha',
    law: survivesSaveLoad,
    ...onNet,
    broken: { transform: tuned, using: { throughFile: withoutAlpha } },
    twin: { transform: tuned },
  },
]
