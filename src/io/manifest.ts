import * as t from 'io-ts'
import { isConstant, isHole, isLeaf, isParam } from '../tree/leaf.ts'
import type { Leaf } from '../tree/leaf.ts'
import type { Issue } from '../tree/error.ts'
import { isTensor } from '../tree/tensor.ts'
import type { DType, Tensor, TensorSpec } from '../tree/tensor.ts'
import { BASE, leaves, showPath } from '../tree/walk.ts'
import { describe, issue, refuse, reject } from './issues.ts'
import type { Json } from './json.ts'

/** What a file may hold: a model keeps every rule; a run may also hold two states of one model, and a loss that is not finite yet. */
export type Rules = 'model' | 'run'

/** A tree as JSON, and its tensors by the names that the JSON gives them. */
export interface Encoded {
  readonly tree: Json
  readonly tensors: ReadonlyMap<string, Tensor>
}

// Such as the parser of json.ts lets through, so that what is written can be read.
const deepest = 400

const reserved = (tag: unknown): boolean => typeof tag === 'string' && tag.startsWith('~')

const isPlainObject = (x: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(x)
  return prototype === null || prototype === Object.prototype
}

const specOf = ({ shape, dtype }: TensorSpec): { readonly shape: readonly number[]; readonly dtype: DType } => ({ shape, dtype })

/** Guards the recursions below, and those of src/tree, against a tree that holds itself. */
const requireTree = (x: unknown, path: readonly string[]): void => {
  if (typeof x !== 'object' || x === null || isTensor(x)) return
  if (path.length > deepest) reject('TooDeep', '', `a tree of at most ${deepest} levels`, 'more', 'Does a part of it hold the whole?')
  for (const [key, child] of Object.entries(x)) requireTree(child, [...path, key])
}

/** Names for what will be stored: a leaf's is its label, a bare tensor's is the way to it. */
const namer = (tree: unknown, rules: Rules) => {
  const taken = new Map<string, object>()
  const names = new Map<object, string>()
  const give = (x: object, wish: string): string => {
    const known = names.get(x)
    if (known !== undefined) return known
    const free = (name: string): string => (taken.has(name) ? free(`${name}'`) : name)
    const name = free(wish)
    taken.set(name, x)
    names.set(x, name)
    return name
  }
  for (const leaf of leaves(tree)) {
    const name = give(leaf, leaf.label)
    // A bare tensor that is a leaf's value as well is stored once.
    if (rules === 'run' && typeof leaf.value === 'object' && !names.has(leaf.value)) names.set(leaf.value, name)
  }
  return give
}

/**
 * A tree as JSON and tensors: structure, tags and plain data as they are, each tensor as an entry with its shape and dtype.
 *
 * Throws all that cannot be written: label clashes, freed tensors, numbers that are not finite, functions, instances.
 */
export const encode = (tree: unknown, rules: Rules): Encoded => {
  requireTree(tree, [])
  const issues: Issue[] = []
  const tensors = new Map<string, Tensor>()
  const nameOf = namer(tree, rules)
  const complain = (tag: string, path: readonly string[], expected: string, found: string, hint: string): null => {
    issues.push(issue(tag, showPath(path), expected, found, hint))
    return null
  }
  const store = (name: string, tensor: Tensor, path: readonly string[]): void => {
    if (tensor.isDisposed) complain('Disposed', path, 'a live tensor', 'a tensor whose memory was given back', 'Something called release on a tree that shares it; name this one in its `keep`.')
    tensors.set(name, tensor)
  }
  const leafEntry = (leaf: Leaf, path: readonly string[]): Json => {
    const { value, ...rest } = leaf
    const known = isParam(leaf) ? ['_tag', 'label', 'status', 'form'] : ['_tag', 'label']
    const spare = Object.keys(rest).find((key) => !known.includes(key))
    if (spare !== undefined || typeof leaf.label !== 'string' || !isTensor(value))
      return complain('BadLeaf', path, `a ${leaf._tag} with a label and a tensor`, spare === undefined ? describe(value) : `a field "${spare}"`, 'Make leaves with param(…) and constant(…).')
    const name = nameOf(leaf, leaf.label)
    if (name !== leaf.label && rules === 'model')
      return complain('LabelClash', path, `the label "${leaf.label}" to name one leaf`, 'another leaf under the same label', 'Give each model a name with nest("name", model), or part a tie with untie(model, path).')
    store(name, value, path)
    return { ...(rest as Record<string, Json>), ...specOf(value), ...(name === leaf.label ? {} : { stored: name }) }
  }
  const plain = (x: unknown, path: readonly string[]): Json => {
    if (x === null || typeof x === 'string' || typeof x === 'boolean') return x
    if (typeof x === 'number' && Number.isFinite(x)) return x
    if (rules === 'run' && (typeof x === 'number' || x === undefined)) return { _tag: '~value', value: String(x) }
    return complain('BadData', path, 'a finite number, a string, a boolean or null', describe(x), 'Only plain data and tensors can be stored; leave the field out, or write null.')
  }
  const go = (x: unknown, path: readonly string[], route: readonly string[]): Json => {
    if (typeof x !== 'object' || x === null) return plain(x, path)
    if (isTensor(x)) {
      const stored = nameOf(x, `~${route.join('.')}`)
      store(stored, x, path)
      return { _tag: '~tensor', stored, ...specOf(x) }
    }
    if (isLeaf(x)) return leafEntry(x, path)
    const below = ([key, child]: [string, unknown]): readonly [string, Json] => [
      key,
      go(child, key === BASE ? path : [...path, key], [...route, key]),
    ]
    if (Array.isArray(x)) return Array.from(x, (child: unknown, i) => below([String(i), child])[1])
    if (!isPlainObject(x)) return complain('BadData', path, 'a plain object', `an instance of ${describe(x.constructor.name)}`, 'Trees are made of plain records, arrays, numbers and tensors.')
    const tag = (x as { _tag?: unknown })._tag
    if (reserved(tag)) return complain('BadData', path, 'a tag that does not begin with "~"', describe(tag), 'Such tags are kept for files.')
    if (isHole(x)) return { _tag: 'Hole', label: x.label }
    return Object.fromEntries(Object.entries(x).map(below))
  }
  const json = go(tree, [], [])
  refuse(issues)
  return { tree: json, tensors }
}

const values: Readonly<Record<string, unknown>> = { NaN, Infinity, '-Infinity': -Infinity, undefined }

/** The value that stands for a name in a run's file. */
export const valueOf = (name: string): unknown => values[name]

const isValueName = t.refinement(t.string, (s) => Object.hasOwn(values, s), 'NaN, Infinity, -Infinity or undefined')

export { isValueName, isConstant, reserved }
