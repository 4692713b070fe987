import type { Form } from '../../tree/leaf.ts'
import { halvesAtRest } from '../../weight/quantized.ts'
import type { Quantized } from '../../weight/index.ts'
import { halfOf } from './dtypes.ts'
import type { StoredTensor } from './dtypes.ts'
import { reject } from '../issues.ts'

/** The other way round, a block of lines at a time so that both sides stay near. */
const transposed = (codes: Uint16Array, rows: number, columns: number): Uint16Array => {
  const out = new Uint16Array(codes.length)
  const block = 32
  for (let from = 0; from < rows; from += block) {
    const to = Math.min(rows, from + block)
    for (let column = 0; column < columns; column++)
      for (let row = from; row < to; row++) out[column * rows + row] = codes[row * columns + column]!
  }
  return out
}

/**
 * The weight at rest that a file's halves are, bit for bit and never widened; the bits become the weight's own.
 *
 * A matrix lies in the file as [out, in], or as [in, out] where `transpose` says so, as GPT-2's do; a table as [rows, width].
 *
 * Throws `UnsupportedDType` for what are no halves, `BadShape` for what has not two axes.
 *
 * @internal
 */
export const packedFromStored = <F extends Form>(
  form: F,
  label: string,
  { dtype, shape, data }: StoredTensor,
  { transpose = false }: { readonly transpose?: boolean } = {},
): Quantized<F> => {
  const half = halfOf(dtype)
  const [rows, columns] = shape
  if (half === undefined)
    return reject('UnsupportedDType', label, 'BF16 or F16', dtype, 'Quantise the dense weight instead.')
  if (rows === undefined || columns === undefined || shape.length !== 2)
    return reject(
      'BadShape',
      label,
      'two axes',
      `[${shape.join(', ')}]`,
      'Only matrices and tables are held in halves.',
    )
  const codes = data as Uint16Array
  const named = { label, form }
  return (
    transpose
      ? halvesAtRest(transposed(codes, rows, columns), half, named, [columns, rows])
      : halvesAtRest(codes, half, named, [rows, columns])
  ) as Quantized<F>
}
