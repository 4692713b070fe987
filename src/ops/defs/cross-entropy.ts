import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import { scope } from '../memory.ts'
import type { Op } from '../op.ts'
import { tf } from '../tf.ts'
import { crossEntropyRowsWasm, crossEntropySlopeWasm } from '../wasm/softmax.ts'
import { sum } from './broadcast.ts'
import { define } from './define.ts'
import { div, equal, maximum, mul, sub, where } from './elementwise.ts'
import { expandDims } from './arrange.ts'
import { takeRows } from './gather.ts'
import { cast } from './shape.ts'
import { describe, mismatch, requireFloat, requireInt, requireRange } from '../shape-rules.ts'
import { logSumExp, softmax } from './softmax.ts'

type CrossEntropyAttrs = { readonly ignore: number }

const check = (name: string, logits: TensorSpec, labels: TensorSpec): void => {
  requireFloat(name, 'logits', logits)
  requireInt(name, 'labels', labels)
  if (logits.shape.length !== 2 || labels.shape.length !== 1 || logits.shape[0] !== labels.shape[0])
    mismatch(
      name,
      'logits [rows, classes] and labels [rows]',
      `${describe(logits)} and ${describe(labels)}`,
      'reshape(logits, [-1, classes]) and reshape(labels, [-1]) fold a batch of sequences.',
    )
}

/** Offset of each row's label in the logits, and which rows count; ignored rows point at their first class. */
const located = (logits: tf.Tensor, labels: tf.Tensor, ignore: number): readonly [tf.Tensor1D, tf.Tensor] => {
  const [rows, classes] = [logits.shape[0], logits.shape[1]!]
  requireRange('crossEntropy', 'labels', labels.dataSync<'int32'>(), classes, ignore)
  const counts = tf.notEqual(labels, tf.scalar(ignore, 'int32'))
  const columns = tf.mul(labels, tf.cast(counts, 'int32'))
  const begins = tf.mul(tf.range(0, rows, 1, 'int32'), tf.scalar(classes, 'int32'))
  return [tf.add(begins, columns), tf.cast(counts, 'float32')]
}

const rowsOp = define<CrossEntropyAttrs>({
  name: 'crossEntropyRows',
  infer: (_, logits, labels) => {
    check('crossEntropy', logits, labels)
    return { shape: labels.shape, dtype: 'float32' }
  },
  reference: ({ attrs }, logits, labels) => {
    const classes = logits.shape[1]!
    requireRange('crossEntropy', 'labels', labels.data, classes, attrs.ignore)
    return Float32Array.from(labels.data, (label, row) =>
      label === attrs.ignore ? 0 : logSumExp(logits, row * classes, classes) - logits.data[row * classes + label]!,
    )
  },
  wasm: crossEntropyRowsWasm,
  native: ({ attrs }, logits, labels) => {
    const [positions, counts] = located(logits, labels, attrs.ignore)
    // The largest chance is e⁰ / Σ e^(x - max): softmax, the one fast pass tfjs has, gives log Σ eˣ without an exp or a log
    // of [rows, classes].
    const logTotals = tf.sub(tf.max(logits, -1), tf.log(tf.max(tf.softmax(logits, -1), -1)))
    const losses = tf.sub(logTotals, tf.gather(tf.reshape(logits, [logits.size]), positions))
    return tf.where(tf.cast(counts, 'bool'), losses, tf.zerosLike(losses))
  },
  vjp: ({ dy, attrs, needs }, logits, labels) => [needs[0] ? apply(slopeOp, [logits, labels, dy], attrs) : null, null],
})

