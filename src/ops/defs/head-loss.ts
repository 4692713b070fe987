import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import type { HeadLossAttrs } from '../attrs.ts'
import { ones, tensor, zeros } from '../create.ts'
import { apply } from '../dispatch.ts'
import { interpreters } from '../interpreters.ts'
import { scope } from '../memory.ts'
import { float } from '../native/custom.ts'
import type { Array_, Op } from '../op.ts'
import { vjp } from '../tape.ts'
import { dataOf } from '../tf.ts'
import { headLossWasm } from '../wasm/head-loss.ts'
import { softCap } from './activation.ts'
import { expandDims } from './arrange.ts'
import { reshape } from './broadcast.ts'
import { crossEntropyRows } from './cross-entropy.ts'
import { define } from './define.ts'
import { add, mul } from './elementwise.ts'
import { gather, scatterAdd } from './gather.ts'
import { fresh, type Loop } from './heap.ts'
import { matmul } from './matmul.ts'
import { concat, slice } from './shape.ts'
import { describe, mismatch, requireFloat, requireInt, requireRange } from '../shape-rules.ts'
import { logSumExp } from './softmax.ts'
import { asKernel, throughTwin } from './twin.ts'

/** Rows whose logits are there at the same time. */
const chunk = 512

const check = (
  { transpose, biased }: HeadLossAttrs,
  hidden: TensorSpec,
  weight: TensorSpec,
  rest: readonly TensorSpec[],
): void => {
  const [bias, labels] = biased ? rest : [undefined, rest[0]]
  for (const [what, spec] of Object.entries({ hidden, weight, ...(bias && { bias }) }))
    requireFloat('headLoss', what, spec)
  requireInt('headLoss', 'labels', labels!)
  const [inner, classes] = transpose ? weight.shape.toReversed() : weight.shape
  const fits =
    hidden.shape.length === 2 &&
    weight.shape.length === 2 &&
    hidden.shape[1] === inner &&
    String(labels!.shape) === String([hidden.shape[0]]) &&
    (bias === undefined || String(bias.shape) === String([classes]))
  if (!fits)
    mismatch(
      'headLoss',
      `hidden [rows, d], a weight ${transpose ? '[classes, d]' : '[d, classes]'}, a bias [classes] and labels [rows]`,
      `hidden ${describe(hidden)}, weight ${describe(weight)}${bias ? `, bias ${describe(bias)}` : ''}, labels ${describe(labels!)}`,
      transpose ? 'transpose: true reads the weight as [classes, d].' : 'Did you mean transpose: true?',
    )
}

const lossLoop: Loop<HeadLossAttrs> = ({ attrs }, out, hidden, weight, ...rest) => {
  const [bias, labels] = (attrs.biased ? rest : [undefined, ...rest]) as [Array_ | undefined, Array_]
  const [rows, d] = hidden.shape as [number, number]
  const classes = weight.shape[attrs.transpose ? 0 : 1]!
  const [along, across] = attrs.transpose ? [1, d] : [classes, 1]
  const atLosses = attrs.slope ? rows * d : 0
  requireRange('headLoss', 'labels', labels.data, classes, attrs.ignore)
  const logits = new Float32Array(classes)
  const bends = new Float64Array(classes)
  out.fill(0)
  labels.data.forEach((label, row) => {
    if (label === attrs.ignore) return
    for (let j = 0; j < classes; j++) {
      let total = bias ? bias.data[j]! : 0
      for (let i = 0; i < d; i++) total += hidden.data[row * d + i]! * weight.data[i * along + j * across]!
      const bent = attrs.cap === 0 ? 0 : Math.tanh(total / attrs.cap)
      logits[j] = attrs.cap === 0 ? total : bent * attrs.cap
      bends[j] = 1 - bent * bent
    }
    const logTotal = logSumExp({ shape: [classes], data: logits }, 0, classes)
    out[atLosses + row] = logTotal - logits[label]!
    if (!attrs.slope) return
    for (let j = 0; j < classes; j++) {
      const slope = (Math.exp(logits[j]! - logTotal) - (j === label ? 1 : 0)) * bends[j]!
      for (let i = 0; i < d; i++) out[row * d + i]! += slope * weight.data[i * along + j * across]!
    }
  })
}

