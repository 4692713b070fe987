import type { Issue } from '../../tree/error.ts'
import { BASE, showPath } from '../../tree/walk.ts'
import { describeEntry, entries, isEntry } from './entries.ts'
import type { Entry } from './entries.ts'
import { describe, issue } from '../issues.ts'
import type { Issues } from '../issues.ts'
import type { Json } from '../json.ts'

/** What counts as a difference, and what to do about one. */
export interface Strictness {
  /** Whether it matters that one parameter is trainable and the other frozen. */
  readonly status: boolean
  /** Whether plain data at a path must be the same; elsewhere it may be anything, as the state of a run is. */
  readonly data: (path: readonly string[]) => boolean
  readonly hint: string
}

type Branch = Readonly<Record<string, Json>> | readonly Json[]

const isBranch = (node: Json): node is Branch => typeof node === 'object' && node !== null && !isEntry(node)
const isPlain = (node: Json): boolean => entries(node).next().done === true

/** Whether a node of a file wraps another, as an adapter wraps a weight. */
export const isWrapper = (node: Json): node is { readonly _tag: Json; readonly base: Json } =>
  isBranch(node) && Object.hasOwn(node, '_tag') && Object.hasOwn(node, BASE)

/** A tree with everything taken off that wraps something. */
export const bare = (node: Json): Json => {
  if (!isBranch(node)) return node
  if (Array.isArray(node)) return (node as readonly Json[]).map(bare)
  return isWrapper(node)
    ? bare(node.base)
    : Object.fromEntries(Object.entries(node).map(([key, child]) => [key, bare(child)]))
}

/** Every difference between the tree that was expected and the one that was found. */
export const differences = (expected: Json, found: Json, { status, data, hint }: Strictness): Issues => {
  const issues: Issue[] = []
  const differ = (tag: string, path: readonly string[], a: string, b: string): void => {
    issues.push(issue(tag, showPath(path), a, b, hint))
  }
  const missing = (node: Json, path: readonly string[]): void => {
    for (const p of entries(node, path)) differ('MissingTensor', p.path, describeEntry(p.entry), 'nothing')
  }
  const extra = (node: Json, path: readonly string[]): void => {
    for (const p of entries(node, path)) differ('ExtraTensor', p.path, 'nothing', describeEntry(p.entry))
  }
  const compareEntries = (a: Entry, b: Entry, path: readonly string[]): void => {
    const found = status || a._tag !== 'Param' || b._tag !== 'Param' ? b : { ...b, status: a.status }
    const misshapen = a.shape.join() !== b.shape.join() || a.dtype !== b.dtype
    const [x, y] = [describeEntry(a), describeEntry(found)]
    if (x !== y) differ(misshapen ? 'ShapeMismatch' : 'LeafMismatch', path, x, y)
  }
  const go = (a: Json | undefined, b: Json | undefined, path: readonly string[], matters: boolean): void => {
    if (a !== undefined && b !== undefined) {
      if (isEntry(a) && isEntry(b)) return compareEntries(a, b, path)
      if (isBranch(a) && isBranch(b) && Array.isArray(a) === Array.isArray(b)) return compareBranches(a, b, path)
    }
    const [plainA, plainB] = [a === undefined || isPlain(a), b === undefined || isPlain(b)]
    if (!plainA || !plainB) {
      if (plainA && !matters) return
      if (a !== undefined) missing(a, path)
      if (b !== undefined) extra(b, path)
    } else if (matters && !Object.is(a, b)) differ('DataMismatch', path, describe(a), describe(b))
  }
  const compareBranches = (a: Branch, b: Branch, path: readonly string[]): void => {
    const [before, after] = [new Map<string, Json>(Object.entries(a)), new Map<string, Json>(Object.entries(b))]
    for (const key of new Set([...before.keys(), ...after.keys()])) {
      const here = key === BASE ? path : [...path, key]
      go(before.get(key), after.get(key), here, key === '_tag' || data(here))
    }
  }
  go(expected, found, [], data([]))
  return issues
}