// (softmax - one-hot) · dy of the row, in one pass over the logits; the one-hot is never there.
const slopeOp = define<CrossEntropyAttrs>({
  name: 'crossEntropySlope',
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
  reference: ({ attrs }, logits, labels, dy) => {
    const classes = logits.shape[1]!
    const out = new Float32Array(logits.data.length)
    for (let row = 0; row < labels.data.length; row++) {
      const label = labels.data[row]!
      if (label === attrs.ignore) continue
      const begin = row * classes
      const logTotal = logSumExp(logits, begin, classes)
      const weight = dy.data[row]!
      for (let i = begin; i < begin + classes; i++) out[i] = Math.exp(logits.data[i]! - logTotal) * weight
      out[begin + label]! -= weight
    }
    return out
  },
  wasm: crossEntropySlopeWasm,
  native: ({ attrs, output }, logits, labels, dy) => {
    const [positions, counts] = located(logits, labels, attrs.ignore)
    const weights = tf.mul(dy, counts)
    const chances = tf.mul(tf.softmax(logits, -1), tf.expandDims(weights, 1))
    // Chosen rather than multiplied by 0: what stands in an ignored row may be NaN.
    const counted = tf.where(tf.cast(tf.expandDims(counts, 1), 'bool'), chances, tf.scalar(0))
    const all = tf.reshape(counted, [logits.size])
    const atLabels = tf.sub(tf.gather(all, positions), weights)
    const updated = tf.tensorScatterUpdate(all, tf.expandDims(positions, 1), atLabels)
    return tf.reshape(updated, [...output.shape])
  },
  vjp: ({ dy, attrs, needs, inputs }, logits, labels, weights) => {
    const counts = sub(1, cast(equal(labels, attrs.ignore), 'float32'))
    const chances = softmax(logits)
    const spread = sub(dy, sum(mul(dy, chances), { axes: -1, keepDims: true }))
    const atLabels = takeRows(dy, maximum(mul(labels, cast(counts, 'int32')), 0))
    return inputs.map((_, i) => {
      if (!needs[i]) return null
      return i === 0
        ? mul(mul(chances, spread), expandDims(mul(weights, counts), 1))
        : i === 2
          ? mul(counts, sub(sum(mul(dy, chances), { axes: -1 }), atLabels))
          : null
    })
  },
})

/** Which rows count in `crossEntropy` and `meanLoss`, and how much. */
export interface CrossEntropyOptions {
  /** The label that means "no label"; -100 by default. */
  readonly ignore?: number
  /** A weight for each row, float32 [rows]; all 1 by default. */
  readonly weights?: Tensor
}

/**
 * The loss of each row, `-log softmax(logits)[label]`, float32 [rows]; 0 where the label is the ignored one.
 *
 * Shapes and errors as for `crossEntropy`.
 *
 * @example
 * ```ts
 * import { crossEntropyRows, tensor, toArray } from 'espalier/ops'
 *
 * toArray(crossEntropyRows(tensor([[1000, 0], [5, 6]]), tensor([1, -100], [2], 'int32'))) // => [1000, 0]
 * ```
 */
export const crossEntropyRows = (logits: Tensor, labels: Tensor, { ignore = -100 }: { ignore?: number } = {}): Tensor =>
  apply(rowsOp, [logits, labels], { ignore })

/**
 * The mean loss over the rows that count, a scalar in nats; 0, with a zero gradient, when none counts.
 *
 * logits are float32 [rows, classes], labels int32 [rows]. With weights it is `Σ wᵢ lossᵢ / Σ wᵢ`. Stable for any finite
 * logits. A label that is neither a class nor the ignored one throws `OutOfRange`.
 *
 * @example
 * ```ts
 * import { crossEntropy, item, tensor } from 'espalier/ops'
 *
 * const logits = tensor([[1000, 0], [0, 1000]])
 * item(crossEntropy(logits, tensor([0, 0], [2], 'int32'))) // => 500
 * item(crossEntropy(logits, tensor([0, -100], [2], 'int32'))) // => 0
 * ```
 */
export const crossEntropy = (
  logits: Tensor,
  labels: Tensor,
  { ignore = -100, weights }: CrossEntropyOptions = {},
): Tensor =>
  scope(() => meanLoss(crossEntropyRows(logits, labels, { ignore }), labels, { ignore, ...(weights && { weights }) }))

/**
 * The mean of the losses of rows over those that count, a scalar; 0, with a zero gradient, when none counts.
 *
 * losses are float32 [rows], as `crossEntropyRows` and `headLoss` give them, labels int32 [rows]; weights as for `crossEntropy`.
 *
 * @example
 * ```ts
 * import { item, meanLoss, tensor } from 'espalier/ops'
 *
 * item(meanLoss(tensor([3, 5, 0]), tensor([7, 8, -100], [3], 'int32'))) // => 4
 * ```
 */
export const meanLoss = (
  losses: Tensor,
  labels: Tensor,
  { ignore = -100, weights }: CrossEntropyOptions = {},
): Tensor =>
  scope(() => {
    const counts = sub(1, cast(equal(labels, ignore), 'float32'))
    const shares = weights === undefined ? counts : mul(counts, checkedWeights(weights, labels))
    const total = sum(shares)
    return div(sum(mul(losses, shares)), where(equal(total, 0), 1, total))
  })

const checkedWeights = (weights: Tensor, labels: Tensor): Tensor => {
  requireFloat('crossEntropy', 'weights', weights)
  return String(weights.shape) === String(labels.shape)
    ? weights
    : mismatch('crossEntropy', `weights of shape [${labels.shape.join(', ')}]`, describe(weights), 'One for each row.')
}

/** @internal */
export const crossEntropyOps: readonly Op<never>[] = [rowsOp, slopeOp]