const unfused = (
  { ignore, transpose, biased, cap }: Omit<HeadLossAttrs, 'slope'>,
  hidden: Tensor,
  weight: Tensor,
  ...rest: Tensor[]
): Tensor => {
  const product = matmul(hidden, weight, { transposeB: transpose })
  const logits = softCap(biased ? add(product, rest[0]!) : product, cap)
  return crossEntropyRows(logits, rest.at(-1)!, { ignore })
}

const slopeOf = (attrs: HeadLossAttrs, hidden: Tensor, ...rest: readonly [Tensor, ...Tensor[]]) =>
  vjp(() => unfused(attrs, hidden, ...rest), [hidden], ones([hidden.shape[0]!]))

/** The op in other ops, as far as its losses go: what differentiates it sees no more of it. */
const twin = (attrs: HeadLossAttrs, hidden: Tensor, weight: Tensor, ...rest: Tensor[]): Tensor => {
  const losses = unfused(attrs, hidden, weight, ...rest)
  return attrs.slope ? concat([zeros([hidden.size]), losses]) : losses
}

const atOnce = (attrs: HeadLossAttrs, hidden: Tensor, weight: Tensor, ...rest: Tensor[]): Tensor => {
  if (!attrs.slope) return unfused(attrs, hidden, weight, ...rest)
  const { value, grads } = slopeOf(attrs, hidden, weight, ...rest)
  return concat([reshape(grads[0]!, [-1]), value])
}

/** Only the rows that count, some at a time, so that the logits never exist as a whole. */
const inChunks = (attrs: HeadLossAttrs, hidden: Tensor, weight: Tensor, ...rest: Tensor[]): Tensor => {
  const [rows, d] = hidden.shape as [number, number]
  const labels = rest.at(-1)!
  const seen = dataOf(labels)
  requireRange('headLoss', 'labels', seen, weight.shape[attrs.transpose ? 0 : 1]!, attrs.ignore)
  const counted = Array.from(seen.keys()).filter((row) => seen[row] !== attrs.ignore)
  if (counted.length === 0) return zeros([attrs.slope ? rows * d + rows : rows])
  const begins = Array.from({ length: Math.ceil(counted.length / chunk) }, (_, i) => i * chunk)
  const parts = begins.map((begin) =>
    scope(() => {
      const ids = tensor(Int32Array.from(counted.slice(begin, begin + chunk)))
      const some = [gather(hidden, ids), weight, ...rest.slice(0, -1), gather(labels, ids)] as const
      if (!attrs.slope) return { losses: unfused(attrs, ...some), slopes: [] }
      const { value, grads } = slopeOf(attrs, ...some)
      return { losses: value, slopes: [grads[0]!] }
    }),
  )
  const ids = tensor(Int32Array.from(counted))
  const losses = scatterAdd(ids, concat(parts.map((part) => part.losses)), rows)
  if (!attrs.slope) return losses
  const slopes = scatterAdd(ids, concat(parts.flatMap((part) => part.slopes)), rows)
  return concat([reshape(slopes, [rows * d]), losses])
}

const scaledColumns = ({ shape }: Tensor, output: Tensor, dy: Tensor): Tensor =>
  mul(reshape(slice(output, [0], [shape[0]! * shape[1]!]), shape), expandDims(dy, 1))

// The gradient of hidden from (hidden, weight, bias if biased, labels, output with slopes, dy of the losses): all but dy and
// output are there for its own derivative, to which the output is no input.
const headSlopeOp: Op<HeadLossAttrs> = define<HeadLossAttrs>({
  name: 'headSlope',
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
  reference: (_, { shape, data }, ...rest) => {
    const [output, dy] = rest.slice(-2) as [Array_, Array_]
    return Float32Array.from(data, (_x, i) => output.data[i]! * dy.data[Math.floor(i / shape[1]!)]!)
  },
  vjp: (backward) =>
    throughTwin(backward, (hidden, ...rest) => {
      const inputs = rest.slice(0, -2) as [Tensor, ...Tensor[]]
      return vjp(() => unfused(backward.attrs, hidden, ...inputs), [hidden], rest.at(-1)!).grads[0]!
    }),
  composed: (_, hidden, ...rest) => scaledColumns(hidden, rest.at(-2)!, rest.at(-1)!),
})

