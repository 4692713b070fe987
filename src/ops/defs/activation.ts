import type { Tensor } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import { scope } from '../memory.ts'
import type { Attrs, Op } from '../op.ts'
import { tf } from '../tf.ts'
import type { UnaryKernel } from '../wasm/exports.ts'
import { define } from './define.ts'
import { add, div, greater, mul, sub, where } from './elementwise.ts'
import {
  cubic,
  normalDensity,
  normalDistribution,
  sigmoid as sigmoidOf,
  softplus as softplusOf,
  steepness,
} from './special.ts'
import { asKernel, throughTwin } from './twin.ts'
import { exp, onEach, square, unary } from './unary.ts'

const { PI, SQRT1_2, sqrt } = Math

const tanhOp = unary({
  name: 'tanh',
  element: Math.tanh,
  accelerated: tf.tanh,
  wasm: 'tanh',
  gradient: (dy, _, output) => mul(dy, sub(1, square(output))),
})

const sigmoidOp = unary({
  name: 'sigmoid',
  element: sigmoidOf,
  accelerated: tf.sigmoid,
  wasm: 'sigmoid',
  gradient: (dy, _, output) => mul(dy, mul(output, sub(1, output))),
})

const reluOp = unary({
  name: 'relu',
  element: (x) => Math.max(x, 0),
  accelerated: tf.relu,
  gradient: (dy, x) => where(greater(x, 0), dy, 0),
  wholeStaysWhole: true,
})

/** A derivative that an engine can compute in one pass, and its twin in other ops. */
const slopeOf = (name: UnaryKernel, element: (x: number) => number, twin: (x: Tensor) => Tensor): Op => ({
  ...define<Attrs>({
    name,
    infer: (_, { shape }) => ({ shape, dtype: 'float32' }),
    reference: (_, { data }) => Float32Array.from(data, element),
    wasm: onEach(name),
    vjp: (backward) => throughTwin(backward, twin),
  }),
  accelerated: asKernel((_, x) => twin(x)),
})

/** The derivative of x · sigmoid(u), where `along` is x du/dx; 1 - sigmoid as that of -u, or it would cancel. */
const slopeOfGated = (u: number, along: number): number => sigmoidOf(u) * (1 + along * sigmoidOf(-u))

const geluOp = unary({
  name: 'gelu',
  wasm: 'gelu',
  element: (x) => x * normalDistribution(x),
  accelerated: (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, SQRT1_2)), 1)),
  gradient: (dy, x) => mul(dy, apply(geluSlopeOp, [x], {})),
})

const geluSlopeOp = unary({
  name: 'geluSlope',
  wasm: 'geluSlope',
  element: (x) => normalDistribution(x) + x * normalDensity(x),
  accelerated: (x) => {
    const distribution = tf.add(tf.mul(tf.erf(tf.mul(x, SQRT1_2)), 0.5), 0.5)
    const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / sqrt(2 * PI))
    return tf.add(distribution, tf.mul(x, density))
  },
  gradient: (dy, x) => {
    const density = mul(exp(mul(square(x), -0.5)), 1 / sqrt(2 * PI))
    return mul(dy, mul(density, sub(2, square(x))))
  },
})

const geluTanhOp = unary({
  name: 'geluTanh',
  element: (x) => x * sigmoidOf(steepness * (x + cubic * x * x * x)),
  accelerated: (x) => {
    const inner = tf.mul(x, tf.add(tf.mul(tf.square(x), steepness * cubic), steepness))
    return tf.mul(x, tf.sigmoid(inner))
  },
  wasm: 'geluTanh',
  gradient: (dy, x) => mul(dy, apply(geluTanhSlopeOp, [x], {})),
})

const geluTanhSlopeOp = slopeOf(
  'geluTanhSlope',
  (x) => slopeOfGated(steepness * (x + cubic * x * x * x), x * steepness * (1 + 3 * cubic * x * x)),
  (x) => {
    const gate = sigmoid(mul(x, add(mul(square(x), steepness * cubic), steepness)))
    const along = mul(add(mul(square(x), 3 * steepness * cubic), steepness), x)
    return mul(gate, add(mul(along, sub(1, gate)), 1))
  },
)

const siluOp = unary({
  name: 'silu',
  element: (x) => x * sigmoidOf(x),
  accelerated: (x) => tf.mul(x, tf.sigmoid(x)),
  wasm: 'silu',
  gradient: (dy, x) => mul(dy, apply(siluSlopeOp, [x], {})),
})

