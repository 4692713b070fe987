import { isParam, withStatus } from '../tree/leaf.ts'
import type { Param, Status } from '../tree/leaf.ts'
import { mapLeaves } from '../tree/walk.ts'

/** The tree with some parameters of another status; a tied one in all its places. */
export const marked = (model: unknown, which: (p: Param) => boolean, status: Status): unknown =>
  mapLeaves(model, (leaf) => (isParam(leaf) && which(leaf) ? withStatus(leaf, status) : leaf))

/** A transform without options of its own, which may be called with none at all. */
export const optionless = <F extends (options: never) => unknown>(transform: F): F =>
  Object.assign((options: Parameters<F>[0] = {} as never) => transform(options), transform)
