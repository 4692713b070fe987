import { add, mul, zeros } from '../../src/ops/index.ts'
import {
  freeze,
  isHole,
  isParam,
  leafPlaces,
  lora,
  replaceAt,
  unfreeze,
  valueAndGrad,
  withStatus,
  withValue,
} from '../../src/index.ts'
import type { Param, Tensor } from '../../src/index.ts'
import {
  frozenStaysFrozen,
  gradientOfTrainablesOnly,
  idempotent,
  keepsLabelsUnique,
  keepsTies,
  marking,
  stepKeepsTies,
} from '../../src/laws/index.ts'
import { mapLeaves } from '../../src/index.ts'
import { onNet } from './broken.ts'
import type { Fault } from './broken.ts'

type Loss = (model: unknown) => Tensor

const tuned = lora({ at: '**.fc1', rank: 2 })
const frozen = (p: Param): Param => withStatus(p, 'frozen')

/** Gradients of everything, as if nothing were frozen. */
const gradOfAll = (model: unknown, loss: Loss): Readonly<Record<string, Tensor>> =>
  valueAndGrad<unknown, null>(loss, { unreached: 'zero' })(unfreeze(model) as unknown, null).grads

/** Zeroes the gradients of what is frozen, and then lets weight decay have it all. */
const maskedInOptimiser = (model: unknown, loss: Loss): unknown => {
  const grads = gradOfAll(model, loss)
  return mapLeaves(model, (leaf) => {
    if (!isParam(leaf)) return leaf
    const gradient = leaf.status === 'frozen' ? zeros(leaf.value.shape) : grads[leaf.label]!
    return withValue(leaf, add(mul(leaf.value, 0.95), mul(gradient, -0.1)))
  })
}

/** A step that goes through the places one by one. */
const stepByPlace =
  (copies: boolean) =>
  (model: unknown, loss: Loss): unknown => {
    const grads = gradOfAll(model, loss)
    const stepped = (leaf: Param): Param => withValue(leaf, add(leaf.value, mul(grads[leaf.label]!, -0.1)))
    if (!copies) return mapLeaves(model, (leaf) => (isParam(leaf) ? stepped(leaf) : leaf))
    return replaceAt(
      model,
      leafPlaces(model).map((p) => ({ route: p.route, value: stepped(p.node as Param) })),
    )
  }

const freezeByPlace = (model: unknown): unknown =>
  replaceAt(
    model,
    leafPlaces(model).map((p) => ({ route: p.route, value: isParam(p.node) ? frozen(p.node) : p.node })),
  )

const withoutLabels = (model: unknown): unknown =>
  mapLeaves(model, (leaf) =>
    isHole(leaf) ? leaf : { ...leaf, label: leaf.label.split('.').at(-1) ?? '', status: 'frozen' },
  )

const alwaysAnew = (model: unknown): unknown =>
  mapLeaves(model, (leaf) => (isParam(leaf) ? { ...leaf, status: 'frozen' } : leaf))

export const freezeFaults: readonly Fault[] = [
  {
    name: 'freezing in the optimiser lets weight decay through',
    source: 'optax.masked and lorax: gradients are masked, decay is not',
    law: frozenStaysFrozen,
    ...onNet,
    broken: { transform: tuned, using: { train: maskedInOptimiser } },
    twin: { transform: tuned },
  },
  {
    name: 'the gradient still has the frozen labels',
    source: 'quax: zero gradients of the whole frozen weight are kept in memory (issue 28)',
    law: gradientOfTrainablesOnly,
    ...onNet,
    broken: { transform: tuned, using: { grad: gradOfAll } },
    twin: { transform: tuned },
  },
  {
    name: 'freeze goes by places and parts a tie',
    source: 'penzai: freezing parameters makes two of a shared one',
    law: keepsTies,
    ...onNet,
    options: { declare: marking },
    broken: { transform: freezeByPlace },
    twin: { transform: freeze },
  },
  {
    name: 'freeze loses the names, so that two leaves have one',
    source: 'state dictionaries keyed by the last name of a path: two models, or two layers, overwrite each other',
    law: keepsLabelsUnique,
    ...onNet,
    options: { declare: marking },
    broken: { transform: withoutLabels },
    twin: { transform: freeze },
  },
  {
    name: 'freeze copies what is frozen already',
    source: 'libraries that compare by reference then see a change, and compile or move the model again',
    law: idempotent,
    ...onNet,
    options: { declare: marking },
    broken: { transform: alwaysAnew },
    twin: { transform: freeze },
  },
  {
    name: 'a training step goes by places and parts a tie',
    source: 'PyTorch: an optimiser given copies of a tied parameter trains them apart',
    law: stepKeepsTies,
    ...onNet,
    broken: { transform: tuned, using: { train: stepByPlace(true) } },
    twin: { transform: tuned, using: { train: stepByPlace(false) } },
  },
]
