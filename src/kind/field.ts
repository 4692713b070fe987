import { normal, ones, uniform, zeros } from '../ops/index.ts'
import type { Key } from '../tree/key.ts'
import type { Constant, Form, Param } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { AnyKind } from './kind.ts'

/** How a fresh parameter is drawn. */
export type Init = (key: Key, shape: readonly number[]) => Tensor

/**
 * U(±1/√in): kaiming-uniform with a = √5, as `torch.nn.Linear` draws its weight.
 *
 * @example
 * ```ts
 * import { fanIn, key } from 'espalier'
 * import { read } from 'espalier/ops'
 * read(fanIn(key(0), [4, 8])).every(x => Math.abs(x) <= 0.5) // => true
 * ```
 * @source He et al. 2015, "Delving Deep into Rectifiers", §2.2, with the a = √5 of PyTorch.
 */
export const fanIn: Init = (key, shape) =>
  uniform(key, shape, -1 / Math.sqrt(shape[0] ?? 1), 1 / Math.sqrt(shape[0] ?? 1))
/**
 * All zeros.
 *
 * @example
 * ```ts
 * import { allZeros, key } from 'espalier'
 * import { read } from 'espalier/ops'
 * read(allZeros(key(0), [2])) // => new Float32Array([0, 0])
 * ```
 */
export const allZeros: Init = (_, shape) => zeros(shape)
/**
 * All ones.
 *
 * @example
 * ```ts
 * import { allOnes, key } from 'espalier'
 * import { read } from 'espalier/ops'
 * read(allOnes(key(0), [2])) // => new Float32Array([1, 1])
 * ```
 */
export const allOnes: Init = (_, shape) => ones(shape)
/**
 * N(0, std²).
 *
 * @example
 * ```ts
 * import { gaussian, key } from 'espalier'
 * gaussian(0.02)(key(0), [4, 8]).shape // => [4, 8]
 * ```
 */
export const gaussian =
  (std: number): Init =>
  (key, shape) =>
    normal(key, shape, 0, std)

/** A field that is a parameter with named axes; an axis may be a product of names, `'heads*d_head'`. */
export interface ParamField {
  readonly _tag: 'ParamField'
  readonly form: Form
  readonly axes: readonly string[]
  readonly init: Init
}

/** A field that is a constant with named axes: never trained, saved with the rest. */
export interface ConstantField {
  readonly _tag: 'ConstantField'
  readonly axes: readonly string[]
  readonly init: Init
}

/** A field that is another node, its dimensions given in the parent's names. */
export interface NodeField {
  readonly _tag: 'NodeField'
  readonly kind: AnyKind
  readonly dims: Readonly<Record<string, string>>
  readonly statics: Readonly<Record<string, unknown>>
}

/** A field that is a list of alike nodes, as many as a dimension says. */
export interface ListField {
  readonly _tag: 'ListField'
  readonly of: AnyField
  readonly length: string
  /** Each element's own field where their plain data differs, in their order. */
  readonly each?: readonly AnyField[]
}

/** A field of plain data: a number of heads, an epsilon. */
export interface StaticField {
  readonly _tag: 'StaticField'
  readonly value: unknown
}

/** A field that this model goes without. */
export interface AbsentField {
  readonly _tag: 'AbsentField'
}

/** A field of which only its own data is known, not the type of its value. */
export type AnyField = ParamField | ConstantField | NodeField | ListField | StaticField | AbsentField

/** The fields of a kind, in path order. */
export type Fields = Readonly<Record<string, AnyField>>

/** A field together with what the compiler knows of it: the type of its value and the names of its dimensions. */
export type Field<V, D extends string = never> = AnyField & { readonly '~value'?: V; readonly '~dims'?: D }

/** The names in an axis: `'heads*d_head'` has two, a number none. */
export type DimsIn<A extends string> = A extends `${infer X}*${infer Y}`
  ? DimsIn<X> | DimsIn<Y>
  : A extends `${number}`
    ? never
    : A

const paramField = (form: Form, axes: readonly string[], init: Init): ParamField => ({
  _tag: 'ParamField',
  form,
  axes,
  init,
})

