import type { TfKernel } from '../tf.ts'
import type { HeadLossAttrs } from '../attrs.ts'
import { requireRange } from '../shape-rules.ts'
import { parallel, produce, withMemory } from './index.ts'
import { sharedRows } from './tiles.ts'

/** Classes whose logits are there at the same time, and the most rows that have them. */
const block = 1024
const mostRows = 2048

/** Losses and slopes of the rows that count; nothing is done for the others. @internal */
export const headLossWasm: TfKernel<HeadLossAttrs> = ({ attrs, output }, hidden, weight, ...rest) => {
  const labels = rest.at(-1)!
  const seen = labels.dataSync<'int32'>()
  const [rows, d] = hidden.shape as [number, number]
  const [classes, depthStride, columnStride] = attrs.transpose
    ? [weight.shape[0], 1, d]
    : [weight.shape[1]!, weight.shape[1]!, 1]
  requireRange('headLoss', 'labels', seen, classes, attrs.ignore)
  const counted = Int32Array.from(seen.keys()).filter((row) => seen[row] !== attrs.ignore)
  const work = Math.min(counted.length, mostRows) * (2 * d + block + 3)
  return produce('headLoss', [hidden, weight, ...rest], output, (out, hiddenAt = 0, weightAt = 0, ...restAt) => {
    const bias = attrs.biased ? restAt[0]! : 0
    const [slopes, losses] = attrs.slope ? [out, out + 4 * rows * d] : [0, out]
    withMemory('headLoss', 4 * (counted.length + work), (ids, heap) => {
      new Int32Array(heap.buffer, ids, counted.length).set(counted)
      const workAt = ids + 4 * counted.length
      if (counted.length < rows) heap.fill(0, out, losses + 4 * rows)
      for (let begin = 0; begin < counted.length; begin += mostRows)
        parallel(
          'headLoss',
          Math.min(counted.length - begin, mostRows),
          2 * d * classes,
          (first, count) => [
            count,
            ids + 4 * (begin + first),
            hiddenAt,
            d,
            weightAt,
            depthStride,
            columnStride,
            classes,
            bias,
            attrs.cap,
            restAt.at(-1)!,
            losses,
            slopes,
            block,
            workAt + 4 * first * (2 * d + block + 3),
          ],
          sharedRows,
        )
    })
  })
}
