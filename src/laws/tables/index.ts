export {
  commutesOnDisjoint,
  detachRestores,
  deterministic,
  deterministicForKey,
  idempotent,
  secondAttachRefused,
  subtreeEqualsWhole,
} from './algebra.ts'
export type { AnyTransform } from './algebra.ts'
export { freesNothingOfOthers, leaksNothing } from './memory.ts'
export { mergeIs, mergeIsWeightExactly } from './merging.ts'
export type { Formula } from './merging.ts'
export { batchIndependent, changesOutputs, mergePreservesOutputs, preservesOutputs, staysClose } from './outputs.ts'
export { survivesSaveLoad } from './persistence.ts'
export { everyElementHasGradient, standsForTokens } from './prompts.ts'
export { addsRows, hiddenRowsChangeNothing, lossCountsRealTokens, promptComesFirst } from './prompts.ts'
export type { TokenLoss } from './prompts.ts'
export { countsAdd, doesNotMutate, hitsOrRefuses, keepsLabelsUnique, keepsTies, touchesOnly } from './structure.ts'
export { everyTrainableHasGradient, frozenStaysFrozen, gradientOfTrainablesOnly, stepKeepsTies } from './training.ts'
export { lawsFor, transformLaws } from './transforms.ts'
export { splittingLaws } from './splitting.ts'
export type { Splitting } from './splitting.ts'
export type { TreeRun } from './tree-run.ts'
export { treeLaws } from './trees.ts'
export { weightLaws } from './weights.ts'
export type { WeightRun } from './weights.ts'
export { kindLaws } from './kinds.ts'
export type { KindRun } from './kinds.ts'
