import { TransformFailure } from './error.ts'
import type { Issue } from './error.ts'
import { isLeaf } from './leaf.ts'
import type { Constant, Hole, Leaf, Param } from './leaf.ts'
import { find } from './select.ts'
import type { Selector } from './select.ts'
import { isTensor } from './tensor.ts'
import { isBranch, isLeafOrHole, leafPlaces, mapLeaves, pathOf, replaceAt, showPath, visit } from './walk.ts'
import type { Place, Trail } from './walk.ts'

/** Where leaves are, grouped by label. */
const byLabel = <P extends { readonly node: Leaf }>(all: readonly P[]): ReadonlyMap<string, readonly P[]> => {
  const groups = new Map<string, P[]>()
  for (const p of all) {
    const group = groups.get(p.node.label)
    if (group) group.push(p)
    else groups.set(p.node.label, [p])
  }
  return groups
}

/**
 * The ties of a tree: for each label that one leaf has at several places, those places.
 *
 * @example
 * ```ts
 * import { ties, param } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const shared = param('table', 'tokens', zeros([5, 3]))
 * ties({ embed: shared, head: shared }) // => { tokens: ['embed', 'head'] }
 * ```
 */
export const ties = (tree: unknown): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(
    [...byLabel(leafPlaces(tree))]
      .filter(([, at]) => at.length > 1)
      .map(([label, at]) => [label, at.map((p) => showPath(p.path))]),
  )

/** What of a tree can be neither looked into nor rebuilt: Maps, dates, instances of classes. */
const isOpaque = (x: unknown): x is object =>
  typeof x === 'object' && x !== null && !isBranch(x) && !isLeafOrHole(x) && !isTensor(x)

const notPlain = (trail: Trail, x: object): Issue => ({
  _tag: 'NotPlain',
  path: showPath(pathOf(trail)),
  expected: 'plain records, arrays, leaves and plain data',
  found: `a ${(x.constructor as { name?: string } | undefined)?.name ?? 'object'}`,
  hint: 'Parameters in there would be missed: write it as a record, or keep it outside of the tree.',
})

/**
 * What is wrong with a tree: one label on two different leaves, a leaf without a tensor or whose tensor is gone,
 * or something that is no plain data.
 *
 * @example
 * ```ts
 * import { param, unsound } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * unsound({ a: param('vector', 'w', zeros([2])), b: param('vector', 'w', zeros([2])) })[0]?._tag // => 'LabelClash'
 * ```
 */
export const unsound = (tree: unknown): readonly Issue[] => {
  const issues: Issue[] = []
  const found: { readonly node: Leaf; readonly trail: Trail }[] = []
  visit(tree, (node, trail) => {
    if (isLeaf(node)) found.push({ node, trail })
    else if (isOpaque(node)) issues.push(notPlain(trail, node))
  })
  for (const [label, at] of byLabel(found)) {
    const other = at.find((p) => p.node !== at[0]?.node)
    if (at[0] && other)
      issues.push({
        _tag: 'LabelClash',
        path: showPath(pathOf(other.trail)),
        expected: `the label "${label}" to name one leaf`,
        found: `another leaf under the same label at ${showPath(pathOf(at[0].trail))}`,
        hint: 'Give each model a name with nest("name", model), or part a tie with untie(model, path).',
      })
    for (const p of at)
      if (!isTensor(p.node.value))
        issues.push({
          _tag: 'BadLeaf',
          path: showPath(pathOf(p.trail)),
          expected: 'a leaf that holds a tensor',
          found: typeof p.node.value,
          hint: 'Make leaves with param(form, label, value) or constant(label, value).',
        })
      else if (p.node.value.isDisposed)
        issues.push({
          _tag: 'Disposed',
          path: showPath(pathOf(p.trail)),
          expected: 'a live tensor',
          found: 'a tensor whose memory was given back',
          hint: 'Something called release on a tree that shares this leaf; name this model in its `keep`.',
        })
  }
  return issues
}

/** Throws a `TransformFailure` unless labels and tensors of a tree are in order. */
export const requireSound = (tree: unknown): void => {
  const issues = unsound(tree)
  if (issues.length > 0) throw new TransformFailure(issues)
}

const renamed = <L extends Param | Constant | Hole>(leaf: L, label: string): L =>
  leaf.label === label ? leaf : { ...leaf, label }

/**
 * The tree with every label mapped; leaves tied before are tied after.
 *
 * @throws TransformFailure `LabelClash` when two leaves end up with one label.
 * @example
 * ```ts
 * import { param, relabel } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * relabel({ w: param('vector', 'w', zeros([2])) }, label => `net.${label}`).w.label // => 'net.w'
 * ```
 */
export const relabel = <M>(tree: M, f: (label: string) => string): M => {
  const after = mapLeaves(tree, (leaf) => renamed(leaf, f(leaf.label)))
  requireSound(after)
  return after as M
}

/**
 * Puts a model under a name, so that two models can stand in one tree: every label gets the name in front.
 *
 * @throws TransformFailure `LabelClash` when one label names two leaves already.
 * @example
 * ```ts
 * import { nest, sllm, key, count } from 'espalier'
 * const small = { ...sllm.config.seed, vocab_size: 100 }
 * const towers = { query: nest('query', sllm.init(small, key(0))), doc: nest('doc', sllm.init(small, key(1))) }
 * towers.query.final_norm.scale.label // => 'query.final_norm.scale'
 * ```
 */
export const nest = <M>(name: string, tree: M): M => relabel(tree, (label) => `${name}.${label}`)

/**
 * Parts a tie: every leaf under the selection becomes a leaf of its own, labelled by its path.
 *
 * The tensors stay shared, since they never change; what is trained afterwards goes its own way.
 *
 * @throws TransformFailure `NoMatch`, `BadSelector`, `LabelClash`.
 * @example
 * ```ts
 * import { param, ties, untie } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const shared = param('table', 'tokens', zeros([5, 3]))
 * const parted = untie({ embed: shared, head: shared }, 'head')
 * ties(parted) // => {}
 * parted.head.value === parted.embed.value // => true
 * ```
 */
export const untie = <M>(tree: M, at: Selector): M => {
  const counts = byLabel(leafPlaces(tree))
  const tied = find(tree, at)
    .flatMap((place) => leafPlaces(place.node).map((l) => ({ ...l, ...joined(place, l) })))
    .filter((p) => (counts.get(p.node.label)?.length ?? 0) > 1)
  const after = replaceAt(
    tree,
    tied.map(({ node, path, route }) => ({ route, value: { ...node, label: freshLabel(showPath(path), counts) } })),
  )
  requireSound(after)
  return after as M
}

// A tie may well carry the label of the very place that is parted from it.
const freshLabel = (path: string, taken: ReadonlyMap<string, unknown>): string =>
  taken.has(path) ? freshLabel(`${path}'`, taken) : path

const joined = (a: Place, b: Place): { readonly path: readonly string[]; readonly route: readonly string[] } => ({
  path: [...a.path, ...b.path],
  route: [...a.route, ...b.route],
})
