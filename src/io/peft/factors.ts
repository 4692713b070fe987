import { transpose } from '../../ops/index.ts'
import type { Tensor } from '../../tree/tensor.ts'
import type { Lookup } from './method.ts'
import type { Use } from './modules.ts'
import type { Target } from './sizes.ts'

/** A and B of a change A·B as our layers hold it. */
export interface Factors {
  readonly a: Tensor
  readonly b: Tensor
}

/**
 * The factors of a low-rank change in a file, where the change of a linear layer is B·A [out, in], whichever way round the
 * weight itself lies there; that of a table [rows, width] is the transpose of B·A, and of a head the table's own B·A.
 */
export const readFactors = (
  { tensor }: Lookup,
  { path, use, swapped, rows, columns }: Target,
  rank: number,
  ending: '' | '.weight',
): Factors => {
  if (use === 'embedding')
    return {
      a: transpose(tensor(path, 'lora_embedding_A', [rank, rows])),
      b: transpose(tensor(path, 'lora_embedding_B', [columns, rank])),
    }
  if (swapped)
    return { a: tensor(path, `lora_B${ending}`, [rows, rank]), b: tensor(path, `lora_A${ending}`, [rank, columns]) }
  return {
    a: transpose(tensor(path, `lora_A${ending}`, [rank, rows])),
    b: transpose(tensor(path, `lora_B${ending}`, [columns, rank])),
  }
}

/** The same factors by their names in a file. */
export const writeFactors = (
  module: string,
  use: Use,
  { a, b }: Factors,
  ending: '' | '.weight',
): readonly (readonly [module: string, suffix: string, value: Tensor])[] => {
  if (use === 'embedding')
    return [
      [module, 'lora_embedding_A', transpose(a)],
      [module, 'lora_embedding_B', transpose(b)],
    ]
  const [first, second] = use === 'head' ? [b, a] : [transpose(a), transpose(b)]
  return [
    [module, `lora_A${ending}`, first],
    [module, `lora_B${ending}`, second],
  ]
}
