import { lowest } from '../../defs/softmax.ts'
import type { Out } from './builder.ts'
import { basicRules, rule, times } from './rules.ts'
import type { Rule } from './rules.ts'
import { typed } from './write.ts'
import type { Writer } from './write.ts'

const minus = (w: Writer, x: Out, y: Out): Out => w.binary('Sub', x, y)

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
