import type { Issue } from '../tree/error.ts'
import { isConstant, isLeaf } from '../tree/leaf.ts'
import { BASE, isBranch, showPath } from '../tree/walk.ts'
import type { Branch } from '../tree/walk.ts'
import { isPacked } from '../tree/wrap.ts'
import type { AnyField } from './field.ts'
import type { AnyKind, Kinds } from './kind.ts'

// Names bound so far; a child's binding is carried up into its parent's names.
type Bound = Map<string, number>

/**
 * Everything in which a node, or what is attached to it, differs from its kind: missing and surplus fields, wrong
 * forms, and shapes that do not agree.
 *
 * Dimensions are unified over the whole model, so the error names the axis and both lengths.
 *
 * @example
 * ```ts
 * import { kinds, LinearKind, param, shapeIssues } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const weight = param('matrix', 'weight', zeros([3, 2]))
 * const wrong = { _tag: 'Linear', weight, bias: param('vector', 'bias', zeros([5])) }
 * shapeIssues(wrong, LinearKind, kinds).map(issue => issue.path) // => ['bias']
 * ```
 */
export const shapeIssues = (node: unknown, kind: AnyKind, kinds: Kinds): readonly Issue[] => {
  const issues: Issue[] = []
  checkNode(node, kind, kinds, [], new Map(), issues)
  return issues
}

const tagOf = (node: unknown): string | undefined =>
  isBranch(node) || isLeaf(node) ? ((node as { _tag?: string })._tag ?? undefined) : undefined

/** A value as a message names it. */
const found = (x: unknown): string => tagOf(x) ?? (isBranch(x) ? (Array.isArray(x) ? 'a list' : 'a record') : String(x))

/** What stands at a place: the node or leaf itself, and whatever wraps it, outermost first. */
const unwrapped = (x: unknown, tag?: string): { readonly bare: unknown; readonly wrappers: readonly Branch[] } => {
  if (!isBranch(x) || tagOf(x) === tag || !Object.hasOwn(x, BASE)) return { bare: x, wrappers: [] }
  const { bare, wrappers } = unwrapped((x as Readonly<Record<string, unknown>>)[BASE], tag)
  return { bare, wrappers: [x, ...wrappers] }
}

const checkNode = (
  place: unknown,
  kind: AnyKind,
  kinds: Kinds,
  path: readonly string[],
  bound: Bound,
  issues: Issue[],
): void => {
  const { bare, wrappers } = unwrapped(place, kind.tag)
  if (tagOf(bare) !== kind.tag) {
    issues.push(
      issue(path, `a ${kind.tag}`, tagOf(bare) ?? typeof bare, 'Build the node with its kind, or decode it again.'),
    )
    return
  }
  checkFields(bare as Branch, kind, kinds, path, bound, issues)
  checkWrappers(wrappers, kinds, path, bound, issues)
}

// A wrapper speaks of the dimensions of what it wraps by their names there.
const checkWrappers = (
  wrappers: readonly Branch[],
  kinds: Kinds,
  path: readonly string[],
  bound: Bound,
  issues: Issue[],
): void => {
  for (const wrapper of wrappers) {
    const tag = tagOf(wrapper) ?? ''
    const kind = Object.hasOwn(kinds, tag) ? kinds[tag] : undefined
    if (kind !== undefined) checkFields(wrapper, kind, kinds, path, new Map(bound), issues)
  }
}

const checkFields = (
  node: Branch,
  kind: AnyKind,
  kinds: Kinds,
  path: readonly string[],
  bound: Bound,
  issues: Issue[],
): void => {
  const record = node as Readonly<Record<string, unknown>>
  for (const name of Object.keys(record))
    if (name !== '_tag' && name !== BASE && !name.startsWith('~') && !Object.hasOwn(kind.fields, name))
      issues.push(
        issue([...path, name], `no such field in ${kind.tag}`, 'one', `It has ${Object.keys(kind.fields).join(', ')}.`),
      )
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
    case 'ConstantField':
      if (!isConstant(value)) return void issues.push(issue(path, 'a constant', found(value), 'Put a constant there.'))
      return void checkAxes(field.axes, value.value.shape, path, bound, issues)
    case 'ParamField': {
      // The bias of a layer made without one.
      if (value === null && field.form === 'vector') return
      const { bare: leaf, wrappers } = unwrapped(value)
      const shape = isLeaf(leaf) ? leaf.value.shape : isPacked(leaf) ? [leaf.rows, leaf.columns] : undefined
      if (shape === undefined)
        return void issues.push(issue(path, `a ${field.form}`, found(value), 'Put a parameter there.'))
      if (!checkAxes(field.axes, shape, path, bound, issues)) return
      checkWrappers(
        wrappers,
        kinds,
        path,
        new Map([
          ['in', shape[0] ?? 0],
          ['out', shape[1] ?? 0],
        ]),
        issues,
      )
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
      if (value !== null) issues.push(issue(path, 'null', found(value), ''))
  }
}

const checkAxes = (
  axes: readonly string[],
  shape: readonly number[],
  path: readonly string[],
  bound: Bound,
  issues: Issue[],
): boolean => {
  const agrees = shape.length === axes.length
  if (agrees) axes.forEach((axis, i) => unify(axis, shape[i] ?? 0, path, i, bound, issues))
  else issues.push(issue(path, `axes [${axes.join(', ')}]`, `shape [${shape.join(', ')}]`, ''))
  return agrees
}

const product = (axis: string, bound: Bound): number | undefined => {
  const whole = bound.get(axis)
  if (whole !== undefined) return whole
  let total = 1
  for (const name of axis.split('*')) {
    const n = isNumber(name) ? Number(name) : bound.get(name)
    if (n === undefined) return undefined
    total *= n
  }
  return total
}

const isNumber = (name: string): boolean => /^\d+$/.test(name)

const unify = (
  axis: string,
  length: number,
  path: readonly string[],
  at: number | undefined,
  bound: Bound,
  issues: Issue[],
): void => {
  const expected = product(axis, bound)
  if (expected === length) return
  const free = axis.split('*').filter((n) => !isNumber(n) && !bound.has(n))
  const known = axis.split('*').reduce((n, name) => n * (isNumber(name) ? Number(name) : (bound.get(name) ?? 1)), 1)
  const [only] = free
  const where = at === undefined ? '' : ` at axis ${at}`
  const wrong = (text: string): void => {
    issues.push(issue(path, text + where, String(length), 'The shapes of one model must agree.'))
  }
  if (expected !== undefined) wrong(`${axis} = ${expected}`)
  else if (length % known !== 0) wrong(`${axis}, a multiple of ${known},`)
  // Two unknown factors cannot be told apart, but their product must be the same everywhere.
  else bound.set(only !== undefined && free.length === 1 ? only : axis, length / (free.length === 1 ? known : 1))
}

const issue = (path: readonly string[], expected: string, found: string, hint: string): Issue => ({
  _tag: 'ShapeMismatch',
  path: showPath(path),
  expected,
  found,
  hint,
})