const headLossOp: Op<HeadLossAttrs> = {
  ...define<HeadLossAttrs>({
    name: 'headLoss',
    infer: (attrs, ...inputs) => {
      const [hidden, weight, ...rest] = inputs as [TensorSpec, TensorSpec, ...TensorSpec[]]
      check(attrs, hidden, weight, rest)
      const [rows, d] = hidden.shape as [number, number]
      return { shape: [attrs.slope ? rows * d + rows : rows], dtype: 'float32' }
    },
    reference: fresh(lossLoop),
    wasm: headLossWasm,
    vjp: (backward) => {
      const { dy, attrs, inputs, output, needs } = backward
      const [rows, d] = inputs[0]!.shape as [number, number]
      if (needs.slice(1).includes(true))
        return throughTwin(backward, (hidden, weight, ...rest) => twin(attrs, hidden, weight, ...rest))
      const withSlope = { ...attrs, slope: true }
      const [saved, dyOfLosses] = attrs.slope
        ? [output, slice(dy, [rows * d], [rows])]
        : [apply(headLossOp, inputs, withSlope), dy]
      return inputs.map((_, i) => (i === 0 ? apply(headSlopeOp, [...inputs, saved, dyOfLosses], withSlope) : null))
    },
  }),
  own: {
    write: (to, inputs, { ignore, transpose, cap, slope, biased }, output) => {
      const attrs = { NB: biased ? 1 : 0, ignore, transpose, cap: float(cap), slope }
      return to.node('EspalierHeadLoss', inputs, attrs, output)
    },
  },
  // Recorded, labels have no values yet, and all rows are there at once.
  composed: atOnce,
  accelerated: asKernel(inChunks),
}

/** What `headLoss` reads a head as; the label that means "no label" is -100 by default. */
export interface HeadLossOptions {
  readonly ignore?: number
  /** Whether the weight is [classes, d], as an embedding's is; false by default. */
  readonly transpose?: boolean
  /** Logits are softly kept below this, see `softCap`; 0, the default, leaves them. */
  readonly cap?: number
}

const isTracked = (x: Tensor | null): boolean =>
  x !== null && interpreters().tapes.some(({ tracked }) => tracked.has(x))

/**
 * The cross-entropy of each row under a linear head, without its logits: float32 [rows], 0 where the label is the ignored one.
 *
 * hidden is [rows, d], weight [d, classes] (or its transpose), bias [classes] or null, labels int32 [rows]. It equals
 * `crossEntropyRows` of `hidden · weight + bias`; rows without a label cost nothing, and with a frozen head the gradient of
 * hidden is made on the way. Errors: `ShapeMismatch`, `DTypeMismatch`, and `OutOfRange` for a label that is no class.
 *
 * @source Wijmans et al. 2024, "Cut Your Losses in Large-Vocabulary Language Models", §4
 * @example
 * ```ts
 * import { headLoss, tensor, toArray } from 'espalier/ops'
 *
 * const hidden = tensor([[1000, 0], [5, 6]])
 * const identity = tensor([[1, 0], [0, 1]])
 * toArray(headLoss(hidden, identity, null, tensor([1, -100], [2], 'int32'))) // => [1000, 0]
 * ```
 */
export const headLoss = (
  hidden: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  labels: Tensor,
  { ignore = -100, transpose = false, cap = 0 }: HeadLossOptions = {},
): Tensor => {
  const inputs = [hidden, weight, bias, labels].filter((input) => input !== null)
  const attrs: HeadLossAttrs = { ignore, transpose, cap, biased: bias !== null, slope: isTracked(hidden) }
  return scope(() => {
    // A head that learns wants its logits again on the way back.
    if (isTracked(weight) || isTracked(bias)) return unfused(attrs, hidden, weight, ...inputs.slice(2))
    const output = apply(headLossOp, inputs, attrs)
    return attrs.slope ? slice(output, [hidden.size], [hidden.shape[0]!]) : output
  })
}

/** @internal */
export const headLossOps: readonly Op<never>[] = [headLossOp, headSlopeOp]
