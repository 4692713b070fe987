import type { Issue } from '../tree/error.ts'
import { isLeaf } from '../tree/leaf.ts'
import { BASE, isBranch, showPath } from '../tree/walk.ts'
import type { AnyField } from './field.ts'
import type { AnyKind, Kinds } from './kind.ts'

// Names bound so far; a child's binding is carried up into its parent's names.
type Bound = Map<string, number>

/**
 * Everything in which a node differs from its kind: missing and surplus fields, wrong forms, and shapes that do not agree.
 *
 * Dimensions are unified over the whole model, so the error names the axis and both lengths.
 */
export const shapeIssues = (node: unknown, kind: AnyKind, kinds: Kinds): readonly Issue[] => {
  const issues: Issue[] = []
  checkNode(node, kind, kinds, [], new Map(), issues)
  return issues
}

const tagOf = (node: unknown): string | undefined =>
  isBranch(node) ? ((node as { _tag?: string })._tag ?? undefined) : undefined

/** Whatever wraps a node at its place, taken off. */
const unwrapped = (node: unknown, tag: string): unknown =>
  isBranch(node) && tagOf(node) !== tag && BASE in node ? unwrapped((node as Record<string, unknown>)[BASE], tag) : node

const checkNode = (
  wrapped: unknown,
  kind: AnyKind,
  kinds: Kinds,
  path: readonly string[],
  bound: Bound,
  issues: Issue[],
): void => {
  const node = unwrapped(wrapped, kind.tag)
  if (tagOf(node) !== kind.tag) {
    issues.push(issue(path, `a ${kind.tag}`, tagOf(node) ?? typeof node, 'Build the node with its kind, or decode it again.'))
    return
  }
  const record = node as Readonly<Record<string, unknown>>
  for (const name of Object.keys(record))
    if (name !== '_tag' && !name.startsWith('~') && !(name in kind.fields))
      issues.push(issue([...path, name], `no such field in ${kind.tag}`, 'one', `It has ${Object.keys(kind.fields).join(', ')}.`))
  for (const [name, field] of Object.entries(kind.fields))
    checkField(record[name], field, kinds, [...path, name], bound, issues)
}

const checkField = (
  value: unknown,
  field: AnyField,
  kinds: Kinds,
  path: readonly string[],
  bound: Bound,
  issues: Issue[],
): void => {
  switch (field._tag) {
    case 'ParamField': {
      // The bias of a layer made without one.
      if (value === null && field.form === 'vector') return
      const leaf = bareLeaf(value)
      if (!isLeaf(leaf)) return void issues.push(issue(path, `a ${field.form}`, String(tagOf(value) ?? value), 'Put a parameter there.'))
      const { shape } = leaf.value
      if (shape.length !== field.axes.length)
        return void issues.push(issue(path, `axes [${field.axes.join(', ')}]`, `shape [${shape.join(', ')}]`, ''))
      field.axes.forEach((axis, i) => unify(axis, shape[i] ?? 0, path, i, bound, issues))
      return
    }
    case 'NodeField': {
      const inner: Bound = new Map()
      for (const [child, axis] of Object.entries(field.dims)) {
        const known = product(axis, bound)
        if (known !== undefined) inner.set(child, known)
      }
      checkNode(value, field.kind, kinds, path, inner, issues)
      for (const [child, axis] of Object.entries(field.dims)) {
        const length = inner.get(child)
        if (length !== undefined) unify(axis, length, path, undefined, bound, issues)
      }
      return
    }
    case 'ListField':
      if (!Array.isArray(value)) return void issues.push(issue(path, 'a list', typeof value, ''))
      value.forEach((v, i) => checkField(v, field.of, kinds, [...path, String(i)], bound, issues))
      return
    case 'StaticField':
      if (typeof value !== typeof field.value)
        issues.push(issue(path, `a ${typeof field.value}`, String(value), 'Plain data of a node keeps its type.'))
      return
    case 'AbsentField':
      if (value !== null) issues.push(issue(path, 'null', String(tagOf(value) ?? value), ''))
  }
}

const bareLeaf = (value: unknown): unknown =>
  isBranch(value) && BASE in value ? bareLeaf((value as Record<string, unknown>)[BASE]) : value

const product = (axis: string, bound: Bound): number | undefined => {
  let total = 1
  for (const name of axis.split('*')) {
    const n = /^\d+$/.test(name) ? Number(name) : bound.get(name)
    if (n === undefined) return undefined
    total *= n
  }
  return total
}

const unify = (axis: string, length: number, path: readonly string[], at: number | undefined, bound: Bound, issues: Issue[]): void => {
  const free = axis.split('*').filter(n => !/^\d+$/.test(n) && !bound.has(n))
  const known = axis.split('*').reduce((n, name) => n * (/^\d+$/.test(name) ? Number(name) : (bound.get(name) ?? 1)), 1)
  const [only] = free
  if (only !== undefined && free.length === 1 && length % known === 0) bound.set(only, length / known)
  else if (free.length === 0 && known !== length)
    issues.push(
      issue(path, `${axis} = ${known}${at === undefined ? '' : ` at axis ${at}`}`, String(length), 'The shapes of one model must agree.'),
    )
}

const issue = (path: readonly string[], expected: string, found: string, hint: string): Issue => ({
  _tag: 'ShapeMismatch',
  path: showPath(path),
  expected,
  found,
  hint,
})
