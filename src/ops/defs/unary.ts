import type { Tensor } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import { programmed } from '../native/machine.ts'
import type { Attrs, Op } from '../op.ts'
import { tf, type TfKernel } from '../tf.ts'
import type { UnaryKernel } from '../wasm/exports.ts'
import { parallel, produce } from '../wasm/index.ts'
import { convert, define } from './define.ts'
import { add, div, greater, less, mul, sub } from './elementwise.ts'
import { allocate } from '../shape-rules.ts'
import { erf as erfOf } from './special.ts'
import { cast } from './shape.ts'

/** @internal */
export interface Unary {
  /** Also that of the instruction of the native engine's register machine. */
  readonly name: string
  readonly element: (x: number) => number
  readonly accelerated: (x: tf.Tensor) => tf.Tensor
  readonly gradient: (dy: Tensor, x: Tensor, output: Tensor) => Tensor
  /** Our own kernel, if there is one. */
  readonly wasm?: UnaryKernel
  /** True where whole numbers stay whole: an int32 tensor then gives an int32 tensor. */
  readonly wholeStaysWhole?: boolean
}

/** An op on each element by itself. @internal */
export const unary = ({ name, element, accelerated, gradient, wasm, wholeStaysWhole = false }: Unary): Op =>
  define<Attrs>({
    name,
    infer: (_, { shape, dtype }) => ({ shape, dtype: wholeStaysWhole && dtype !== 'float32' ? 'int32' : 'float32' }),
    reference: ({ output }, { data }) => {
      const out = allocate(output.dtype, data.length)
      for (let i = 0; i < out.length; i++) out[i] = element(data[i]!)
      return out
    },
    accelerated: ({ output }, x) => accelerated(convert(x, output.dtype)),
    own: { ...programmed((emit, [x]) => emit(name, x!)), serves: ([x]) => x!.dtype === 'float32' },
    ...(wasm && { wasm: onEach(wasm) }),
    vjp: ({ dy, output }, x) => [x.dtype === 'float32' ? gradient(dy, x, output) : null],
  })

/** Our own kernel; a function costs about what ten multiplications do. @internal */
export const onEach =
  (kernel: UnaryKernel): TfKernel<Attrs> =>
  ({ output }, x) =>
    produce(kernel, [convert(x, 'float32')], output, (out, from = 0) =>
      parallel(kernel, x.size, 10, (first, count) => [count, from + 4 * first, out + 4 * first], 4),
    )

const negOp = unary({
  name: 'neg',
  element: (x) => -x,
  accelerated: tf.neg,
  gradient: (dy) => neg(dy),
  wholeStaysWhole: true,
})

const absOp = unary({
  name: 'abs',
  element: Math.abs,
  accelerated: tf.abs,
  gradient: (dy, x) => mul(dy, sub(cast(greater(x, 0), 'float32'), cast(less(x, 0), 'float32'))),
  wholeStaysWhole: true,
})

const expOp = unary({
  name: 'exp',
  element: Math.exp,
  accelerated: tf.exp,
  wasm: 'exp',
  gradient: (dy, _, output) => mul(dy, output),
})

const expm1Op = unary({
  name: 'expm1',
  element: Math.expm1,
  accelerated: tf.expm1,
  gradient: (dy, _, output) => mul(dy, add(output, 1)),
})

const logOp = unary({
  name: 'log',
  element: Math.log,
  accelerated: tf.log,
  wasm: 'log',
  gradient: (dy, x) => div(dy, x),
})

const sqrtOp = unary({
  name: 'sqrt',
  element: Math.sqrt,
  accelerated: tf.sqrt,
  gradient: (dy, _, output) => div(mul(dy, 0.5), output),
})

const rsqrtOp = unary({
  name: 'rsqrt',
  element: (x) => 1 / Math.sqrt(x),
  accelerated: tf.rsqrt,
  gradient: (dy, _, output) => mul(mul(dy, -0.5), mul(output, square(output))),
})

const squareOp = unary({
  name: 'square',
  element: (x) => x * x,
  accelerated: tf.square,
  gradient: (dy, x) => mul(mul(dy, 2), x),
  wholeStaysWhole: true,
})

const sinOp = unary({ name: 'sin', element: Math.sin, accelerated: tf.sin, gradient: (dy, x) => mul(dy, cos(x)) })

const cosOp = unary({ name: 'cos', element: Math.cos, accelerated: tf.cos, gradient: (dy, x) => neg(mul(dy, sin(x))) })

