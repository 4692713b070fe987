export {
  affineOf,
  embed,
  headOf,
  hiddenOf,
  layer,
  lookup,
  materialize,
  outputOf,
  project,
  projectT,
  runModel,
  shapeOf,
  under,
} from './context.ts'
export type { Ctx } from './context.ts'
export { dropout, dropping } from './dropout.ts'
export { at, atLayer, positionsOf, throughBlocks } from './sequence.ts'
export { absent, allOnes, allZeros, buffer, fanIn, fixed, gaussian, list, matrix, table, vector } from './field.ts'
export type {
  AnyField,
  ConstantField,
  DimsIn,
  Field,
  Fields,
  Init,
  ListField,
  NodeField,
  ParamField,
  StaticField,
} from './field.ts'
export { axisLength, grow, initialise, initialiseField } from './init.ts'
export type { Dims, GrowLeaf } from './init.ts'
export { shapeIssues } from './check.ts'
export type {
  Added,
  Affine,
  AnyKind,
  Embed,
  Embedded,
  KeysValues,
  Kind,
  Kinds,
  Layer,
  Model,
  Output,
  Past,
  Residual,
  Role,
  RoleOps,
  Rotary,
  Sublayer,
  Sublayers,
  Tokens,
  Weight,
  WeightOps,
} from './kind.ts'
