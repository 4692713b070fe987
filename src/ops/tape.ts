import { fail } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import { isTensor } from '../tree/tensor.ts'
import { backward } from './backward.ts'
import { ownHandles } from './basic.ts'
import { ones } from './create.ts'
import type { Tape } from './interpreters.ts'
import { interpreters, under } from './interpreters.ts'
import { scope } from './memory.ts'
import { refuseDisposed } from './check.ts'

/** The value of a function and its gradients, in the order of the variables; null where none reaches. */
export interface Gradients {
  readonly value: Tensor
  readonly grads: readonly (Tensor | null)[]
}

/**
 * Computes a scalar and its gradient with respect to each of `xs`.
 *
 * Ops that no `x` enters are not recorded, calls nest to any order, and everything but the value and the gradients is
 * freed, also when `f` throws. Errors: `NotScalar`, `NotDifferentiable` for an x that is not float32, `NoGradient`
 * naming an op without a derivative, and those of `apply`.
 *
 * @example
 * ```ts
 * import { gradients, item, mul, scalar } from 'espalier/ops'
 *
 * const x = scalar(3)
 * const { value, grads } = gradients(() => mul(mul(x, x), x), [x])
 * item(value) // => 27
 * item(grads[0]!) // => 27
 * ```
 * @source Griewank & Walther 2008, "Evaluating derivatives", §3.2 (reverse mode).
 */
export const gradients = (f: () => Tensor, xs: readonly Tensor[]): Gradients =>
  differentiate(f, xs, (value) => {
    if (value.shape.length > 0) notScalar(value)
    return ones([])
  })

/**
 * Computes a tensor and the gradient of its product with `dy`, of the same shape, with respect to each of `xs`.
 *
 * Otherwise like `gradients`. Errors: `ShapeMismatch` when `dy` does not fit, and those of `gradients`.
 *
 * @example
 * ```ts
 * import { mul, tensor, toArray, vjp } from 'espalier/ops'
 *
 * const x = tensor([1, 2, 3])
 * const { grads } = vjp(() => mul(x, x), [x], tensor([1, 0, 10]))
 * toArray(grads[0]!) // => [2, 0, 60]
 * ```
 */
export const vjp = (f: () => Tensor, xs: readonly Tensor[], dy: Tensor): Gradients =>
  differentiate(f, xs, (value) => {
    if (dy.dtype !== 'float32' || String(dy.shape) !== String(value.shape)) seedMismatch(value, dy)
    return dy
  })

const differentiate = (f: () => Tensor, xs: readonly Tensor[], seed: (value: Tensor) => Tensor): Gradients => {
  xs.forEach(checkVariable)
  return scope(() => {
    const tape: Tape = { tracked: new Set(xs), entries: [], held: new Set(xs) }
    const { tapes, recorder } = interpreters()
    const value = under({ tapes: [...tapes, tape], recorder }, f)
    checkValue(value)
    const found = backward(tape, value, seed(value))
    const own = ownHandles()
    return { value: own(value), grads: xs.map((x) => mapNull(found.get(x), own)) }
  })
}

const mapNull = <T>(x: T | undefined, f: (x: T) => T): T | null => (x === undefined ? null : f(x))

const checkValue = (value: unknown): void => {
  if (!isTensor(value)) {
    return fail({
      _tag: 'NotATensor',
      path: 'gradients, the value',
      expected: 'a function that returns a tensor',
      found: value instanceof Promise ? 'a promise' : value === null ? 'null' : typeof value,
      hint: 'Return the loss as a tensor, not as a number, and without waiting for anything.',
    })
  }
  refuseDisposed('the value', value)
  if (value.dtype !== 'float32') notDifferentiable('the value', value)
}

const checkVariable = (x: Tensor, index: number): void => {
  const what = `variable ${index}`
  refuseDisposed(what, x)
  if (x.dtype !== 'float32') notDifferentiable(what, x)
}

const notDifferentiable = (path: string, t: Tensor): never =>
  fail({
    _tag: 'NotDifferentiable',
    path,
    expected: 'float32',
    found: t.dtype,
    hint: 'Only float32 tensors have gradients.',
  })

const notScalar = (value: Tensor): never =>
  fail({
    _tag: 'NotScalar',
    path: 'gradients',
    expected: 'a function with a scalar result, of shape []',
    found: `shape [${value.shape.join(', ')}]`,
    hint: 'Reduce it with sum(…) or mean(…), or use vjp(f, xs, dy) for any shape.',
  })

const seedMismatch = (value: Tensor, dy: Tensor): never =>
  fail({
    _tag: 'ShapeMismatch',
    path: 'vjp',
    expected: `dy of the function's shape [${value.shape.join(', ')}], float32`,
    found: `[${dy.shape.join(', ')}], ${dy.dtype}`,
    hint: 'dy weighs each element of the result.',
  })
