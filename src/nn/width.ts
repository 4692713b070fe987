import { isParam } from '../tree/leaf.ts'
import type { Form } from '../tree/leaf.ts'
import { childrenOf, isBranch } from '../tree/walk.ts'
import { formOf, innermost, isPacked, isWrapper } from '../tree/wrap.ts'

/** How many features a layer takes, and how many it gives. */
export interface Widths {
  readonly in: number
  readonly out: number
}

interface Shaped extends Widths {
  readonly form: Form
}

// Only what is wrapped counts: an adapter that is there already says nothing of the layer.
const shapes = (node: unknown): readonly Shaped[] => {
  const form = formOf(node)
  if (form !== undefined) {
    const bare = innermost(node)
    const shape = isPacked(bare) ? [bare.rows, bare.columns] : isParam(bare) ? bare.value.shape : []
    const out = shape.at(-1) ?? 0
    return [{ form, in: form === 'matrix' ? (shape[0] ?? 0) : out, out }]
  }
  if (isWrapper(node)) return shapes(node.base)
  return isBranch(node) ? childrenOf(node).flatMap(([, child]) => shapes(child)) : []
}

/**
 * The widths of a layer as its weights tell them: inputs of the first matrix in path order, outputs of the last; those of its
 * tables or vectors where it has no matrix.
 */
export const widthsOf = (layer: unknown): Widths | undefined => {
  const all = shapes(layer)
  const form = (['matrix', 'table', 'vector'] as const).find((f) => all.some((w) => w.form === f))
  const weights = all.filter((w) => w.form === form)
  const [first, last] = [weights[0], weights.at(-1)]
  return first === undefined || last === undefined ? undefined : { in: first.in, out: last.out }
}
