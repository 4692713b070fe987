import { adamPrograms } from '../../defs/adam.ts'
import { sidesOf } from '../../defs/binary.ts'
import type { Sides } from '../../defs/binary.ts'
import type { Attrs } from '../../op.ts'
import { constant } from '../machine.ts'
import type { Program, Value } from '../machine.ts'

/** How an op on single elements is written as instructions of the register machine. */
export interface Instruction {
  readonly write: Program<Attrs>
  /** It is worth a program of its own: TensorFlow needs several passes for it. */
  readonly heavy?: boolean
  /** It answers a question with bool. */
  readonly answers?: boolean
  /** Its first input may be bool. */
  readonly asks?: boolean
}

const valuesOf = (attrs: Attrs, inputs: readonly Value[]): readonly Value[] =>
  sidesOf(attrs as Sides, inputs).map((side) => (typeof side === 'number' ? constant(side) : side))

const plain = (op: string, more: Partial<Instruction> = {}): Instruction => ({
  write: (emit, inputs) => emit(op, ...inputs),
  ...more,
})

const binary = (op: string, more: Partial<Instruction> = {}): Instruction => ({
  write: (emit, inputs, attrs) => emit(op, ...valuesOf(attrs, inputs)),
  ...more,
})

/** The ops that one pass over elements can compute, by name. */
export const instructions: Readonly<Record<string, Instruction>> = {
  add: binary('add'),
  sub: binary('sub'),
  mul: binary('mul'),
  div: binary('div'),
  minimum: binary('min'),
  maximum: binary('max'),
  equal: binary('equal', { answers: true }),
  less: binary('less', { answers: true }),
  greater: binary('greater', { answers: true }),
  where: {
    write: (emit, [condition, ...inputs], attrs) => emit('where', condition!, ...valuesOf(attrs, inputs)),
    asks: true,
  },
  // Only to float32: what a comparison gave is 0 or 1 already.
  cast: { write: (_, [x]) => x!, asks: true },
  neg: plain('neg'),
  abs: plain('abs'),
  exp: plain('exp'),
  expm1: plain('expm1'),
  log: plain('log'),
  sqrt: plain('sqrt'),
  rsqrt: plain('rsqrt'),
  square: plain('square'),
  sin: plain('sin'),
  cos: plain('cos'),
  erf: plain('erf', { heavy: true }),
  tanh: plain('tanh', { heavy: true }),
  sigmoid: plain('sigmoid', { heavy: true }),
  relu: plain('relu'),
  gelu: plain('gelu', { heavy: true }),
  geluSlope: plain('geluSlope', { heavy: true }),
  geluTanh: plain('geluTanh', { heavy: true }),
  geluTanhSlope: plain('geluTanhSlope', { heavy: true }),
  silu: plain('silu', { heavy: true }),
  siluSlope: plain('siluSlope', { heavy: true }),
  softplus: plain('softplus', { heavy: true }),
  ...Object.fromEntries(
    Object.entries(adamPrograms).map(([name, program]) => [name, { write: program as Program<Attrs>, heavy: true }]),
  ),
}
