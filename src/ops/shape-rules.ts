import { fail } from '../tree/error.ts'
import type { DType, TensorSpec } from '../tree/tensor.ts'
import type { Data } from './op.ts'

/** A shape, or a list of per-axis numbers such as strides. */
export type Shape = readonly number[]

/** Shape and dtype as a person writes them: `float32 [2, 3]`. */
export const describe = ({ shape, dtype }: TensorSpec): string => `${dtype} [${shape.join(', ')}]`

/** Throws a `ShapeMismatch` whose path is the name of the op. */
export const mismatch = (name: string, expected: string, found: string, hint: string): never =>
  fail({ _tag: 'ShapeMismatch', path: name, expected, found, hint })

/** Number of elements of a shape. */
export const sizeOf = (shape: Shape): number => shape.reduce((product, length) => product * length, 1)

/** How far apart neighbours lie along each axis of a row-major array. */
export const stridesOf = (shape: Shape): number[] => {
  const strides = shape.map(() => 1)
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!
  return strides
}

/** The typed arrays that hold the elements of each dtype. */
export const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const

/** Room for `size` elements of a dtype, all zero. */
export const allocate = (dtype: DType, size: number): Data => new arrays[dtype](size)

/** The dtype two operands meet in: float32 wins, everything else is counted in int32. */
export const promote = (a: DType, b: DType): DType => (a === 'float32' || b === 'float32' ? 'float32' : 'int32')

const requireDType = (name: string, what: string, spec: TensorSpec, dtype: DType, hint: string): void => {
  if (spec.dtype !== dtype)
    fail({ _tag: 'DTypeMismatch', path: name, expected: `${what} of dtype ${dtype}`, found: describe(spec), hint })
}

/** Throws unless the tensor is float32: the ops of a network's forward pass have no meaning on integers. */
export const requireFloat = (name: string, what: string, spec: TensorSpec): void =>
  requireDType(name, what, spec, 'float32', `cast(${what}, 'float32') converts it.`)

/** Throws unless the tensor is int32: positions and labels are never rounded from floats silently. */
export const requireInt = (name: string, what: string, spec: TensorSpec): void =>
  requireDType(name, what, spec, 'int32', `Make it with tensor(…, 'int32'), or cast(${what}, 'int32').`)

/** Throws unless every value is a valid position below `limit`; `except` may stand for "none". */
export const requireRange = (
  name: string,
  what: string,
  ids: ArrayLike<number>,
  limit: number,
  except?: number,
): void => {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!
    if ((id < 0 || id >= limit) && id !== except)
      fail({
        _tag: 'OutOfRange',
        path: name,
        expected: `${what} from 0 to ${limit - 1}${except === undefined ? '' : ` (or ${except} for "ignore")`}`,
        found: `${id} at position ${i}`,
        hint: 'Check that the tokenizer and the model have the same vocabulary size.',
      })
  }
}

/** The shape two shapes broadcast to, aligned at the last axis as in numpy. */
export const broadcastShapes = (name: string, a: Shape, b: Shape): number[] => {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, axis) => {
    const x = a[axis - rank + a.length] ?? 1
    const y = b[axis - rank + b.length] ?? 1
    return x === y || y === 1
      ? x
      : x === 1
        ? y
        : mismatch(
            name,
            `shapes that broadcast (equal lengths, or 1, counted from the last axis)`,
            `[${a.join(', ')}] and [${b.join(', ')}]`,
            `Axis ${axis - rank} has ${x} and ${y}; reshape one of the two so that it has 1 there.`,
          )
  })
}

/** Strides that read `shape` as if it had been broadcast to `target`: 0 wherever one element serves a whole axis. */
export const broadcastStrides = (shape: Shape, target: Shape): number[] => {
  const strides = stridesOf(shape)
  const shift = target.length - shape.length
  return target.map((_, axis) => (axis < shift || shape[axis - shift] === 1 ? 0 : strides[axis - shift]!))
}

/** The offset of every element met when walking over `shape` in row-major order with the given strides. */
export const walk = (shape: Shape, strides: Shape, start = 0): Int32Array => {
  const offsets = new Int32Array(sizeOf(shape))
  const index = new Int32Array(shape.length)
  let offset = start
  for (let i = 0; i < offsets.length; i++) {
    offsets[i] = offset
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      offset += strides[axis]!
      if (++index[axis]! < shape[axis]!) break
      offset -= strides[axis]! * shape[axis]!
      index[axis] = 0
    }
  }
  return offsets
}

/** The elements of `data` at the given offsets, in that order. */
export const pick = (data: Data, offsets: Int32Array): Data => {
  const out = new (data.constructor as new (size: number) => Data)(offsets.length)
  for (let i = 0; i < offsets.length; i++) out[i] = data[offsets[i]!]!
  return out
}

/** An axis counted from the front; negative ones count from the end. */
export const axisOf = (name: string, axis: number, rank: number): number =>
  Number.isInteger(axis) && axis >= -rank && axis < rank
    ? (axis + rank) % rank
    : mismatch(
        name,
        rank === 0 ? 'a tensor with at least one axis' : `an axis from ${-rank} to ${rank - 1}`,
        `axis ${axis} of a tensor with ${rank} axes`,
        'Axes are whole numbers; -1 is the last one.',
      )

/** Distinct axes counted from the front, ascending; all of them when none are given. */
export const axesOf = (name: string, axes: number | Shape | undefined, rank: number): number[] => {
  const list = axes === undefined ? Array.from({ length: rank }, (_, axis) => axis) : [axes].flat()
  const found = list.map((axis) => axisOf(name, axis, rank)).toSorted((a, b) => a - b)
  return new Set(found).size === found.length
    ? found
    : mismatch(name, 'each axis once', `axes [${list.join(', ')}]`, 'Two of these name the same axis.')
}

/** The last axis, which must exist. */
export const lastAxis = (name: string, { shape }: TensorSpec): number => axisOf(name, -1, shape.length)
