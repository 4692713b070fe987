import type { Key } from '../../tree/key.ts'
import { isParam, withStatus } from '../../tree/leaf.ts'
import type { Constant, Hole, Param } from '../../tree/leaf.ts'
import { places, showPath } from '../../tree/walk.ts'
import type { Place } from '../../tree/walk.ts'
import { every } from '../law.ts'
import type { Equality, Law, Verdict } from '../law.ts'

/** What one run of a tree law is given. */
export interface TreeRun {
  readonly tree: unknown
  /** For whatever the law draws. */
  readonly key: Key
}

/** A law of trees, in one line. */
export const law = (
  name: string,
  says: string,
  equality: Equality,
  check: (run: TreeRun) => Verdict,
): Law<TreeRun> => ({
  name,
  says,
  equality,
  check,
})

/** Whatever may stand at the end of a path. */
export type AnyLeaf = Param | Constant | Hole

/** A parameter marked as frozen. */
export const frozen = (leaf: AnyLeaf): AnyLeaf => (isParam(leaf) ? withStatus(leaf, 'frozen') : leaf)
/** The leaf under another label. */
export const marked = (leaf: AnyLeaf): AnyLeaf => ({ ...leaf, label: `${leaf.label}!` })

/** A place's path as people write it. */
export const pathOf = (p: Place): string => showPath(p.path)

/** The places that a path names: of a wrapper and what it wraps, which share a path, the outer one; never the root. */
export const outermost = (tree: unknown): readonly Place[] => {
  const seen = new Set<string>([''])
  return [...places(tree)].filter((p) => !seen.has(pathOf(p)) && seen.add(pathOf(p)))
}

/** The verdict on each path of a tree. */
export const onEveryPath = (tree: unknown, judge: (path: string, node: unknown) => Verdict): Verdict =>
  every(outermost(tree), (p) => judge(pathOf(p), p.node))
