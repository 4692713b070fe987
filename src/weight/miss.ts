import { allZeros, dropout, fixed, materialize, matrix, shapeOf } from '../kind/index.ts'
import type { Ctx, Kind, Weight } from '../kind/index.ts'
import { add, gather, matmul, pad, reshape, sum, tensor, transpose } from '../ops/index.ts'
import type { Matrix } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { variant } from './variant.ts'

/** What MiSS adds to a weight: one block that is repeated all over it. */
export interface MissValues {
  readonly block: Matrix<'trainable'>
  /** Rate of dropout on the inputs of the change, in training. */
  readonly dropout: number
}

/**
 * A weight W [in, out] plus one block [rank, columns] over and over: Δ[i, j] = block[i mod rank, j mod columns].
 *
 * `columns` divides the outputs. So inputs that lie `rank` apart are added up before the block multiplies them.
 *
 * @source Kang and Yin 2024, "MiSS: Revisiting the Trade-off in LoRA with an Efficient Shard-Sharing Structure", §3.
 */
export interface Miss<W extends Weight = Weight> extends Weight, MissValues {
  readonly _tag: 'Miss'
  readonly base: W
}

/**
 * A weight W [in, out] in blocks [rank, rank] that are transformed, each column of blocks by a matrix of its own:
 * with W and Δ cut into blocks and those transposed, Δₖⱼ = Wₖⱼ·Bⱼ + Bⱼ.
 *
 * `block` [out, rank] holds the Bⱼ one below the other. The change depends on the weight that it is on. No transform puts it
 * on: it is read and written as PEFT has it.
 *
 * @source Kang and Yin 2024, "MiSS: Revisiting the Trade-off in LoRA with an Efficient Shard-Sharing Structure"; there Bat.
 */
export interface MissBat<W extends Weight = Weight> extends Weight, Pick<MissValues, 'block'> {
  readonly _tag: 'MissBat'
  readonly base: W
}

/** Rows 0, 1, … of so many over and over, int32 [n]. */
const over = (n: number, length: number): Tensor =>
  tensor(
    Int32Array.from({ length: n }, (_, i) => i % length),
    [n],
    'int32',
  )

/** The block beside itself until it is as wide as the outputs. */
const wide = ({ base, block: { value } }: Miss, ctx: Ctx): Tensor => {
  const [outputs, columns] = [shapeOf(base, ctx)[1] ?? 1, value.shape[1] ?? 1]
  return columns === outputs ? value : transpose(gather(transpose(value), over(outputs, columns)))
}

/** The runs of x [..., in] of a length added up, [..., length]; the last is filled up with zeros. */
const runs = (x: Tensor, length: number): Tensor => {
  const [front, width] = [x.shape.slice(0, -1), x.shape.at(-1) ?? 1]
  const missing = (length - (width % length)) % length
  const filled = missing === 0 ? x : pad(x, [...front.map((): [number, number] => [0, 0]), [0, missing]])
  return sum(reshape(filled, [...front, (width + missing) / length, length]), { axes: front.length })
}

const rankOf = ({ block }: Pick<MissValues, 'block'>): number => block.value.shape[0] ?? 1

/** The kind behind `miss`; the base stays as it is held, and Δ is never built to multiply with. */
export const MissKind: Kind<Miss, 'weight', 'in' | 'rank' | 'columns'> = variant('Miss', {
  fields: { block: matrix('rank', 'columns', allZeros), dropout: fixed<number>(0) },
  delta: (w: Miss, ctx) => gather(wide(w, ctx), over(shapeOf(w.base, ctx)[0] ?? 1, rankOf(w))),
  times: (x, w: Miss, ctx) => matmul(runs(dropout(x, w.dropout, w.block.label, ctx), rankOf(w)), wide(w, ctx)),
})

/** The kind behind PEFT's Bat; Δ is built for each product, of the base as a dense matrix. */
export const MissBatKind: Kind<MissBat, 'weight', 'in' | 'out' | 'rank'> = variant('MissBat', {
  fields: { block: matrix('out', 'rank', allZeros) },
  delta: ({ base, block }: MissBat, ctx) => {
    const [inputs = 1, outputs = 1] = shapeOf(base, ctx)
    const rank = block.value.shape[1] ?? 1
    const [down, across] = [inputs / rank, outputs / rank]
    const cut = transpose(reshape(materialize(base, ctx), [down, rank, across, rank]), [2, 0, 3, 1])
    const own = reshape(block.value, [across, rank, rank])
    const turned = matmul(reshape(cut, [across, down * rank, rank]), own)
    const changed = add(reshape(turned, [across, down, rank, rank]), reshape(own, [across, 1, rank, rank]))
    return reshape(transpose(changed, [1, 3, 0, 2]), [inputs, outputs])
  },
})
