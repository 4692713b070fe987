import { fail } from '../../tree/error.ts'
import type { DType, Tensor, TensorSpec } from '../../tree/tensor.ts'
import type { Array_, Op } from '../op.ts'
import { tf } from '../tf.ts'
import { unbroadcast } from './broadcast.ts'
import { convert, define } from './define.ts'
import { allocate, broadcastShapes, broadcastStrides, promote, sizeOf, walk } from '../shape-rules.ts'

/** A tensor, or a number that stands for a scalar; a whole number keeps an int32 partner int32. */
export type Operand = Tensor | number

/** A number operand is an attribute, not a tensor: nothing to free, and a compiled step sees the constant. */
export type Sides = { readonly left?: number; readonly right?: number }

/** @internal */
export const sidesOf = <T>({ left, right }: Sides, inputs: readonly T[]): readonly [T | number, T | number] => [
  left ?? inputs[0]!,
  right ?? inputs[left === undefined ? 1 : 0]!,
]

/** Parts two operands into the tensors among them and the numbers. */
export const split = (a: Operand, b: Operand): readonly [inputs: readonly Tensor[], sides: Sides] => [
  [a, b].filter((side) => typeof side !== 'number'),
  { ...(typeof a === 'number' && { left: a }), ...(typeof b === 'number' && { right: b }) },
]

/** Throws when there is no tensor among the operands. */
const requireTensor = (name: string, inputs: readonly unknown[]): void => {
  if (inputs.length === 0)
    fail({
      _tag: 'NotATensor',
      path: name,
      expected: 'at least one tensor',
      found: 'two numbers',
      hint: 'Use plain arithmetic for two numbers, or scalar(…) to make a tensor of one.',
    })
}

const isWhole = (x: number): boolean => (x | 0) === x

const specOf = (operand: TensorSpec | number, partner: TensorSpec | number): TensorSpec => {
  if (typeof operand !== 'number') return operand
  const whole = isWhole(operand) && typeof partner !== 'number' && partner.dtype !== 'float32'
  return { shape: [], dtype: whole ? 'int32' : 'float32' }
}

/** @internal */
export const specsOf = (sides: Sides, inputs: readonly TensorSpec[]): readonly [TensorSpec, TensorSpec] => {
  const [a, b] = sidesOf(sides, inputs)
  return [specOf(a, b), specOf(b, a)]
}

/** @internal */
export const arrayOf = (operand: Array_ | number): Array_ =>
  typeof operand === 'number'
    ? {
        shape: [],
        data: isWhole(operand) && !Object.is(operand, -0) ? Int32Array.of(operand) : Float32Array.of(operand),
      }
    : operand

/** @internal */
export const handleOf = (operand: tf.Tensor | number, dtype: DType): tf.Tensor =>
  typeof operand === 'number' ? tf.scalar(operand, dtype) : convert(operand, dtype)

/** @internal */
export interface Binary {
  readonly name: string
  readonly element: (x: number, y: number) => number
  /** Replaces `element` where both are int32 and doubles would lose bits. */
  readonly integer?: (x: number, y: number) => number
  /** The dtype that both operands are brought to; by default the one they meet in. */
  readonly operands?: DType
  readonly result?: DType
  readonly accelerated: (x: tf.Tensor, y: tf.Tensor) => tf.Tensor
  /** Replaces `accelerated` where tfjs's WASM backend gets it wrong. */
  readonly wasm?: (x: tf.Tensor, y: tf.Tensor) => tf.Tensor
  /** The gradient that reaches each operand, still in the shape of the result. */
  readonly gradients?: readonly [Gradient, Gradient]
}

/** @internal */
export type Gradient = (dy: Tensor, x: Operand, y: Operand, output: Tensor) => Tensor

/** @internal */
export const binary = (rule: Binary): Op<Sides> => {
  const meeting = (x: DType, y: DType): DType => rule.operands ?? promote(x, y)
  const kernel =
    (run: Binary['accelerated']) =>
    ({ attrs }: { readonly attrs: Sides }, ...inputs: tf.Tensor[]): tf.Tensor => {
      const [x, y] = specsOf(attrs, inputs as unknown as TensorSpec[])
      const [a, b] = sidesOf(attrs, inputs).map((side) => handleOf(side, meeting(x.dtype, y.dtype)))
      return run(a!, b!)
    }
  return define<Sides>({
    name: rule.name,
    infer: (sides, ...inputs) => {
      requireTensor(rule.name, inputs)
      const [x, y] = specsOf(sides, inputs)
      return { shape: broadcastShapes(rule.name, x.shape, y.shape), dtype: rule.result ?? meeting(x.dtype, y.dtype) }
    },
    reference: ({ attrs, output }, ...inputs) => {
      const [x, y] = sidesOf(attrs, inputs).map(arrayOf) as [Array_, Array_]
      const element = (output.dtype === 'int32' && rule.integer) || rule.element
      const out = allocate(output.dtype, sizeOf(output.shape))
      // Full tensors and single elements, which are nearly all there is, need no offsets.
      const [stepX, stepY] = [x, y].map(({ data }) => (data.length === out.length ? 1 : data.length === 1 ? 0 : NaN))
      if (stepX! >= 0 && stepY! >= 0) {
        for (let i = 0; i < out.length; i++) out[i] = element(x.data[i * stepX!]!, y.data[i * stepY!]!)
        return out
      }
      const atX = walk(output.shape, broadcastStrides(x.shape, output.shape))
      const atY = walk(output.shape, broadcastStrides(y.shape, output.shape))
      for (let i = 0; i < out.length; i++) out[i] = element(x.data[atX[i]!]!, y.data[atY[i]!]!)
      return out
    },
    accelerated: kernel(rule.accelerated),
    ...(rule.wasm && { wasm: kernel(rule.wasm) }),
    vjp: ({ dy, inputs, output, attrs, needs }) => {
      const [x, y] = sidesOf(attrs, inputs)
      const places = attrs.left === undefined ? [0, 1] : [1]
      return inputs.map((input, i) => {
        const gradient = rule.gradients?.[places[i]!]
        return gradient && needs[i] && input.dtype === 'float32'
          ? unbroadcast(gradient(dy, x, y, output), input.shape)
          : null
      })
    },
  })
}
