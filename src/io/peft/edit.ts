import type { AnyKind, Dims, Weight } from '../../kind/index.ts'
import { wrapIn } from '../../transform/attach.ts'
import { key } from '../../tree/key.ts'
import { isParam } from '../../tree/leaf.ts'
import { places, replaceAt, showPath } from '../../tree/walk.ts'
import { isPacked, labelOf } from '../../tree/wrap.ts'
import { reject } from '../issues.ts'

/** What becomes of the node at a path. */
export type Edits = ReadonlyMap<string, (node: unknown) => unknown>

/** A model with the nodes at some paths replaced, each with all that wraps it already; throws `NoMatch` for a path that is none. */
export const edited = (model: unknown, edits: Edits): unknown => {
  const seen = new Set<string>()
  const all = [...places(model)].flatMap(({ node, path, route }) => {
    const name = showPath(path)
    const edit = edits.get(name)
    // What a wrapper wraps lies at the same path: the outermost node is met first.
    if (edit === undefined || seen.has(name)) return []
    seen.add(name)
    return [{ route, value: edit(node) }]
  })
  const missed = [...edits.keys()].find((name) => !seen.has(name))
  if (missed !== undefined)
    reject(
      'NoMatch',
      missed,
      'a node of the model at this path',
      'none',
      'What was asked for would not be on the model.',
    )
  return replaceAt(model, all)
}

/** A weight wrapped in a kind, every leaf of which is given; its labels begin with `label`, or with the weight's own. */
export const wrapWith =
  (kind: AnyKind, dims: Dims, given: Readonly<Record<string, unknown>>, label?: string) =>
  (weight: unknown): unknown => {
    const [rows = 0, columns = 0] = isPacked(weight)
      ? [weight.rows, weight.columns]
      : isParam(weight)
        ? weight.value.shape
        : []
    if (rows === 0)
      reject(
        'AlreadyAdapted',
        label ?? labelOf(weight),
        'a weight that nothing wraps',
        'another',
        'Begin from the base itself.',
      )
    return wrapIn(
      kind,
      { weight: weight as Weight, rows, columns, key: key('peft'), label: label ?? labelOf(weight) },
      dims,
      given,
    )
  }
