import type { Tensor } from '../../src/ops/index.ts'
import { read, scope, tensor, vjp } from '../../src/ops/index.ts'
import type { Case, Entry, Input } from './op-table.ts'

export const toTensor = ({ shape, dtype, data }: Input): Tensor => tensor(data, shape, dtype)

export const outputsOf = (entry: Entry, inputs: readonly Tensor[], attrs: Case['attrs']): readonly Tensor[] =>
  [entry.call(inputs, attrs)].flat()

/** A fixed weight for each element of an output: what a gradient is taken of is the weighted sum. */
const weightOf = (output: number, i: number): number => (((i * 7 + output * 3) % 11) - 4.5) / 4

/** The float32 inputs, which gradients are taken of. */
export const variablesOf = ({ inputs }: Case): readonly number[] =>
  inputs.flatMap(({ dtype }, i) => (dtype === 'float32' ? [i] : []))

/** The gradients of the weighted sum of the float32 outputs, as plain data; null where none reaches. */
export const gradientsOf = (entry: Entry, { inputs, attrs }: Case): readonly (readonly number[] | null)[] =>
  scope(() => gradientTensors(entry, inputs.map(toTensor), attrs).map((grad) => grad && [...read(grad)]))

const gradientTensors = (entry: Entry, inputs: readonly Tensor[], attrs: Case['attrs']): readonly (Tensor | null)[] => {
  const variables = inputs.filter(({ dtype }) => dtype === 'float32')
  const count = outputsOf(entry, inputs, attrs).length
  const totals = variables.map((): Tensor | null => null)
  for (let output = 0; output < count; output++) {
    const { shape, dtype, size } = outputsOf(entry, inputs, attrs)[output]!
    if (dtype !== 'float32') continue
    const dy = tensor(
      Float32Array.from({ length: size }, (_, i) => weightOf(output, i)),
      shape,
    )
    const { grads } = vjp(() => outputsOf(entry, inputs, attrs)[output]!, variables, dy)
    grads.forEach((grad, i) => {
      const before = totals[i]
      totals[i] = before && grad ? addPlain(before, grad) : (grad ?? before ?? null)
    })
  }
  return totals
}

// Outputs are added up outside of the ops under test.
const addPlain = (a: Tensor, b: Tensor): Tensor => {
  const [x, y] = [read(a), read(b)]
  return tensor(
    Float32Array.from(x, (v, i) => v + y[i]!),
    a.shape,
  )
}

/** The weighted sum itself, in doubles. */
const weightedSum = (entry: Entry, { inputs, attrs }: Case): number =>
  scope(() =>
    outputsOf(entry, inputs.map(toTensor), attrs).reduce(
      (total, output, at) =>
        output.dtype === 'float32'
          ? total + Array.from(read(output)).reduce((sum, v, i) => sum + v * weightOf(at, i), 0)
          : total,
      0,
    ),
  )

/** A sum of the gradients themselves, weighted: its derivative checks the gradient of the gradient. */
const weightedGradient = (entry: Entry, c: Case): number =>
  gradientsOf(entry, c).reduce(
    (total, grad, at) => total + (grad ?? []).reduce((sum, v, i) => sum + v * weightOf(at + 1, i), 0),
    0,
  )

const step = 1 / 32

const moved = (c: Case, input: number, element: number, by: number): Case => ({
  ...c,
  inputs: c.inputs.map((x, i) => (i === input ? { ...x, data: x.data.with(element, x.data[element]! + by) } : x)),
})

/** The central difference over five points, whose error falls with the fourth power of the step. */
const difference = (f: (c: Case) => number, c: Case, input: number, element: number): number => {
  const at = (by: number): number => f(moved(c, input, element, by))
  return (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)
}

const differences = (f: (c: Case) => number, c: Case): readonly (readonly number[])[] =>
  variablesOf(c).map((input) => c.inputs[input]!.data.map((_, element) => difference(f, c, input, element)))

export const finiteDifferences = (entry: Entry, c: Case): readonly (readonly number[])[] =>
  differences((moved_) => weightedSum(entry, moved_), c)

export const secondDifferences = (entry: Entry, c: Case): readonly (readonly number[])[] =>
  differences((moved_) => weightedGradient(entry, moved_), c)

/** The gradient of `weightedGradient`, by differentiating through the gradients; null where none reaches. */
export const secondGradients = (entry: Entry, { inputs, attrs }: Case): readonly (readonly number[] | null)[] =>
  scope(() => {
    const tensors = inputs.map(toTensor)
    const variables = tensors.filter(({ dtype }) => dtype === 'float32')
    const totals = variables.map(({ size }) => Array.from({ length: size }, () => 0))
    variables.forEach((_, at) => {
      if (gradientTensors(entry, tensors, attrs)[at] === null) return
      const { size, shape } = variables[at]!
      const dy = tensor(
        Float32Array.from({ length: size }, (_, i) => weightOf(at + 1, i)),
        shape,
      )
      const { grads } = vjp(() => gradientTensors(entry, tensors, attrs)[at]!, variables, dy)
      grads.forEach((grad, i) => grad && read(grad).forEach((v, j) => (totals[i]![j]! += v)))
    })
    return totals
  })

/** The largest difference, relative to the numbers where they are above 1; NaN and infinities must agree exactly. */
export const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  if (a.length !== b.length) return Infinity
  let worst = 0
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!]
    if (Object.is(x, y) || x === y) continue
    const size = Math.max(1, Math.abs(x), Math.abs(y))
    const relative = Math.abs(x - y) / size
    worst = Math.max(worst, Number.isFinite(relative) ? relative : Infinity)
  }
  return worst
}
