import type { Issue } from '../tree/error.ts'
import { isParam } from '../tree/leaf.ts'
import { places } from '../tree/walk.ts'
import { innermost, isPacked } from '../tree/wrap.ts'

type Tagged = Readonly<Record<string, unknown>> & { readonly _tag?: unknown }

/** The shape of a weight as it was before anything wrapped it; [0, 0] of what is no weight. */
export const bareShape = (weight: unknown): readonly [rows: number, columns: number] => {
  const bare = innermost(weight)
  if (isPacked(bare)) return [bare.rows, bare.columns]
  const [rows = 0, columns = 0] = isParam(bare) ? bare.value.shape : []
  return [rows, columns]
}

/** The sizes found at nodes of one tag in a tree. */
const sizes = (tree: unknown, tag: string, field: string): readonly number[] =>
  [...places(tree)]
    .map((p) => p.node as Tagged | null)
    .flatMap((node) => (node?._tag === tag ? [bareShape(node[field])[0]] : []))

const total = (all: readonly number[]): number => all.reduce((n, size) => n + size, 0)

/** The nodes on the way to a place, the root first. */
const wayTo = (tree: unknown, route: readonly string[]): readonly unknown[] => {
  const nodes = [tree]
  for (const name of route) nodes.push((nodes.at(-1) as Readonly<Record<string, unknown>>)[name])
  return nodes
}

/**
 * That virtual tokens at a place leave no room for a token of text, where positions are a table and so have an end.
 *
 * Soft prompts and prefixes that are there already share the window. Where there are several windows or prompts the largest
 * counts, so that nothing is refused that may run.
 */
export const roomIssues = (tree: unknown, route: readonly string[], length: number, path: string): readonly Issue[] => {
  const way = wayTo(tree, route)
  const at = way.findLastIndex((node) => sizes(node, 'Positions', 'weight').length > 0)
  if (at < 0) return []
  const window = Math.max(...sizes(way[at], 'Positions', 'weight'))
  const prefixes = [
    ...sizes(way[at], 'Prefixed', 'prefix'),
    ...way.slice(0, at).flatMap((node) => {
      const above = node as Tagged
      return above._tag === 'Prefixed' ? [bareShape(above['prefix'])[0]] : []
    }),
  ]
  const used = total(prefixes) + Math.max(0, ...sizes(way[at], 'Prompted', 'prompt'))
  return used + length < window
    ? []
    : [
        {
          _tag: 'ContextOverflow',
          path,
          expected: `room for a token of text in a context window of ${window}`,
          found: `${length} virtual tokens${used === 0 ? '' : ` after ${used} that are there already`}`,
          hint: 'Make it shorter; soft prompts and prefixes share the context window with the text.',
        },
      ]
}

/** The most elements a tensor can have on every engine. */
const MOST = 2 ** 31 - 1

/** Options whose tensors no engine could hold, each with the number of elements it would take. */
export const sizeIssues = (elements: Readonly<Record<string, number>>): readonly Issue[] =>
  Object.entries(elements)
    .filter(([, size]) => size > MOST)
    .map(([path, size]) => ({
      _tag: 'BadDimension',
      path,
      expected: `a tensor of at most ${MOST} elements`,
      found: `one of ${size}`,
      hint: 'Make it smaller.',
    }))
