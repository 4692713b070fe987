import type { TransformLaw } from '../transform-law.ts'
import type { Declaration } from '../trial.ts'
import { deterministic, detachRestores, idempotent, secondAttachRefused } from './algebra.ts'
import { freesNothingOfOthers, leaksNothing } from './memory.ts'
import { mergeIsWeightExactly } from './merging.ts'
import { batchIndependent, changesOutputs, mergePreservesOutputs, preservesOutputs, staysClose } from './outputs.ts'
import { survivesSaveLoad } from './persistence.ts'
import { addsRows, hiddenRowsChangeNothing, promptComesFirst } from './prompts.ts'
import { countsAdd, doesNotMutate, hitsOrRefuses, keepsLabelsUnique, keepsTies, touchesOnly } from './structure.ts'
import { everyTrainableHasGradient, frozenStaysFrozen, gradientOfTrainablesOnly, stepKeepsTies } from './training.ts'

/** Every law of transforms that needs no more than the transform and what it declares. */
export const transformLaws: readonly TransformLaw[] = [
  preservesOutputs,
  staysClose,
  changesOutputs,
  batchIndependent,
  mergePreservesOutputs,
  mergeIsWeightExactly,
  detachRestores,
  secondAttachRefused,
  idempotent,
  deterministic,
  doesNotMutate,
  keepsTies,
  keepsLabelsUnique,
  hitsOrRefuses,
  leaksNothing,
  freesNothingOfOthers,
  frozenStaysFrozen,
  gradientOfTrainablesOnly,
  stepKeepsTies,
  everyTrainableHasGradient,
  addsRows,
  promptComesFirst,
  hiddenRowsChangeNothing,
  survivesSaveLoad,
]

/**
 * The laws that apply to a transform by what it declares; for bare trees only those that need no outputs.
 *
 * @example
 * ```ts
 * import { adapter, lawsFor, marking } from 'espalier/laws'
 * lawsFor(adapter).some(law => law.name === 'mergePreservesOutputs') // => true
 * lawsFor(marking).some(law => law.name === 'mergePreservesOutputs') // => false
 * ```
 */
export const lawsFor = (declared: Declaration, hasOutputs = true): readonly TransformLaw[] => [
  ...transformLaws.filter((law) => law.applies(declared) && (hasOutputs || !law.needsOutputs)),
  ...(declared.touches === undefined ? [] : [touchesOnly(declared.touches)]),
  ...(declared.adds === undefined ? [] : [countsAdd(declared.adds)]),
]