/**
 * A matrix [in, out] that inputs are multiplied by; drawn from U(±1/√in) unless told otherwise.
 *
 * @example
 * ```ts
 * import { count, define, key, matrix, project } from 'espalier'
 * const Head = define('Head', { w: matrix('in', 'out') }, (n, x, ctx) => project(x, n.w, ctx))
 * count(Head.init({ in: 3, out: 2 }, key(0))).parameters // => 6
 * ```
 */
export const matrix = <I extends string, O extends string>(
  inputs: I,
  outputs: O,
  init: Init = fanIn,
): Field<Param<'trainable', 'matrix'>, DimsIn<I | O>> => paramField('matrix', [inputs, outputs], init)

/**
 * A table [rows, width] that is looked up by id; drawn from N(0, 1) unless told otherwise.
 *
 * @example
 * ```ts
 * import { define, key, table } from 'espalier'
 * const Shift = define('Shift', { rows: table('length', 'd') }, (_, x) => x)
 * Shift.init({ length: 5, d: 2 }, key(0)).rows.value.shape // => [5, 2]
 * ```
 */
export const table = <R extends string, W extends string>(
  rows: R,
  width: W,
  init: Init = gaussian(1),
): Field<Param<'trainable', 'table'>, DimsIn<R | W>> => paramField('table', [rows, width], init)

/**
 * A vector [width] that shifts or scales; zeros unless told otherwise.
 *
 * @example
 * ```ts
 * import { allOnes, define, key, vector } from 'espalier'
 * import { mul, tensor, toArray } from 'espalier/ops'
 * const Gate = define('Gate', { gain: vector('d', allOnes) }, (n, x) => mul(x, n.gain.value))
 * toArray(Gate.apply(Gate.init({ d: 2 }, key(0)), tensor([[3, 4]]))) // => [[3, 4]]
 * ```
 */
export const vector = <W extends string>(
  width: W,
  init: Init = allZeros,
): Field<Param<'trainable', 'vector'>, DimsIn<W>> => paramField('vector', [width], init)

/**
 * A constant with named axes, such as a fixed projection or a list of positions: never trained, and saved with the rest.
 *
 * @example
 * ```ts
 * import { buffer, count, define, gaussian, key } from 'espalier'
 * import { add } from 'espalier/ops'
 * const Offset = define('Offset', { noise: buffer(['d'], gaussian(1)) }, (n, x) => add(x, n.noise.value))
 * count(Offset.init({ d: 4 }, key(0))).parameters // => 0
 * ```
 */
export const buffer = <const A extends string>(axes: readonly A[], init: Init): Field<Constant, DimsIn<A>> => ({
  _tag: 'ConstantField',
  axes,
  init,
})

/**
 * A field that is a list of alike nodes, as many as the dimension `length` says.
 *
 * @example
 * ```ts
 * import { define, layer, linear, list, key, count } from 'espalier'
 * const Stack = define('Stack', { layers: list(linear('d', 'd'), 'depth') }, (n, x, ctx) =>
 *   n.layers.reduce((h, l) => layer(l, h, ctx), x))
 * count(Stack.init({ d: 2, depth: 3 }, key(0))).parameters // => 18
 * ```
 */
export const list = <V, D extends string, L extends string>(
  of: Field<V, D>,
  length: L,
): Field<readonly V[], D | DimsIn<L>> => ({ _tag: 'ListField', of, length })

/**
 * Plain data that stands in every node of a kind.
 *
 * @example
 * ```ts
 * import { define, fixed, key } from 'espalier'
 * import { mul } from 'espalier/ops'
 * const Times = define('Times', { factor: fixed(0.5) }, (n, x) => mul(x, n.factor))
 * Times.init({}, key(0)).factor // => 0.5
 * ```
 */
export const fixed = <V extends number | string | boolean>(value: V): Field<V> => ({ _tag: 'StaticField', value })

/** A field that is `null` in every node of a kind, such as the bias of a layer without one. */
export const absent: Field<null> = { _tag: 'AbsentField' }
