import { read } from '../../ops/index.ts'
import { freeze } from '../../transform/index.ts'
import { EspalierError } from '../../tree/error.ts'
import { isParam } from '../../tree/leaf.ts'
import { find } from '../../tree/select.ts'
import { leafPlaces, leaves, places, showPath } from '../../tree/walk.ts'
import { all, every, fails, holds, vacuous, verdict } from '../law.ts'
import type { Verdict } from '../law.ts'
import { salted } from '../models.ts'
import { numeric } from '../transform-law.ts'
import type { TransformLaw } from '../transform-law.ts'
import { genericLoss, inputOf } from '../trial.ts'
import type { Trial } from '../trial.ts'
import { perturbed } from '../values.ts'

const isTrainable = (leaf: unknown): boolean => isParam(leaf) && leaf.status === 'trainable'

/** Their labels, found without the function that training itself uses. */
const trainableLabels = (model: unknown): readonly string[] =>
  leaves(model)
    .filter(isTrainable)
    .map((leaf) => leaf.label)

/** The transform on a frozen model, the way adapters are used, or on the model as it is where nothing could be trained then. */
const halfFrozen = (trial: Trial): unknown => {
  const usual = trial.transform(freeze(trial.model))
  const model = leaves(usual).some(isTrainable) ? usual : trial.transform(trial.model)
  return perturbed(model, salted(trial, 'trained'), trial)
}

const mixed = (model: unknown): Verdict => {
  const trainable = leaves(model).filter(isTrainable).length
  if (trainable === 0) return vacuous('nothing is trainable after the transform')
  return trainable < leaves(model).length ? holds : vacuous('nothing is frozen after the transform')
}

/**
 * A training step leaves frozen leaves the same objects, whatever the optimiser and its weight decay; trainable ones move.
 */
export const frozenStaysFrozen: TransformLaw = numeric({
  name: 'frozenStaysFrozen',
  says: 'A training step with weight decay leaves every frozen leaf the same object.',
  equality: 'reference',
  applies: ({ detach }) => detach === 'restores',
  check: (trial) => {
    const model = halfFrozen(trial)
    return all(
      () => mixed(model),
      () => {
        const after = trial.tools.train(model, genericLoss(trial))
        const now = new Map(leafPlaces(after).map((p) => [p.route.join('.'), p.node]))
        const still = leafPlaces(model).filter((p) => !isTrainable(p.node))
        const moved = leafPlaces(model).some((p) => isTrainable(p.node) && now.get(p.route.join('.')) !== p.node)
        return all(
          () =>
            every(still, (p) =>
              verdict(now.get(p.route.join('.')) === p.node, `${showPath(p.path)} is frozen and was replaced`),
            ),
          () => verdict(moved, 'no trainable leaf moved'),
        )
      },
    )
  },
})

/** The gradient has an entry for each trainable label and for no other; what is frozen is never differentiated. */
export const gradientOfTrainablesOnly: TransformLaw = numeric({
  name: 'gradientOfTrainablesOnly',
  says: 'The gradient has exactly the trainable labels.',
  equality: 'exact',
  applies: ({ detach }) => detach === 'restores',
  check: (trial) => {
    const model = halfFrozen(trial)
    return all(
      () => mixed(model),
      () => {
        const found = Object.keys(trial.tools.grad(model, genericLoss(trial)))
        const want = trainableLabels(model)
        const surplus = found.filter((label) => !want.includes(label))
        const missing = want.filter((label) => !found.includes(label))
        return verdict(surplus.length + missing.length === 0, `too much: ${surplus.join()}; missing: ${missing.join()}`)
      },
    )
  },
})

/** A tied parameter is still one leaf in both places after a training step. */
export const stepKeepsTies: TransformLaw = numeric({
  name: 'stepKeepsTies',
  says: 'A training step leaves tied places one leaf.',
  equality: 'reference',
  applies: ({ detach }) => detach === 'restores',
  check: (trial) => {
    const model = perturbed(trial.transform(trial.model), salted(trial, 'trained'), trial)
    const tied = leaves(model).filter(isTrainable)
    if (tied.length === 0) return vacuous('nothing is trainable after the transform')
    const after = trial.tools.train({ ...(model as object), again: tied }, genericLoss(trial))
    const now = leafPlaces(after)
    return every(now, (p) => {
      const other = now.find((q) => q.node.label === p.node.label && q.node !== p.node)
      return verdict(other === undefined, `${showPath(p.path)} and ${showPath(other?.path ?? [])} were one leaf`)
    })
  },
})

const excused = (model: unknown, patterns: readonly string[]): ReadonlySet<string> => {
  const hits = patterns.flatMap((pattern) => {
    try {
      return find(model, pattern).flatMap((p) => [...places(p.node)].map((q) => q.node))
    } catch (error) {
      // A model without such a parameter needs no excuse.
      if (error instanceof EspalierError) return []
      throw error
    }
  })
  return new Set(hits.filter(isParam).map((leaf) => leaf.label))
}

const points = 24

/** Every trainable parameter matters: at a generic point its gradient is not zero, declared null directions aside. */
export const everyTrainableHasGradient: TransformLaw = numeric({
  name: 'everyTrainableHasGradient',
  says: 'At a generic point no trainable parameter has a zero gradient, declared null directions aside.',
  equality: 'exact',
  applies: ({ detach }) => detach === 'restores',
  check: (trial) => {
    const made = trial.transform(trial.model)
    const pardoned = excused(made, trial.declared.nullDirections ?? [])
    const waiting = new Set(trainableLabels(made).filter((label) => !pardoned.has(label)))
    if (waiting.size === 0) return vacuous('nothing is trainable after the transform')
    for (let i = 0; i < points && waiting.size > 0; i += 1) {
      const model = perturbed(made, salted(trial, `point ${i}`), { style: 'float' })
      const grads = trial.tools.grad(model, genericLoss(trial, inputOf(trial, `point ${i}`)))
      for (const [label, g] of Object.entries(grads)) if (read(g).some((x) => x !== 0)) waiting.delete(label)
    }
    return waiting.size === 0 ? holds : fails(`no gradient at ${points} points: ${[...waiting].join(', ')}`)
  },
})
