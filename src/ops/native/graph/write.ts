import type { DType } from '../../../tree/tensor.ts'
import { arrays, broadcastShapes, promote } from '../../shape-rules.ts'
import type { Shape } from '../../shape-rules.ts'
import type { Attrs, Builder, Out } from './builder.ts'
import { dataTypes } from './proto.ts'

/** The ops of TensorFlow that rules are written in, with the shapes of their results. */
export interface Writer extends Builder {
  readonly scalar: (value: number, dtype?: DType) => Out
  readonly ints: (values: readonly number[]) => Out
  readonly unary: (op: string, x: Out) => Out
  readonly binary: (op: string, a: Out, b: Out, result?: DType) => Out
  readonly cast: (x: Out, dtype: DType) => Out
  readonly reshape: (x: Out, shape: Shape) => Out
  readonly broadcast: (x: Out, shape: Shape) => Out
  readonly transpose: (x: Out, order: Shape) => Out
  readonly slice: (x: Out, begin: Shape, size: Shape) => Out
  readonly reduce: (op: string, x: Out, axes: Shape, keepDims: boolean) => Out
  readonly select: (condition: Out, a: Out, b: Out) => Out
  readonly gather: (table: Out, ids: Out) => Out
  readonly matmul: (a: Out, b: Out, transposeA: boolean, transposeB: boolean) => Out
}

/** The attribute by which TensorFlow's ops are told the dtype of their operands. */
export const typed = (dtype: DType, name = 'T'): Attrs => ({ [name]: { type: dataTypes[dtype] } })

const reduced = (shape: Shape, axes: Shape, keepDims: boolean): Shape =>
  shape.flatMap((length, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [length]))

export const writer = (to: Builder): Writer => {
  const { node, constant } = to
  const scalar: Writer['scalar'] = (value, dtype = 'float32') => constant(arrays[dtype].of(value), [], dtype)
  const ints: Writer['ints'] = (values) => constant(Int32Array.from(values), [values.length], 'int32')
  const cast: Writer['cast'] = (x, dtype) => {
    if (x.dtype === dtype) return x
    if (dtype === 'bool') return binary('NotEqual', x, scalar(0, x.dtype), 'bool')
    return node('Cast', [x], { ...typed(x.dtype, 'SrcT'), ...typed(dtype, 'DstT') }, { shape: x.shape, dtype })
  }
  const binary: Writer['binary'] = (op, a, b, result) => {
    const dtype = promote(a.dtype, b.dtype)
    const operands = [cast(a, dtype), cast(b, dtype)]
    return node(op, operands, typed(dtype), {
      shape: broadcastShapes(op, a.shape, b.shape),
      dtype: result ?? dtype,
    })
  }
  const reshape: Writer['reshape'] = (x, shape) =>
    String(shape) === String(x.shape)
      ? x
      : node('Reshape', [x, ints(shape)], { ...typed(x.dtype), ...typed('int32', 'Tshape') }, { shape, dtype: x.dtype })
  const matmul: Writer['matmul'] = (a, b, transposeA, transposeB) => {
    const [m, n] = [a.shape.at(transposeA ? -1 : -2)!, b.shape.at(transposeB ? -2 : -1)!]
    const shape = [...a.shape.slice(0, -2), m, n]
    const names = a.shape.length > 2 ? ['BatchMatMulV2', 'adj_x', 'adj_y'] : ['MatMul', 'transpose_a', 'transpose_b']
    const attrs = { ...typed('float32'), [names[1]!]: { b: transposeA }, [names[2]!]: { b: transposeB } }
    return node(names[0]!, [a, b], attrs, { shape, dtype: 'float32' })
  }
  return {
    ...to,
    scalar,
    ints,
    cast,
    binary,
    reshape,
    matmul,
    unary: (op, x) => node(op, [x], typed(x.dtype), x),
    broadcast: (x, shape) =>
      String(shape) === String(x.shape)
        ? x
        : node(
            'BroadcastTo',
            [x, ints(shape)],
            { ...typed(x.dtype), ...typed('int32', 'Tidx') },
            { shape, dtype: x.dtype },
          ),
    transpose: (x, order) => {
      const shape = order.map((axis) => x.shape[axis]!)
      // Where only axes of length 1 move, no element does.
      const moving = order.filter((axis) => x.shape[axis] !== 1)
      if (moving.every((axis, i) => i === 0 || axis > moving[i - 1]!)) return reshape(x, shape)
      return node(
        'Transpose',
        [x, ints(order)],
        { ...typed(x.dtype), ...typed('int32', 'Tperm') },
        { shape, dtype: x.dtype },
      )
    },
    slice: (x, begin, size) =>
      String(size) === String(x.shape)
        ? x
        : node(
            'Slice',
            [x, ints(begin), ints(size)],
            { ...typed(x.dtype), ...typed('int32', 'Index') },
            { shape: size, dtype: x.dtype },
          ),
    reduce: (op, x, axes, keepDims) =>
      axes.length === 0
        ? x
        : node(
            op,
            [x, ints(axes)],
            { ...typed(x.dtype), ...typed('int32', 'Tidx'), keep_dims: { b: keepDims } },
            {
              shape: reduced(x.shape, axes, keepDims),
              dtype: x.dtype,
            },
          ),
    select: (condition, a, b) => {
      const values = broadcastShapes('where', a.shape, b.shape)
      const shape = broadcastShapes('where', condition.shape, values)
      return node('SelectV2', [condition, a, b], typed(a.dtype), { shape, dtype: a.dtype })
    },
    gather: (table, ids) =>
      node(
        'GatherV2',
        [table, ids, scalar(0, 'int32')],
        { ...typed(table.dtype, 'Tparams'), ...typed('int32', 'Tindices'), ...typed('int32', 'Taxis') },
        { shape: [...ids.shape, ...table.shape.slice(1)], dtype: table.dtype },
      ),
  }
}