const erfOp = unary({
  name: 'erf',
  element: erfOf,
  accelerated: tf.erf,
  wasm: 'erf',
  gradient: (dy, x) => mul(mul(dy, 2 / Math.sqrt(Math.PI)), exp(neg(square(x)))),
})

/**
 * `-x` of each element; int32 stays int32.
 *
 * @example
 * ```ts
 * import { neg, tensor, toArray } from 'espalier/ops'
 *
 * toArray(neg(tensor([1, -2]))) // => [-1, 2]
 * ```
 */
export const neg = (x: Tensor): Tensor => apply(negOp, [x], {})

/**
 * `|x|` of each element; int32 stays int32, the gradient at 0 is 0.
 *
 * @example
 * ```ts
 * import { abs, tensor, toArray } from 'espalier/ops'
 *
 * toArray(abs(tensor([-1.5, 2]))) // => [1.5, 2]
 * ```
 */
export const abs = (x: Tensor): Tensor => apply(absOp, [x], {})

/**
 * `eˣ` of each element.
 *
 * @example
 * ```ts
 * import { exp, tensor, toArray } from 'espalier/ops'
 *
 * toArray(exp(tensor([0, -Infinity]))) // => [1, 0]
 * ```
 */
export const exp = (x: Tensor): Tensor => apply(expOp, [x], {})

/**
 * `eˣ - 1` of each element, exact near 0.
 *
 * @example
 * ```ts
 * import { expm1, tensor, toArray } from 'espalier/ops'
 *
 * toArray(expm1(tensor([0, -Infinity]))) // => [0, -1]
 * ```
 */
export const expm1 = (x: Tensor): Tensor => apply(expm1Op, [x], {})

/**
 * The natural logarithm of each element: -Infinity at 0, NaN below.
 *
 * @example
 * ```ts
 * import { log, tensor, toArray } from 'espalier/ops'
 *
 * toArray(log(tensor([1, 0]))) // => [0, -Infinity]
 * ```
 */
export const log = (x: Tensor): Tensor => apply(logOp, [x], {})

/**
 * The square root of each element: NaN below 0.
 *
 * @example
 * ```ts
 * import { sqrt, tensor, toArray } from 'espalier/ops'
 *
 * toArray(sqrt(tensor([4, 0.25]))) // => [2, 0.5]
 * ```
 */
export const sqrt = (x: Tensor): Tensor => apply(sqrtOp, [x], {})

/**
 * `1 / √x` of each element.
 *
 * @example
 * ```ts
 * import { rsqrt, tensor, toArray } from 'espalier/ops'
 *
 * toArray(rsqrt(tensor([4, 0.25]))) // => [0.5, 2]
 * ```
 */
export const rsqrt = (x: Tensor): Tensor => apply(rsqrtOp, [x], {})

/**
 * `x²` of each element; int32 stays int32.
 *
 * @example
 * ```ts
 * import { square, tensor, toArray } from 'espalier/ops'
 *
 * toArray(square(tensor([-3, 0.5]))) // => [9, 0.25]
 * ```
 */
export const square = (x: Tensor): Tensor => apply(squareOp, [x], {})

/**
 * The sine of each element, in radians.
 *
 * @example
 * ```ts
 * import { sin, tensor, toArray } from 'espalier/ops'
 *
 * toArray(sin(tensor([0]))) // => [0]
 * ```
 */
export const sin = (x: Tensor): Tensor => apply(sinOp, [x], {})

/**
 * The cosine of each element, in radians.
 *
 * @example
 * ```ts
 * import { cos, tensor, toArray } from 'espalier/ops'
 *
 * toArray(cos(tensor([0]))) // => [1]
 * ```
 */
export const cos = (x: Tensor): Tensor => apply(cosOp, [x], {})

/**
 * The error function `2/√π · ∫₀ˣ e^(-t²) dt` of each element.
 *
 * @example
 * ```ts
 * import { erf, tensor, toArray } from 'espalier/ops'
 *
 * toArray(erf(tensor([0, 100]))) // => [0, 1]
 * ```
 */
export const erf = (x: Tensor): Tensor => apply(erfOp, [x], {})

/** @internal */
export const unaryOps: readonly Op<never>[] = [
  negOp,
  absOp,
  expOp,
  expm1Op,
  logOp,
  sqrtOp,
  rsqrtOp,
  squareOp,
  sinOp,
  cosOp,
  erfOp,
]
