import { lowest } from '../../defs/softmax.ts'
import type { Out } from './builder.ts'
import { basicRules, plus, rule, times } from './rules.ts'
import type { Rule } from './rules.ts'
import { typed } from './write.ts'
import type { Writer } from './write.ts'

const minus = (w: Writer, x: Out, y: Out): Out => w.binary('Sub', x, y)
const meanOfRows = (w: Writer, x: Out): Out => w.reduce('Mean', x, [x.shape.length - 1], true)

/** Rows brought to mean 0 and variance 1, and what they were multiplied by. */
const unitRows = (w: Writer, x: Out, eps: number): readonly [unit: Out, spread: Out] => {
  const centered = minus(w, x, meanOfRows(w, x))
  const spread = w.unary('Rsqrt', plus(w, meanOfRows(w, w.unary('Square', centered)), eps))
  return [times(w, centered, spread), spread]
}

/** The losses of rows and their slopes (softmax - one-hot), 0 where the label is the ignored one; which rows count. */
const crossEntropy = (w: Writer, logits: Out, labels: Out, ignore: number) => {
  const counts = w.binary('NotEqual', labels, w.scalar(ignore, 'int32'), 'bool')
  const safe = w.select(counts, labels, w.scalar(0, 'int32'))
  const [losses, slopes] = w.nodes(
    'SparseSoftmaxCrossEntropyWithLogits',
    [logits, safe],
    { ...typed('float32'), ...typed('int32', 'Tlabels') },
    [{ shape: labels.shape, dtype: 'float32' }, logits],
  )
  return { counts, losses: losses!, slopes: slopes! }
}

const overRows = (w: Writer, op: 'Max' | 'Sum', x: Out): Out => w.reduce(op, x, [x.shape.length - 1], true)

/** A row less its highest, and Σ eˣ of that. */
const shiftedRows = (w: Writer, x: Out) => {
  const shifted = minus(w, x, overRows(w, 'Max', x))
  const raised = w.unary('Exp', shifted)
  return { shifted, raised, total: overRows(w, 'Sum', raised) }
}

// Not the op of that name, which in graphs makes 0 of what stands in a row with NaN.
const softmax = (w: Writer, x: Out): Out => {
  const { raised, total } = shiftedRows(w, x)
  return w.binary('RealDiv', raised, total)
}

/** Rules for the parts of networks, in TensorFlow's own ops. */
export const networkRules: Readonly<Record<string, Rule>> = {
  softmax: rule<{ masked: boolean }>((w, [x, mask], { masked }) => {
    if (!masked) return softmax(w, x!)
    const seen = w.cast(mask!, 'bool')
    return times(w, softmax(w, w.select(seen, x!, w.scalar(lowest))), w.cast(seen, 'float32'))
  }),
  logSoftmax: rule((w, [x]) => {
    const { shifted, total } = shiftedRows(w, x!)
    return minus(w, shifted, w.unary('Log', total))
  }),
  layerNorm: rule<{ eps: number; scaled: boolean; shifted: boolean }>((w, [x, ...rest], { eps, scaled, shifted }) => {
    const unit = unitRows(w, x!, eps)[0]
    const large = scaled ? times(w, unit, rest[0]!) : unit
    return shifted ? plus(w, large, rest.at(-1)!) : large
  }),
  layerNormSlope: rule<{ eps: number }>((w, [x, g], { eps }) => {
    const [unit, spread] = unitRows(w, x!, eps)
    const along = times(w, unit, meanOfRows(w, times(w, g!, unit)))
    return times(w, spread, minus(w, minus(w, g!, meanOfRows(w, g!)), along))
  }),
  crossEntropyRows: rule<{ ignore: number }>((w, [logits, labels], { ignore }) => {
    const { counts, losses } = crossEntropy(w, logits!, labels!, ignore)
    return w.select(counts, losses, w.scalar(0))
  }),
  crossEntropySlope: rule<{ ignore: number }>((w, [logits, labels, dy], { ignore }) => {
    const { counts, slopes } = crossEntropy(w, logits!, labels!, ignore)
    const column = (x: Out): Out => w.reshape(x, [x.shape[0]!, 1])
    return w.select(column(counts), times(w, slopes, column(dy!)), w.scalar(0))
  }),
}

/** Every rule there is in TensorFlow's own ops. */
export const stockRules: Readonly<Record<string, Rule>> = { ...basicRules, ...networkRules }
