import type { Attrs } from '../op.ts'
import type { TfKernel } from '../tf.ts'
import { requireRange, sizeOf } from '../shape-rules.ts'
import { parallel, produce } from './index.ts'

/** @internal */
export const gatherWasm: TfKernel<Attrs> = ({ output }, table, ids) => {
  requireRange('gather', 'ids', ids.dataSync<'int32'>(), table.shape[0])
  const width = sizeOf(table.shape.slice(1)) * (table.dtype === 'bool' ? 1 : 4)
  return produce('gather', [table, ids], output, (out, rows = 0, at = 0) =>
    parallel('gatherRows', ids.size, width / 8, (first, count) => [
      count,
      width,
      at + 4 * first,
      rows,
      out + first * width,
    ]),
  )
}

/** @internal */
export const scatterAddWasm: TfKernel<{ readonly rows: number }> = ({ attrs, output }, ids, dy) => {
  requireRange('scatterAdd', 'ids', ids.dataSync<'int32'>(), attrs.rows)
  const width = sizeOf(output.shape.slice(1))
  return produce('scatterAdd', [ids, dy], output, (out, at = 0, from = 0) =>
    parallel('scatterRows', attrs.rows, width / 4, (first, count) => [
      count,
      first,
      ids.size,
      width,
      at,
      from,
      out + 4 * first * width,
    ]),
  )
}