const siluSlopeOp = slopeOf(
  'siluSlope',
  (x) => slopeOfGated(x, x),
  (x) => {
    const gate = sigmoid(x)
    return mul(gate, add(mul(x, sub(1, gate)), 1))
  },
)

const softplusOp = unary({
  name: 'softplus',
  element: softplusOf,
  accelerated: (x) => tf.add(tf.relu(x), tf.log1p(tf.exp(tf.neg(tf.abs(x))))),
  gradient: (dy, x) => mul(dy, sigmoid(x)),
})

/**
 * The hyperbolic tangent of each element.
 *
 * @example
 * ```ts
 * import { tanh, tensor, toArray } from 'espalier/ops'
 *
 * toArray(tanh(tensor([0, 100]))) // => [0, 1]
 * ```
 */
export const tanh = (x: Tensor): Tensor => apply(tanhOp, [x], {})

/**
 * `1 / (1 + e⁻ˣ)` of each element.
 *
 * @example
 * ```ts
 * import { sigmoid, tensor, toArray } from 'espalier/ops'
 *
 * toArray(sigmoid(tensor([0, 100]))) // => [0.5, 1]
 * ```
 */
export const sigmoid = (x: Tensor): Tensor => apply(sigmoidOp, [x], {})

/**
 * `max(x, 0)` of each element; int32 stays int32, the gradient at 0 is 0.
 *
 * @example
 * ```ts
 * import { relu, tensor, toArray } from 'espalier/ops'
 *
 * toArray(relu(tensor([-1, 2]))) // => [0, 2]
 * ```
 */
export const relu = (x: Tensor): Tensor => apply(reluOp, [x], {})

/**
 * The Gaussian error linear unit `x · Φ(x)`, exact (by erf), of each element.
 *
 * @source Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", §2
 * @example
 * ```ts
 * import { gelu, read, tensor } from 'espalier/ops'
 *
 * Array.from(read(gelu(tensor([-100, 0, 100]))), Math.abs) // => [0, 0, 100]
 * ```
 */
export const gelu = (x: Tensor): Tensor => apply(geluOp, [x], {})

/**
 * The Gaussian error linear unit by the tanh approximation that GPT-2 was trained with.
 *
 * @source Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", §2
 * @example
 * ```ts
 * import { geluTanh, tensor, toArray } from 'espalier/ops'
 *
 * toArray(geluTanh(tensor([0, 100]))) // => [0, 100]
 * ```
 */
export const geluTanh = (x: Tensor): Tensor => apply(geluTanhOp, [x], {})

/**
 * The sigmoid linear unit `x · sigmoid(x)`, also called swish, of each element.
 *
 * @source Elfwing et al. 2017, "Sigmoid-Weighted Linear Units", §2
 * @example
 * ```ts
 * import { silu, tensor, toArray } from 'espalier/ops'
 *
 * toArray(silu(tensor([0, 100]))) // => [0, 100]
 * ```
 */
export const silu = (x: Tensor): Tensor => apply(siluOp, [x], {})

/**
 * `log(1 + eˣ)` of each element, without overflow.
 *
 * @example
 * ```ts
 * import { softplus, tensor, toArray } from 'espalier/ops'
 *
 * toArray(softplus(tensor([-1000, 1000]))) // => [0, 1000]
 * ```
 */
export const softplus = (x: Tensor): Tensor => apply(softplusOp, [x], {})

/**
 * Each element kept softly within ±cap, `cap · tanh(x / cap)`; x itself for a cap of 0.
 *
 * @source Gemma Team 2024, "Gemma 2", §2 (logit soft-capping)
 * @example
 * ```ts
 * import { softCap, tensor, toArray } from 'espalier/ops'
 *
 * toArray(softCap(tensor([0, 1e6, -1e6]), 30)) // => [0, 30, -30]
 * ```
 */
export const softCap = (x: Tensor, cap: number): Tensor => (cap === 0 ? x : scope(() => mul(tanh(div(x, cap)), cap)))

/** @internal */
export const activationOps: readonly Op<never>[] = [
  tanhOp,
  sigmoidOp,
  reluOp,
  geluOp,
  geluSlopeOp,
  geluTanhOp,
  geluTanhSlopeOp,
  siluOp,
  siluSlopeOp,
  softplusOp,
]
