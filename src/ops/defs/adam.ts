import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import { constant, programmed } from '../native/machine.ts'
import type { Emit, Program, Value } from '../native/machine.ts'
import type { Attrs, Op } from '../op.ts'
import type { TfKernel } from '../tf.ts'
import { parallel, produce } from '../wasm/index.ts'
import { define } from './define.ts'
import { add, div, mul } from './elementwise.ts'
import { fresh, type Loop } from './heap.ts'
import { describe, mismatch, requireFloat } from '../shape-rules.ts'
import { throughTwin } from './twin.ts'
import { sqrt, square as squareOf } from './unary.ts'

const alike = (name: string, a: TensorSpec, b: TensorSpec): TensorSpec => {
  for (const spec of [a, b]) requireFloat(name, 'each', spec)
  return String(a.shape) === String(b.shape)
    ? { shape: a.shape, dtype: 'float32' }
    : mismatch(name, 'two tensors of one shape', `${describe(a)} and ${describe(b)}`, 'Nothing is broadcast here.')
}

/** A pass over parameters: a loop, kernels of WASM and of native, and its twin in other ops for the rest. */
const pass = <A extends Attrs>(
  name: string,
  infer: (...inputs: TensorSpec[]) => TensorSpec,
  loop: Loop<A>,
  wasm: TfKernel<A>,
  twin: (attrs: A, ...inputs: Tensor[]) => Tensor,
  program: Program<A>,
): Op<A> =>
  define<A>({
    name,
    infer: (_, ...inputs) => infer(...inputs),
    reference: fresh(loop),
    wasm,
    composed: twin,
    own: programmed(program),
    vjp: (backward) => throughTwin(backward, (...inputs) => twin(backward.attrs, ...inputs)),
  })

type Kept = { readonly kept: number }

/** `old · kept + now · (1 - kept)`. */
const blended = (emit: Emit, old: Value, now: Value, kept: number): Value =>
  emit('add', emit('mul', old, constant(kept)), emit('mul', now, constant(1 - kept)))

/** The passes as instructions of the register machine. @internal */
export const adamPrograms = {
  blend: (emit, [old, now], { kept }) => blended(emit, old!, now!, kept),
  blendSquare: (emit, [old, now], { kept }) => blended(emit, old!, emit('square', now!), kept),
  adamDirection: (emit, [mean, square, scale, floor]) =>
    emit('div', mean!, emit('add', emit('mul', emit('sqrt', square!), scale!), floor!)),
} as const satisfies Readonly<Record<string, Program<Kept>>>

const blendWasm =
  (kernel: 'blend' | 'blendSquare'): TfKernel<Kept> =>
  ({ attrs: { kept }, output }, ...inputs) =>
    produce(kernel, inputs, output, (out, old = 0, now = 0) =>
      parallel(
        kernel,
        inputs[0]!.size,
        4,
        (first, count) => [count, kept, 1 - kept, old + 4 * first, now + 4 * first, out + 4 * first],
        4,
      ),
    )

const blendOp = pass<Kept>(
  'blend',
  (old, now) => alike('blend', old, now),
  ({ attrs: { kept } }, out, old, now) => {
    for (let i = 0; i < out.length; i++) out[i] = old.data[i]! * kept + now.data[i]! * (1 - kept)
  },
  blendWasm('blend'),
  ({ kept }, old, now) => add(mul(old, kept), mul(now, 1 - kept)),
  adamPrograms.blend,
)

const blendSquareOp = pass<Kept>(
  'blendSquare',
  (old, now) => alike('blendSquare', old, now),
  ({ attrs: { kept } }, out, old, now) => {
    for (let i = 0; i < out.length; i++) out[i] = old.data[i]! * kept + now.data[i]! ** 2 * (1 - kept)
  },
  blendWasm('blendSquare'),
  ({ kept }, old, now) => add(mul(old, kept), mul(squareOf(now), 1 - kept)),
  adamPrograms.blendSquare,
)

const directionOp = pass<Attrs>(
  'adamDirection',
  (mean, square, ...scalars) => {
    for (const spec of scalars)
      if (spec.dtype !== 'float32' || spec.shape.length > 0)
        mismatch('adamDirection', 'scale and floor of shape []', describe(spec), 'They are the same for each element.')
    return alike('adamDirection', mean, square)
  },
  (_, out, mean, square, scale, floor) => {
    const [factor, least] = [scale.data[0]!, floor.data[0]!]
    for (let i = 0; i < out.length; i++) out[i] = mean.data[i]! / (Math.sqrt(square.data[i]!) * factor + least)
  },
  ({ output }, ...inputs) =>
    produce('adamDirection', inputs, output, (out, mean = 0, square = 0, scale = 0, floor = 0) =>
      parallel(
        'adamDirection',
        inputs[0]!.size,
        10,
        (first, count) => [count, mean + 4 * first, square + 4 * first, scale, floor, out + 4 * first],
        4,
      ),
    ),
  (_, mean, square, scale, floor) => div(mean, add(mul(sqrt(square), scale), floor)),
  adamPrograms.adamDirection,
)

/**
 * A running mean, `old · kept + now · (1 - kept)`; both are float32 of one shape. Errors: `ShapeMismatch`.
 *
 * @source Kingma & Ba 2015, "Adam", algorithm 1
 * @example
 * ```ts
 * import { blend, tensor, toArray } from 'espalier/ops'
 *
 * toArray(blend(tensor([8, 0]), tensor([0, 4]), 0.75)) // => [6, 1]
 * ```
 */
export const blend = (old: Tensor, now: Tensor, kept: number): Tensor => apply(blendOp, [old, now], { kept })

/**
 * A running mean of squares, `old · kept + now² · (1 - kept)`; otherwise as `blend`.
 *
 * @source Kingma & Ba 2015, "Adam", algorithm 1
 * @example
 * ```ts
 * import { blendSquare, tensor, toArray } from 'espalier/ops'
 *
 * toArray(blendSquare(tensor([8, 0]), tensor([0, 4]), 0.75)) // => [6, 4]
 * ```
 */
export const blendSquare = (old: Tensor, now: Tensor, kept: number): Tensor =>
  apply(blendSquareOp, [old, now], { kept })

/**
 * The direction of Adam, `mean / (√square · scale + floor)`: mean and square of one shape, scale and floor scalars.
 *
 * Scale and floor carry the corrections for bias, so that what changes at each step is two scalars. Errors: `ShapeMismatch`.
 *
 * @source Kingma & Ba 2015, "Adam", §2, end (the corrections moved into two scalars)
 * @example
 * ```ts
 * import { adamDirection, scalar, tensor, toArray } from 'espalier/ops'
 *
 * toArray(adamDirection(tensor([3, -1]), tensor([4, 0]), scalar(1), scalar(1))) // => [1, -1]
 * ```
 */
export const adamDirection = (mean: Tensor, square: Tensor, scale: Tensor, floor: Tensor): Tensor =>
  apply(directionOp, [mean, square, scale, floor], {})

/** @internal */
export const adamOps: readonly Op<never>[] = [blendOp, blendSquareOp, directionOp]
