import type { Tensor } from './tensor.ts'

/** Whether training may change a parameter. */
export type Status = 'trainable' | 'frozen'

/**
 * What a parameter is to its layer: a `matrix` multiplies, a `table` is looked up by row, a `vector` shifts or scales.
 *
 * Methods choose their targets by it: LoRA takes a `matrix`, never a norm's scale.
 */
export type Form = 'matrix' | 'table' | 'vector'

/** A leaf that training may change: a tensor, whether it may be changed now, and the label that names it. */
export interface Param<S extends Status = Status, F extends Form = Form> {
  readonly _tag: 'Param'
  readonly label: string
  readonly status: S
  readonly form: F
  readonly value: Tensor
}

/** A leaf that is never trained and not counted: rope tables, 4-bit codes, shared projections. */
export interface Constant {
  readonly _tag: 'Constant'
  readonly label: string
  readonly value: Tensor
  /** Of packed values: how many frozen parameters they stand for, which `count` counts. */
  readonly standsFor?: number
}

/** A typed gap where a partition has taken a leaf out. */
export interface Hole {
  readonly _tag: 'Hole'
  readonly label: string
}

/** A parameter [in, out] that inputs are multiplied by. */
export type Matrix<S extends Status = Status> = Param<S, 'matrix'>
/** A parameter [rows, width] that is looked up by row. */
export type Table<S extends Status = Status> = Param<S, 'table'>
/** A parameter [width] that shifts or scales. */
export type Vector<S extends Status = Status> = Param<S, 'vector'>

/** Every leaf that holds a tensor. */
export type Leaf = Param | Constant

/**
 * Makes a trainable parameter.
 *
 * @example
 * ```ts
 * import { param } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * param('vector', 'head.bias', zeros([2])).status // => 'trainable'
 * ```
 */
export const param = <F extends Form>(form: F, label: string, value: Tensor): Param<'trainable', F> => ({
  _tag: 'Param',
  label,
  status: 'trainable',
  form,
  value,
})

/**
 * Makes a constant leaf.
 *
 * @example
 * ```ts
 * import { constant, count } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * count({ table: constant('rope', zeros([8, 4])) }).parameters // => 0
 * count({ codes: constant('w.codes', zeros([8], 'int32'), 64) }).frozen // => 64
 * ```
 */
export const constant = (label: string, value: Tensor, standsFor?: number): Constant => ({
  _tag: 'Constant',
  label,
  value,
  ...(standsFor === undefined ? {} : { standsFor }),
})

/**
 * The same parameter with another status; the same object when nothing changes.
 *
 * @example
 * ```ts
 * import { param, withStatus } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const w = param('vector', 'w', zeros([2]))
 * withStatus(w, 'frozen').status // => 'frozen'
 * withStatus(w, 'trainable') === w // => true
 * ```
 */
export const withStatus = <S extends Status, F extends Form>(p: Param<Status, F>, status: S): Param<S, F> =>
  p.status === status ? (p as Param<S, F>) : { ...p, status }

/**
 * The same leaf with another value; the same object when nothing changes.
 *
 * @example
 * ```ts
 * import { param, withValue } from 'espalier'
 * import { ones, zeros } from 'espalier/ops'
 * const w = param('vector', 'w', zeros([2]))
 * withValue(w, ones([2])).label // => 'w'
 * withValue(w, w.value) === w // => true
 * ```
 */
export const withValue = <L extends Leaf>(leaf: L, value: Tensor): L =>
  leaf.value === value ? leaf : { ...leaf, value }

const tagged = (x: unknown, tag: string): boolean =>
  typeof x === 'object' && x !== null && (x as { _tag?: unknown })._tag === tag

/**
 * Tells a parameter from anything else.
 *
 * @example
 * ```ts
 * import { constant, isParam, param } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * isParam(param('vector', 'w', zeros([2]))) // => true
 * isParam(constant('w', zeros([2]))) // => false
 * ```
 */
export const isParam = (x: unknown): x is Param => tagged(x, 'Param')
/**
 * Tells a constant leaf from anything else.
 *
 * @example
 * ```ts
 * import { constant, isConstant } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * isConstant(constant('w', zeros([2]))) // => true
 * ```
 */
export const isConstant = (x: unknown): x is Constant => tagged(x, 'Constant')
/**
 * Tells the gap of a partition from anything else.
 *
 * @example
 * ```ts
 * import { isHole, param, partition } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * isHole(partition({ w: param('vector', 'w', zeros([2])) }).frozen.w) // => true
 * ```
 */
export const isHole = (x: unknown): x is Hole => tagged(x, 'Hole')
/**
 * Tells a leaf that holds a tensor, parameter or constant, from anything else.
 *
 * @example
 * ```ts
 * import { constant, isLeaf } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * isLeaf(constant('w', zeros([2]))) // => true
 * isLeaf({ w: constant('w', zeros([2])) }) // => false
 * ```
 */
export const isLeaf = (x: unknown): x is Leaf => isParam(x) || isConstant(x)
