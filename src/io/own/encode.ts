import { isHole, isLeaf, isParam } from '../../tree/leaf.ts'
import type { Leaf } from '../../tree/leaf.ts'
import type { Issue } from '../../tree/error.ts'
import { isTensor } from '../../tree/tensor.ts'
import type { DType, Tensor, TensorSpec } from '../../tree/tensor.ts'
import { BASE, leaves, showPath } from '../../tree/walk.ts'
import { valueEntry } from './entries.ts'
import { describe, issue, refuse, reject } from '../issues.ts'
import type { Json } from '../json.ts'

/** What a file may hold: a model keeps every rule; a run may hold two states of one model, and a loss that is not finite yet. */
export type Rules = 'model' | 'run'

/** A tree as JSON, and its tensors by the names that the JSON gives them. */
export interface Encoded {
  readonly tree: Json
  readonly tensors: ReadonlyMap<string, Tensor>
}

// Such as json.ts lets through, so that what is written can be read.
const deepest = 400

/** Guards the recursions below, and those of src/tree, against a tree that holds itself. */
const requireTree = (x: unknown, depth: number): void => {
  if (typeof x !== 'object' || x === null || isTensor(x)) return
  if (depth > deepest)
    reject('TooDeep', '', `a tree of at most ${deepest} levels`, 'more', 'Does a part of it hold the whole?')
  for (const child of Object.values(x)) requireTree(child, depth + 1)
}

/** Gives names to what will be stored: to a leaf its label, to a bare tensor the way to it, and none to two. */
const namer = (tree: unknown): ((x: object, wish: string) => string) => {
  const taken = new Set<string>()
  const names = new Map<object, string>()
  const free = (name: string): string => (taken.has(name) ? free(`${name}'`) : name)
  const nameOf = (x: object, wish: string): string => {
    const name = names.get(x) ?? free(wish)
    taken.add(name)
    names.set(x, name)
    return name
  }
  // A bare tensor that is a leaf's value as well is stored once, under the label.
  for (const leaf of leaves(tree)) names.set(leaf.value, nameOf(leaf, leaf.label))
  return nameOf
}

const isSpec = (x: unknown): x is TensorSpec => typeof x === 'object' && x !== null && 'shape' in x && 'dtype' in x

const isPlainObject = (x: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(x)
  return prototype === null || prototype === Object.prototype
}

const specOf = ({ shape, dtype }: TensorSpec): { readonly shape: readonly number[]; readonly dtype: DType } => ({
  shape,
  dtype,
})

/**
 * A tree as JSON and tensors: structure, tags and plain data as they are, each tensor as an entry with its shape and dtype.
 *
 * Throws all that cannot be written: label clashes, freed tensors, numbers that are not finite, functions, instances.
 * With `outline` the tensors are not looked into: they may be freed, or be only a shape and a dtype.
 */
export const encode = (
  tree: unknown,
  rules: Rules,
  { outline = false }: { readonly outline?: boolean } = {},
): Encoded => {
  requireTree(tree, 0)
  const issues: Issue[] = []
  const tensors = new Map<string, Tensor>()
  const nameOf = namer(tree)
  const complain = (tag: string, path: readonly string[], expected: string, found: string, hint: string): null => {
    issues.push(issue(tag, showPath(path), expected, found, hint))
    return null
  }
  const store = (name: string, tensor: Tensor, path: readonly string[]): void => {
    if (tensor.isDisposed && !outline)
      complain(
        'Disposed',
        path,
        'a live tensor',
        'one whose memory was given back',
        'Name this tree in the `keep` of what called release.',
      )
    tensors.set(name, tensor)
  }
  const leafEntry = (leaf: Leaf, path: readonly string[]): Json => {
    const { value, ...rest } = leaf
    const known = isParam(leaf) ? ['_tag', 'label', 'status', 'form'] : ['_tag', 'label', 'standsFor']
    const wrong =
      isTensor(value) || (outline && isSpec(value)) ? Object.keys(rest).find((key) => !known.includes(key)) : 'value'
    if (wrong !== undefined)
      return complain(
        'BadLeaf',
        path,
        `a ${leaf._tag} with a label and a tensor`,
        `the field "${wrong}"`,
        'Make leaves with param(…) and constant(…).',
      )
    const name = nameOf(leaf, leaf.label)
    if (name !== leaf.label && rules === 'model')
      return complain(
        'LabelClash',
        path,
        `the label "${leaf.label}" to name one leaf`,
        'another leaf under the same label',
        'Give each model a name with nest("name", model), or part a tie with untie(model, path).',
      )
    store(name, value, path)
    return { ...(rest as Record<string, Json>), ...specOf(value), ...(name === leaf.label ? {} : { stored: name }) }
  }
  const plain = (x: unknown, path: readonly string[]): Json => {
    if (x === null || typeof x === 'string' || typeof x === 'boolean') return x
    if (typeof x === 'number' && Number.isFinite(x)) return x
    if (rules === 'run' && (typeof x === 'number' || x === undefined)) return valueEntry(x)
    return complain(
      'BadData',
      path,
      'a finite number, a string, a boolean or null',
      describe(x),
      'A file can hold tensors and plain data; leave the field out, or write null.',
    )
  }
  const go = (x: unknown, path: readonly string[], route: readonly string[]): Json => {
    if (typeof x !== 'object' || x === null) return plain(x, path)
    if (isTensor(x)) {
      const stored = nameOf(x, `~${route.join('.')}`)
      store(stored, x, path)
      return { _tag: '~tensor', stored, ...specOf(x) }
    }
    if (isLeaf(x)) return leafEntry(x, path)
    if (isHole(x)) return { _tag: 'Hole', label: x.label }
    const child = (value: unknown, key: string): Json =>
      go(value, key === BASE ? path : [...path, key], [...route, key])
    if (Array.isArray(x)) return Array.from(x, (value: unknown, i) => child(value, String(i)))
    if (!isPlainObject(x))
      return complain(
        'BadData',
        path,
        'a plain object',
        `an instance of ${x.constructor?.name}`,
        'Trees are made of plain records, arrays, plain data and tensors.',
      )
    const tag = (x as { _tag?: unknown })._tag
    if (typeof tag === 'string' && tag.startsWith('~'))
      return complain(
        'BadData',
        path,
        'a tag that does not begin with "~"',
        describe(tag),
        'Such tags are kept for files.',
      )
    return Object.fromEntries(Object.entries(x).map(([key, value]) => [key, child(value, key)]))
  }
  const json = go(tree, [], [])
  refuse(issues)
  return { tree: json, tensors }
}
