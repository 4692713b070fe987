import * as fc from 'fast-check'
import { key } from '../tree/key.ts'
import { constant, param, withStatus } from '../tree/leaf.ts'
import type { Constant, Form, Param } from '../tree/leaf.ts'
import { drawn } from './values.ts'
import type { Style } from './values.ts'

/*
 * A tree is drawn as a flat list of (path, what stands there) and folded, since lists shrink well: dropping an element
 * drops a leaf wherever it is, which a recursive arbitrary cannot do.
 */

/** What stands at one path of a drawn tree. */
interface Entry {
  readonly path: readonly string[]
  readonly what: 'param' | 'constant' | 'wrapped' | 'tie' | 'share' | 'empty'
  readonly form: Form
  readonly frozen: boolean
  readonly shape: readonly number[]
  /** Which of the leaves or branches before this one a tie or a share takes. */
  readonly earlier: number
}

// Names that records have by themselves, names in other scripts, and numbers, of which lists are made.
const names = ['a', 'b', 'weight', 'bias', '0', '1', '2', 'größe', '名', '🌳', 'two words', 'constructor', '__proto__']
const shapes: readonly (readonly number[])[] = [[2], [1], [2, 3], [3, 1], [], [0, 2], [2, 1, 2]]

const entry: fc.Arbitrary<Entry> = fc.record({
  path: fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 }),
  what: fc.constantFrom('param', 'param', 'param', 'constant', 'wrapped', 'tie', 'share', 'empty'),
  form: fc.constantFrom('matrix', 'table', 'vector'),
  frozen: fc.boolean(),
  shape: fc.constantFrom(...shapes),
  earlier: fc.nat(20),
})

type Folder = Map<string, Folder | Entry>

const isFolder = (x: Folder | Entry | undefined): x is Folder => x instanceof Map

/** Puts an entry at its path, unless a leaf is in the way or the place is taken. */
const put = (root: Folder, { path, ...rest }: Entry): void => {
  let here = root
  for (const name of path.slice(0, -1)) {
    if (!here.has(name)) here.set(name, new Map())
    const next = here.get(name)
    if (!isFolder(next)) return
    here = next
  }
  const last = path.at(-1) ?? ''
  if (!here.has(last)) here.set(last, { path, ...rest })
}

interface Built {
  readonly style: Style
  readonly leaves: (Param | Constant)[]
  readonly branches: unknown[]
}

const leafOf = ({ what, form, frozen, shape, path }: Entry, style: Style, label: string): Param | Constant => {
  const value = drawn(key(path.join('/')), shape, style)
  if (what === 'constant') return constant(label, value)
  return withStatus(param(form, label, value), frozen ? 'frozen' : 'trainable')
}

const pick = <A>(from: readonly A[], at: number): A | undefined =>
  from.length === 0 ? undefined : from[at % from.length]

const nodeOf = (entry: Entry, built: Built): unknown => {
  const { what, path, earlier } = entry
  if (what === 'empty') return earlier % 2 === 0 ? {} : []
  if (what === 'share') return pick(built.branches, earlier) ?? {}
  const again = what === 'tie' ? pick(built.leaves, earlier) : undefined
  if (again !== undefined) return again
  const label = path.join('.')
  const leaf = leafOf(entry, built.style, label)
  built.leaves.push(leaf)
  if (what !== 'wrapped') return leaf
  const extra = param('matrix', `${label}.extra`, drawn(key(label), [2, 2], built.style))
  built.leaves.push(extra)
  const wrapped = { _tag: 'Wrap', base: leaf, extra, factor: 0.5 }
  return earlier % 3 === 0 ? { _tag: 'Wrap', base: wrapped, factor: 2 } : wrapped
}

const isIndex = (name: string): boolean => /^\d+$/.test(name)

const fold = (folder: Folder, built: Built): unknown => {
  const list = folder.size > 0 && [...folder.keys()].every(isIndex)
  const entries = [...folder].toSorted(([a], [b]) => (list ? Number(a) - Number(b) : 0))
  const children = entries.map(([name, x]) => [name, isFolder(x) ? fold(x, built) : nodeOf(x, built)] as const)
  const tag = folder.has('weight') ? [['_tag', 'Layer'] as const] : []
  const node = list ? children.map(([, child]) => child) : Object.fromEntries([...tag, ...children])
  built.branches.push(node)
  return node
}

/** How trees are drawn. */
export interface TreeOptions {
  readonly style?: Style
  /** Most leaves; 10 by default. */
  readonly size?: number
  /** At least one parameter that nothing wraps, so that laws of leaves have something to bite on. */
  readonly nonEmpty?: boolean
}

/**
 * Trees of every form that a tree may have: records, lists and tagged nodes, parameters of every form and status,
 * constants, wrappers, ties, shared subtrees, empty containers, and names in any script.
 *
 * Shapes are small, some have no element; labels are unique, as in every sound tree. It shrinks to few leaves.
 *
 * @example
 * ```ts
 * import fc from 'fast-check'
 * import { leaves, mapLeaves } from 'espalier'
 * import { trees } from 'espalier/laws'
 * fc.assert(fc.property(trees(), tree => mapLeaves(tree, leaf => leaf) === tree))
 * fc.sample(trees({ size: 3 }), 5).every(tree => leaves(tree).length <= 6) // => true
 * ```
 */
export const trees = ({ style = 'dyadic', size = 10, nonEmpty = false }: TreeOptions = {}): fc.Arbitrary<unknown> =>
  fc.array(entry, { minLength: nonEmpty ? 1 : 0, maxLength: size }).map((entries) => {
    const root: Folder = new Map()
    entries.forEach((e, i) => put(root, nonEmpty && i === 0 ? { ...e, what: 'param' } : e))
    return fold(root, { style, leaves: [], branches: [] })
  })
