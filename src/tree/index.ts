export { combine, partition, trainableOf, withValues } from './partition.ts'
export type { Parts } from './partition.ts'
export { constant, isConstant, isHole, isLeaf, isParam, param, withStatus, withValue } from './leaf.ts'
export type { Constant, Form, Hole, Leaf, Matrix, Param, Status, Table, Vector } from './leaf.ts'
export { bytesAtRest, count } from './count.ts'
export type { Count } from './count.ts'
export { diff } from './diff.ts'
export type { Change, Diff } from './diff.ts'
export { equalBy, sameStructure } from './equal.ts'
export { EspalierError, TransformFailure, formatIssues } from './error.ts'
export type { Issue } from './error.ts'
export { fold, key, split } from './key.ts'
export type { Key } from './key.ts'
export { get, modify, set, traverse } from './lens.ts'
export { nest, relabel, ties, unsound, untie } from './labels.ts'
export { find, select } from './select.ts'
export type { Predicate, Query, Selection, Selector } from './select.ts'
export { targets } from './target.ts'
export type { Taste, Verdict } from './target.ts'
export { formOf, innermost, isPacked, isWrappedWeight, isWrapper, labelOf } from './wrap.ts'
export type { Packed } from './wrap.ts'
export { show } from './show.ts'
export type { ShowOptions } from './show.ts'
export type { DType, Tensor, TensorSpec } from './tensor.ts'
export type { Half, HasTrainable } from './types/half.ts'
export type { At, Globs, Paths, SetAt } from './types/paths.ts'
export type { HasHit, HasTarget, Keep, Method, Rewrites, WeightWrapper, Wrapping } from './types/rewrite.ts'
export type {
  After,
  AtOption,
  Everywhere,
  Legal,
  Maybe,
  Rewritten,
  Step,
  Targeted,
  TargetedEither,
  Whole,
} from './types/step.ts'
export { leaves, leafPlaces, mapLeaves, places, replaceAt, showPath } from './walk.ts'
export type { Edit, Place } from './walk.ts'
