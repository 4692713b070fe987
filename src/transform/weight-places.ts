import type { Dims, Weight } from '../kind/index.ts'
import type { Issue } from '../tree/error.ts'
import type { Key } from '../tree/key.ts'
import { ties } from '../tree/labels.ts'
import { isParam } from '../tree/leaf.ts'
import type { Form, Param } from '../tree/leaf.ts'
import type { Taste, Verdict } from '../tree/target.ts'
import type { Tensor } from '../tree/tensor.ts'
import { leaves, showPath } from '../tree/walk.ts'
import type { Place } from '../tree/walk.ts'
import { formOf, isPacked, isWrappedWeight, labelOf } from '../tree/wrap.ts'
import type { Packed } from '../tree/wrap.ts'

/** One weight that a method is put on. */
export interface WeightPlace {
  readonly path: string
  /** The label of the weight; those of the method's own leaves begin with it. */
  readonly label: string
  readonly weight: Weight
  /** Its [in, out], or [rows, width] of a table. */
  readonly rows: number
  readonly columns: number
  /** What random numbers are drawn from, folded by label. */
  readonly key: Key
  /** The dense weight; for what begins from its values. */
  readonly dense: () => Tensor
}

/** Where a weight is and how large, which may be asked before anything is allocated. */
export type Sized = Pick<WeightPlace, 'path' | 'label' | 'rows' | 'columns'>

/** A weight that nothing wraps. */
export type WeightNode = Weight & (Param | Packed)

const names: Readonly<Record<Form, string>> = {
  matrix: 'a weight matrix',
  table: 'an embedding table',
  vector: 'a vector',
}

/** A taste for the bare weights of one form; another form, wrapped or packed, is none of its business. */
export const weightsOf = (form: Form): Taste<WeightNode> => ({
  verdict: (node): Verdict => {
    const wrapped = isWrappedWeight(node)
    if (formOf(node) === form) return wrapped ? 'adapted' : 'take'
    return wrapped || isPacked(node) ? 'pass' : 'into'
  },
  wants: names[form],
  baseOnly: true,
})

const tied = (place: Place, at: readonly string[]): Issue => ({
  _tag: 'TiedWeight',
  path: showPath(place.path),
  expected: 'a weight that stands in one place',
  found: `one leaf tied at ${at.join(' and ')}`,
  hint: `Part them first: untie(model, "${showPath(place.path)}").`,
})

/** The issue of each place whose leaves stand in another place too. */
export const tiedPlaces = (model: unknown, places: readonly Place[]): readonly Issue[] => {
  const shared = new Map(Object.entries(ties(model)))
  return places.flatMap((p) => {
    const others = leaves(p.node).flatMap(({ label }) => shared.get(label) ?? [])
    return others.length === 0 ? [] : [tied(p, others)]
  })
}

/** The issue of a matrix or table whose tensor has not two axes. */
export const notTwoAxes = (place: Place): readonly Issue[] =>
  !isParam(place.node) || place.node.value.shape.length === 2
    ? []
    : [
        {
          _tag: 'ShapeMismatch',
          path: showPath(place.path),
          expected: 'a matrix of shape [in, out]',
          found: `shape [${place.node.value.shape.join(', ')}]`,
          hint: 'Give the parameter the form its shape has, or leave this place out with `except`.',
        },
      ]

/** Where a bare weight is, what it is called, and how large it is. */
export const sized = ({ node, path }: Place<WeightNode>): Sized => {
  const [rows = 0, columns = 0] = isPacked(node) ? [node.rows, node.columns] : node.value.shape
  return { path: showPath(path), label: labelOf(node), rows, columns }
}

/** The most elements a tensor can have on every engine. */
const MOST = 2 ** 31 - 1

/** The issue of each length that is none, or too great for any tensor. */
export const badDims = ({ path, rows, columns }: Sized, dims: Dims, defaults: object): readonly Issue[] => {
  const most = Math.floor(MOST / Math.max(1, rows, columns))
  return Object.entries(dims).flatMap(([name, length]) =>
    Number.isSafeInteger(length) && length > 0 && length <= most
      ? []
      : [
          {
            _tag: 'BadDimension',
            path,
            expected: `${name} to be a positive whole number${length > most ? ` up to ${most}` : ''}`,
            found: typeof length === 'string' ? `"${String(length)}"` : String(length),
            hint: hintFor(name, defaults),
          },
        ],
  )
}

const hintFor = (name: string, defaults: object): string => {
  const usual = Object.entries(defaults).find(([option]) => option === name)?.[1] as number | undefined
  if (usual !== undefined) return `Left out, it is ${usual}.`
  return name === 'rank' ? 'A rank of 4 to 16 is usual; parameters grow in proportion to it.' : `Give ${name} a length.`
}
