import type { DType, TensorSpec } from '../../../tree/tensor.ts'
import { sidesOf, specsOf } from '../../defs/binary.ts'
import type { Sides } from '../../defs/binary.ts'
import { cubic, steepness } from '../../defs/special.ts'
import { promote, sizeOf } from '../../shape-rules.ts'
import type { Shape } from '../../shape-rules.ts'
import type { Attrs, Data } from '../../op.ts'
import type { Out } from './builder.ts'
import { typed } from './write.ts'
import type { Writer } from './write.ts'

/** How an op is written as nodes of TensorFlow: what is to be written, and the op's attributes and result. */
export type Rule<A extends Attrs = Attrs> = (w: Writer, inputs: readonly Out[], attrs: A, output: TensorSpec) => Out

export const rule = <A extends Attrs>(write: Rule<A>): Rule => write as unknown as Rule

/** A unary op, whole numbers made float32 unless the result is whole. */
const unary = (op: string): Rule => rule((w, [x], _, output) => w.unary(op, w.cast(x!, output.dtype)))

const operands = (w: Writer, attrs: Sides, inputs: readonly Out[], dtype?: DType): readonly [Out, Out] => {
  const [a, b] = specsOf(attrs, inputs)
  const common = dtype ?? promote(a.dtype, b.dtype)
  const [x, y] = sidesOf(attrs, inputs).map((side) =>
    typeof side === 'number' ? w.scalar(side, common) : w.cast(side, common),
  )
  return [x!, y!]
}

const binary = (op: string, { float = false, result }: { float?: boolean; result?: DType } = {}): Rule =>
  rule<Sides>((w, inputs, attrs) => {
    const [a, b] = operands(w, attrs, inputs, float ? 'float32' : undefined)
    return w.binary(op, a, b, result)
  })

const reduction = (op: string): Rule =>
  rule<{ axes: Shape; keepDims: boolean }>((w, [x], { axes, keepDims }, output) =>
    w.reduce(op, w.cast(x!, output.dtype), axes, keepDims),
  )

const product: Rule<{ transposeA: boolean; transposeB: boolean }> = (w, [a, b], { transposeA, transposeB }, output) => {
  if (a!.shape.length === b!.shape.length) return w.matmul(a!, b!, transposeA, transposeB)
  const rank = a!.shape.length
  const rows = transposeA ? w.transpose(a!, [...Array(rank - 2).keys(), rank - 1, rank - 2]) : a!
  const flat = w.reshape(rows, [sizeOf(rows.shape.slice(0, -1)), rows.shape.at(-1)!])
  return w.reshape(w.matmul(flat, b!, false, transposeB), output.shape)
}

export const times = (w: Writer, x: Out, y: Out | number): Out =>
  w.binary('Mul', x, typeof y === 'number' ? w.scalar(y) : y)
const plus = (w: Writer, x: Out, y: Out | number): Out => w.binary('AddV2', x, typeof y === 'number' ? w.scalar(y) : y)
const distribution = (w: Writer, x: Out): Out => plus(w, times(w, w.unary('Erf', times(w, x, Math.SQRT1_2)), 0.5), 0.5)

/** The slope of x times a gate σ(u), by what u grows with x: gate · (1 + slope · (1 - gate)). */
const gated = (w: Writer, gate: Out, slope: Out): Out =>
  times(w, gate, plus(w, times(w, slope, w.binary('Sub', w.scalar(1), gate)), 1))

/** The ids themselves, refused where one is not below the limit: what adds up segments drops such a one in silence. */
const checked = (w: Writer, ids: Out, limit: number): Out =>
  w.gather(
    w.constant(
      Int32Array.from({ length: limit }, (_, i) => i),
      [limit],
      'int32',
    ),
    ids,
  )

const segmentSum = (w: Writer, rows: Out, ids: Out, count: number): Out =>
  w.node(
    'UnsortedSegmentSum',
    [rows, ids, w.scalar(count, 'int32')],
    { ...typed('float32'), ...typed('int32', 'Tindices'), ...typed('int32', 'Tnumsegments') },
    { shape: [count, ...rows.shape.slice(1)], dtype: 'float32' },
  )

