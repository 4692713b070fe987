import { concat } from '../../ops/index.ts'
import { fails, holds, vacuous, verdict } from '../law.ts'
import type { Verdict } from '../law.ts'
import { salted, together } from '../models.ts'
import { numeric } from '../transform-law.ts'
import type { TransformLaw } from '../transform-law.ts'
import { inputOf, outputOf } from '../trial.ts'
import type { Trial } from '../trial.ts'
import { addedLeaves, difference, perturbed, perturbedBeyond } from '../values.ts'

/**
 * How far two ways of computing the same outputs may lie apart, relative to the largest output or 1.
 *
 * About ten times the worst that merging did in 38,000 runs on all three engines (3.2e-5, behind a layer norm of width 2, which
 * enlarges rounding errors); 99 runs in 100 stay below 1e-6.
 */
export const TOLERANCE = 3e-4

const compared = (trial: Trial, model: unknown, tolerance: number): Verdict => {
  const input = inputOf(trial)
  const found = difference(outputOf(trial, trial.model, input), outputOf(trial, model, input), tolerance)
  return found === undefined ? holds : fails(`an output ${found}`)
}

/**
 * A transform that says so of itself changes no output at all when it is put on (−0 and 0 are equal).
 *
 * @example
 * ```ts
 * import { define, layer, linear, lora } from 'espalier'
 * import { check, preservesOutputs } from 'espalier/laws'
 * const Net = define('Net', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))
 * check(lora({ at: '**.fc', rank: 2 }), { on: Net, laws: [preservesOutputs], runs: 10 }).passed // => true
 * ```
 */
export const preservesOutputs: TransformLaw = numeric({
  name: 'preservesOutputs',
  says: 'Freshly put on, it changes no output.',
  equality: 'exact',
  applies: ({ init }) => init === 'identity',
  check: (trial) => compared(trial, trial.transform(trial.model), 0),
})

/** A transform that says so of itself changes outputs by rounding only. */
export const staysClose: TransformLaw = numeric({
  name: 'staysClose',
  says: 'It changes outputs by no more than rounding.',
  equality: 'tolerance',
  applies: ({ init }) => init === 'close',
  check: (trial) => compared(trial, trial.transform(trial.model), TOLERANCE),
})

// A network may be dead at one point: all its rectifiers off. It is not dead at every one of these.
const tries = 24

/** What a transform has added has an effect once it is not at its initial values; one without own leaves has one at once. */
export const changesOutputs: TransformLaw = numeric({
  name: 'changesOutputs',
  says: 'With its own leaves drawn at random, it changes the outputs.',
  equality: 'exact',
  applies: ({ detach, init }) => detach === 'restores' || init === 'changes',
  check: (trial) => {
    for (let i = 0; i < tries; i += 1) {
      const model = i === 0 ? trial.model : perturbed(trial.model, salted(trial, i), { style: 'float' })
      const after = perturbedBeyond(model, trial.transform(model), salted(trial, `added ${i}`), 'float')
      const input = inputOf(trial, i)
      if (difference(outputOf(trial, model, input), outputOf(trial, after, input)) !== undefined) return holds
    }
    const added = addedLeaves(trial.model, trial.transform(trial.model)).map((leaf) => leaf.label)
    return fails(`outputs are those of the base at ${tries} points; it has added ${added.join(', ') || 'no leaf'}`)
  },
})

/** What a model makes of one row does not depend on the other rows of its batch. */
export const batchIndependent: TransformLaw = numeric({
  name: 'batchIndependent',
  says: 'f(concat xs) = concat f(xs) along the batch.',
  equality: 'tolerance',
  check: (trial) => {
    const after = perturbed(trial.transform(trial.model), salted(trial, 'after'), trial)
    const [a, b] = [inputOf(trial, 'a'), inputOf(trial, 'b')]
    const apart = concat([outputOf(trial, after, a), outputOf(trial, after, b)], 0)
    const found = difference(apart, outputOf(trial, after, together(a, b)), TOLERANCE)
    return verdict(found === undefined, `run together, an output ${found}`)
  },
})

/**
 * What is undone by merging: the whole model with merged weights computes what it computed with the adapters.
 *
 * Checked where no leaf is at its initial value, so that a `merge` which only detaches does not pass.
 */
export const mergePreservesOutputs: TransformLaw = numeric({
  name: 'mergePreservesOutputs',
  says: 'apply(merge(m)) = apply(m), with every leaf drawn at random.',
  equality: 'tolerance',
  applies: ({ merge }) => merge === 'exact',
  check: (trial) => {
    const tuned = perturbed(trial.transform(trial.model), salted(trial, 'tuned'), trial)
    if (addedLeaves(trial.model, tuned).length === 0) return vacuous('the transform added no leaf')
    const input = inputOf(trial)
    const found = difference(outputOf(trial, tuned, input), outputOf(trial, trial.tools.merge(tuned), input), TOLERANCE)
    return verdict(found === undefined, `merged, an output ${found}`)
  },
})
