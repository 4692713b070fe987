import type { TfKernel } from '../tf.ts'
import { requireRange } from '../shape-rules.ts'
import { parallel, produce, withMemory } from './index.ts'
import { scoresBytes, writeScores } from './scores.ts'

/** Softmax of up to four axes: attention that only has its scores. @internal */
export const softmaxWasm: TfKernel<{ readonly masked: boolean }> = ({ attrs, output }, x, ...masks) => {
  const [batch = 1, heads = 1, queries = 1, keys = 1] = [1, 1, 1, ...x.shape].slice(-4)
  const mask = attrs.masked ? masks[0]! : undefined
  return produce('softmax', [x, ...masks], output, (out, from = 0, at = 0) =>
    withMemory('softmax', scoresBytes, (scores, heap) => {
      writeScores(heap, scores, {
        sizes: [heads, heads, queries, keys, 0, 0],
        at: [0, 0, 0],
        mask: mask && { shape: mask.shape, dtype: mask.dtype, at, of: [batch, heads, queries, keys] },
        drop: { hi: 0, lo: 0, rate: 0 },
        scale: 1,
        cap: 0,
      })
      parallel('softmax', x.size / keys, 20 * keys, (first, count) => [first, count, scores, from, out])
    }),
  )
}

type CrossEntropyKernel = TfKernel<{ readonly ignore: number }>

/** @internal */
export const crossEntropyRowsWasm: CrossEntropyKernel = ({ attrs, output }, logits, labels) => {
  const classes = logits.shape[1]!
  requireRange('crossEntropy', 'labels', labels.dataSync<'int32'>(), classes, attrs.ignore)
  return produce('crossEntropy', [logits, labels], output, (out, from = 0, of = 0) =>
    parallel('crossEntropyRows', labels.size, 15 * classes, (first, count) => [
      count,
      classes,
      from + 4 * first * classes,
      of + 4 * first,
      attrs.ignore,
      out + 4 * first,
    ]),
  )
}

/** @internal */
export const crossEntropySlopeWasm: CrossEntropyKernel = ({ attrs, output }, logits, labels, dy) => {
  const classes = logits.shape[1]!
  requireRange('crossEntropy', 'labels', labels.dataSync<'int32'>(), classes, attrs.ignore)
  return produce('crossEntropy', [logits, labels, dy], output, (out, from = 0, of = 0, by = 0) =>
    parallel('crossEntropySlope', labels.size, 20 * classes, (first, count) => [
      count,
      classes,
      from + 4 * first * classes,
      of + 4 * first,
      by + 4 * first,
      attrs.ignore,
      out + 4 * first * classes,
    ]),
  )
}
