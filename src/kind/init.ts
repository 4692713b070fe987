import { EspalierError } from '../tree/error.ts'
import { fold } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { didYouMean } from '../tree/nearest.ts'
import { constant, param } from '../tree/leaf.ts'
import { isTensor } from '../tree/tensor.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { AnyField, ConstantField, ParamField } from './field.ts'
import type { AnyKind } from './kind.ts'

/** Lengths of the named dimensions. */
export type Dims = Readonly<Record<string, number>>

/**
 * The length an axis stands for: a name, a number, or a product of them.
 *
 * @throws EspalierError `BadDimension` for a name without a positive whole length.
 * @example
 * ```ts
 * import { axisLength } from 'espalier'
 * axisLength('heads*d_head', { heads: 2, d_head: 64 }) // => 128
 * axisLength('d', {}) // => Error: BadDimension
 * ```
 */
export const axisLength = (axis: string, dims: Dims): number =>
  axis.split('*').reduce((n, name) => n * (/^\d+$/.test(name) ? Number(name) : lengthOf(name, dims)), 1)

const lengthOf = (name: string, dims: Dims): number => {
  const length = Object.hasOwn(dims, name) ? dims[name] : undefined
  if (length !== undefined && Number.isSafeInteger(length) && length > 0) return length
  throw new EspalierError([
    {
      _tag: 'BadDimension',
      path: name,
      expected: 'a positive whole number',
      found: String(length),
      hint: `Give every named dimension a length; here there is ${JSON.stringify(dims)}.`,
    },
  ])
}

/** Makes the leaf of a field: what stands there, by its label and its lengths. */
export type GrowLeaf = (field: ParamField | ConstantField, label: string, shape: readonly number[]) => unknown

/**
 * A node of a kind whose leaves come from the caller: drawn, read from a file, or only described.
 *
 * `given` holds what takes a field's place: a tensor becomes the value of its leaf, anything else stands there as it is.
 *
 * @throws EspalierError `BadDimension`, `BadOption`, `ShapeMismatch` for a given tensor of another shape.
 * @example
 * ```ts
 * import { grow, LinearKind } from 'espalier'
 * grow(LinearKind, { in: 3, out: 2 }, (_, label, shape) => `${label} ${shape.join('x')}`)
 * // => { _tag: 'Linear', weight: 'weight 3x2', bias: 'bias 2' }
 * ```
 */
export const grow = (
  kind: AnyKind,
  dims: Dims,
  leaf: GrowLeaf,
  given: Readonly<Record<string, unknown>> = {},
  label = '',
): unknown => {
  const strange = Object.keys(given).find((name) => !Object.hasOwn(kind.fields, name))
  if (strange !== undefined)
    throw new EspalierError([
      {
        _tag: 'BadOption',
        path: label,
        expected: `a field of ${kind.tag}`,
        found: strange,
        hint: didYouMean(strange, Object.keys(kind.fields)),
      },
    ])
  const entries = Object.entries(kind.fields).map(([name, field]) => {
    const here = label === '' ? name : `${label}.${name}`
    const own = Object.hasOwn(given, name) ? given[name] : undefined
    if (isTensor(own)) return [name, leafOf(field, here, fitting(field, own, dims, here))] as const
    return [name, own === undefined ? growField(field, dims, leaf, here) : own] as const
  })
  return { _tag: kind.tag, ...Object.fromEntries(entries) }
}

const growField = (field: AnyField, dims: Dims, leaf: GrowLeaf, label: string): unknown => {
  switch (field._tag) {
    case 'ParamField':
    case 'ConstantField':
      return leaf(field, label, lengths(field.axes, dims))
    case 'NodeField':
      return grow(field.kind, childDims(field.dims, dims), leaf, field.statics, label)
    case 'ListField':
      return Array.from({ length: axisLength(field.length, dims) }, (_, i) =>
        growField(field.each?.[i] ?? field.of, dims, leaf, `${label}.${i}`),
      )
    case 'StaticField':
      return field.value
    case 'AbsentField':
      return null
  }
}

/** Leaves drawn by their labels. */
export const drawnLeaf =
  (key: Key): GrowLeaf =>
  (field, label, shape) =>
    leafOf(field, label, field.init(fold(key, label), shape))

/**
 * A fresh node of a kind.
 *
 * Every parameter's key is the given one folded by its label, so no parameter depends on which others exist. `given`
 * holds what takes a field's place: a tensor becomes the value of its leaf, anything else stands there as it is.
 *
 * @throws EspalierError `BadDimension`, `BadOption`, `ShapeMismatch` for a given tensor of another shape.
 * @example
 * ```ts
 * import { initialise, key, LinearKind } from 'espalier'
 * import type { Linear, Matrix } from 'espalier'
 * const fc = initialise(LinearKind, { in: 3, out: 2 }, key(0), {}, 'net.fc') as Linear<Matrix>
 * fc.weight.label // => 'net.fc.weight'
 * ```
 */
export const initialise = (
  kind: AnyKind,
  dims: Dims,
  key: Key,
  given: Readonly<Record<string, unknown>> = {},
  label = '',
): unknown => grow(kind, dims, drawnLeaf(key), given, label)

const leafOf = (field: AnyField, label: string, value: Tensor): unknown =>
  field._tag === 'ParamField' ? param(field.form, label, value) : constant(label, value)

const fitting = (field: AnyField, value: Tensor, dims: Dims, path: string): Tensor => {
  const axes = field._tag === 'ParamField' || field._tag === 'ConstantField' ? lengths(field.axes, dims) : []
  if (value.shape.join() === axes.join()) return value
  throw new EspalierError([
    {
      _tag: 'ShapeMismatch',
      path,
      expected: `shape [${axes.join(', ')}]`,
      found: `shape [${value.shape.join(', ')}]`,
      hint: 'A value that takes the place of a drawn one has the shape that its field says.',
    },
  ])
}

const lengths = (axes: readonly string[], dims: Dims): readonly number[] => axes.map((a) => axisLength(a, dims))

/**
 * A fresh value for one field.
 *
 * @throws EspalierError `BadDimension`.
 * @example
 * ```ts
 * import { initialiseField, key, vector } from 'espalier'
 * import type { Vector } from 'espalier'
 * const bias = initialiseField(vector('out'), { out: 2 }, key(0), 'bias') as Vector
 * bias.value.shape // => [2]
 * ```
 */
export const initialiseField = (field: AnyField, dims: Dims, key: Key, label: string): unknown =>
  growField(field, dims, drawnLeaf(key), label)

const childDims = (names: Readonly<Record<string, string>>, dims: Dims): Dims =>
  Object.fromEntries(Object.entries(names).map(([child, axis]) => [child, axisLength(axis, dims)]))
