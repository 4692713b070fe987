import type { Issue } from '../../tree/error.ts'
import { constant } from '../../tree/leaf.ts'
import type { Leaf } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { BASE, isBranch, showPath } from '../../tree/walk.ts'
import { isRecord } from '../codec.ts'
import { describeEntry, entries, isEntry, isValueEntry, storedName, valueOf } from './entries.ts'
import type { Entry, EntryPlace } from './entries.ts'
import { inFile, issue, refuse } from '../issues.ts'
import type { Issues } from '../issues.ts'
import type { Json } from '../json.ts'
import { storedDType } from '../tensors/safetensors.ts'
import type { SafetensorsHeader } from '../tensors/header.ts'

const stable = (entry: Entry): string => JSON.stringify(Object.entries(entry).toSorted(([a], [b]) => (a < b ? -1 : 1)))

/** The entries of a tree by the names of their tensors; two that say different things of one tensor are thrown. */
export const byName = (tree: Json, path: string): ReadonlyMap<string, EntryPlace> => {
  const found = new Map<string, EntryPlace>()
  const issues: Issue[] = []
  for (const place of entries(tree)) {
    const name = storedName(place.entry)
    const other = found.get(name)
    if (other === undefined) found.set(name, place)
    else if (sameTensor(other.entry, place.entry)) continue
    else
      issues.push(
        issue(
          'LabelClash',
          inFile(path, showPath(place.path)),
          describeEntry(other.entry),
          describeEntry(place.entry),
          `The tensor "${name}" stands at ${showPath(other.path)} as well, otherwise described.`,
        ),
      )
  }
  refuse(issues)
  return found
}

// A bare tensor may share its elements with a leaf; two leaves of one label must be one leaf.
const sameTensor = (a: Entry, b: Entry): boolean =>
  a._tag === b._tag ? stable(a) === stable(b) : a.dtype === b.dtype && a.shape.join() === b.shape.join()

/** How a file of tensors differs from what a tree says of it: all that is missing, misshapen or too much. */
export const headerIssues = (
  wanted: ReadonlyMap<string, EntryPlace>,
  { tensors }: SafetensorsHeader,
  path: string,
): Issues => [
  ...[...wanted].flatMap(([name, { entry }]): Issues => {
    const expected = `${storedDType(entry.dtype)} [${entry.shape.join(', ')}]`
    const stored = tensors.get(name)
    if (stored === undefined)
      return [
        issue(
          'MissingTensor',
          inFile(path, name),
          expected,
          'no tensor of this name',
          'The files of this folder do not belong together.',
        ),
      ]
    const found = `${stored.dtype} [${stored.shape.join(', ')}]`
    return found === expected
      ? []
      : [
          issue(
            'ShapeMismatch',
            inFile(path, name),
            expected,
            found,
            'The files of this folder do not belong together.',
          ),
        ]
  }),
  ...[...tensors]
    .filter(([name]) => !wanted.has(name))
    .map(([name, { dtype, shape }]) =>
      issue(
        'ExtraTensor',
        inFile(path, name),
        'no tensor of this name',
        `${dtype} [${shape.join(', ')}]`,
        'The files of this folder do not belong together.',
      ),
    ),
]

/** Where the tensors and leaves of a tree come from. */
export interface Supply {
  readonly tensor: (name: string) => Tensor
  /** A leaf that is there already. */
  readonly leaf?: (entry: Entry) => Leaf | undefined
}

const fresh = (entry: Exclude<Entry, { _tag: '~tensor' }>, value: Tensor): Leaf => {
  const { label } = entry
  return entry._tag === 'Constant'
    ? constant(label, value, entry.standsFor)
    : { _tag: 'Param', label, status: entry.status, form: entry.form, value }
}

/**
 * The tree that a file describes; each name gives one leaf object, so that ties are ties again.
 *
 * Where it is no different from `on`, that tree, what comes back is the same reference.
 */
export const build = (tree: Json, supply: Supply, on?: unknown): unknown => {
  const done = new Map<string, Leaf>()
  const leafOf = (entry: Exclude<Entry, { _tag: '~tensor' }>): Leaf => {
    const name = storedName(entry)
    const leaf = done.get(name) ?? supply.leaf?.(entry) ?? fresh(entry, supply.tensor(name))
    done.set(name, leaf)
    return leaf
  }
  const go = (node: Json, twin: unknown): unknown => {
    if (isEntry(node)) return node._tag === '~tensor' ? supply.tensor(node.stored) : leafOf(node)
    if (isValueEntry(node)) return valueOf(node)
    if (typeof node !== 'object' || node === null) return node
    const isWrapper = isRecord(node) && Object.hasOwn(node, '_tag') && Object.hasOwn(node, BASE)
    const below = (key: string): unknown =>
      isWrapper
        ? key === BASE
          ? twin
          : undefined
        : isBranch(twin) && Object.hasOwn(twin, key)
          ? (twin as Record<string, unknown>)[key]
          : undefined
    const parts = Object.entries(node).map(([key, child]) => [key, go(child, below(key))] as const)
    const isTwin =
      !isWrapper &&
      isBranch(twin) &&
      Object.keys(twin).length === parts.length &&
      parts.every(([key, part]) => Object.is(part, below(key)))
    if (isTwin) return twin
    return Array.isArray(node) ? parts.map(([, part]) => part) : Object.fromEntries(parts)
  }
  return go(tree, on)
}