/** Rules for what moves elements, combines them one by one, or multiplies matrices. */
export const basicRules: Readonly<Record<string, Rule>> = {
  identity: rule((_, [x]) => x!),
  // An edge that carries nothing: TensorFlow neither starts what follows early nor takes it for an earlier run of the same.
  after: rule((w, [x, earlier]) =>
    w.node('Identity', [x!, { ...earlier!, name: `^${earlier!.name.split(':')[0]}` }], typed(x!.dtype), x!),
  ),
  stopGradient: rule((_, [x]) => x!),
  fill: rule<{ value: number }>((w, _, { value }, { shape, dtype }) => w.broadcast(w.scalar(value, dtype), shape)),
  constant: rule<{ data: Data }>((w, _, { data }, { shape, dtype }) => w.constant(data, shape, dtype)),
  cast: rule((w, [x], _, { dtype }) => w.cast(x!, dtype)),

  add: binary('AddV2'),
  sub: binary('Sub'),
  mul: binary('Mul'),
  div: binary('RealDiv', { float: true }),
  minimum: binary('Minimum'),
  maximum: binary('Maximum'),
  equal: binary('Equal', { result: 'bool' }),
  less: binary('Less', { result: 'bool' }),
  greater: binary('Greater', { result: 'bool' }),
  where: rule<Sides>((w, [condition, ...inputs], attrs, { dtype }) => {
    const [a, b] = sidesOf(attrs, inputs).map((side) =>
      typeof side === 'number' ? w.scalar(side, dtype) : w.cast(side, dtype),
    )
    return w.select(w.cast(condition!, 'bool'), a!, b!)
  }),

  neg: unary('Neg'),
  abs: unary('Abs'),
  exp: unary('Exp'),
  expm1: unary('Expm1'),
  log: unary('Log'),
  sqrt: unary('Sqrt'),
  rsqrt: unary('Rsqrt'),
  square: unary('Square'),
  sin: unary('Sin'),
  cos: unary('Cos'),
  erf: unary('Erf'),
  tanh: unary('Tanh'),
  sigmoid: unary('Sigmoid'),
  relu: unary('Relu'),
  gelu: rule((w, [x]) => times(w, x!, distribution(w, x!))),
  geluSlope: rule((w, [x]) => {
    const density = times(w, w.unary('Exp', times(w, w.unary('Square', x!), -0.5)), 1 / Math.sqrt(2 * Math.PI))
    return plus(w, distribution(w, x!), times(w, x!, density))
  }),
  geluTanh: rule((w, [x]) => {
    const inner = times(w, x!, plus(w, times(w, w.unary('Square', x!), steepness * cubic), steepness))
    return times(w, x!, w.unary('Sigmoid', inner))
  }),
  geluTanhSlope: rule((w, [x]) => {
    const squared = w.unary('Square', x!)
    const gate = w.unary('Sigmoid', times(w, x!, plus(w, times(w, squared, steepness * cubic), steepness)))
    const slope = times(w, plus(w, times(w, squared, 3 * steepness * cubic), steepness), x!)
    return gated(w, gate, slope)
  }),
  silu: rule((w, [x]) => times(w, x!, w.unary('Sigmoid', x!))),
  siluSlope: rule((w, [x]) => gated(w, w.unary('Sigmoid', x!), x!)),
  softplus: rule((w, [x]) => w.unary('Softplus', x!)),

  reshape: rule((w, [x], _, { shape }) => w.reshape(x!, shape)),
  broadcastTo: rule((w, [x], _, { shape }) => w.broadcast(x!, shape)),
  transpose: rule<{ order: Shape }>((w, [x], { order }) => w.transpose(x!, order)),
  slice: rule<{ begin: Shape; size: Shape }>((w, [x], { begin, size }) => w.slice(x!, begin, size)),
  pad: rule<{ widths: readonly (readonly number[])[] }>((w, [x], { widths }, output) => {
    const table = w.constant(Int32Array.from(widths.flat()), [widths.length, 2], 'int32')
    return w.node(
      'PadV2',
      [x!, table, w.scalar(0, x!.dtype)],
      { ...typed(x!.dtype), ...typed('int32', 'Tpaddings') },
      output,
    )
  }),
  concat: rule<{ axis: number }>((w, list, { axis }, output) =>
    list.length === 1
      ? list[0]!
      : w.node(
          'ConcatV2',
          [...list, w.scalar(axis, 'int32')],
          { ...typed(output.dtype), ...typed('int32', 'Tidx'), N: { i: list.length } },
          output,
        ),
  ),

  sum: reduction('Sum'),
  mean: reduction('Mean'),
  max: reduction('Max'),
  argmax: rule((w, [x], _, output) =>
    w.node(
      'ArgMax',
      [w.cast(x!, 'float32'), w.scalar(x!.shape.length - 1, 'int32')],
      { ...typed('float32'), ...typed('int32', 'Tidx'), ...typed('int32', 'output_type') },
      output,
    ),
  ),

  gather: rule((w, [table, ids]) => w.gather(table!, ids!)),
  scatterAdd: rule<{ rows: number }>((w, [ids, dy], { rows }, output) => {
    const width = sizeOf(output.shape.slice(1))
    const flat = w.reshape(dy!, [sizeOf(ids!.shape), width])
    return w.reshape(segmentSum(w, flat, w.reshape(checked(w, ids!, rows), [sizeOf(ids!.shape)]), rows), output.shape)
  }),
  takeRows: rule((w, [x, positions], _, output) => {
    const [batch, , ...rest] = x!.shape as [number, number, ...number[]]
    const attrs = { ...typed(x!.dtype, 'Tparams'), ...typed('int32', 'Tindices'), ...typed('int32', 'Taxis') }
    const ids = w.reshape(positions!, [batch, 1])
    const shape = [batch, 1, ...rest]
    const taken = w.node(
      'GatherV2',
      [x!, ids, w.scalar(1, 'int32')],
      { ...attrs, batch_dims: { i: 1 } },
      { shape, dtype: x!.dtype },
    )
    return w.reshape(taken, output.shape)
  }),
  putRows: rule<{ length: number }>((w, [dy, positions], { length }, output) => {
    const batch = dy!.shape[0]!
    const flat = w.reshape(dy!, [batch, sizeOf(dy!.shape.slice(1))])
    const begins = w.constant(
      Int32Array.from({ length: batch }, (_, row) => row * length),
      [batch],
      'int32',
    )
    const rows = w.binary('AddV2', checked(w, positions!, length), begins)
    return w.reshape(segmentSum(w, flat, rows, batch * length), output.shape)
  }),
  matmul: rule(product),
}
