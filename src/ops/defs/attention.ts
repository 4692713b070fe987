import type { Tensor } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import type { Op } from '../op.ts'
import type { AttentionAttrs } from '../attrs.ts'
import { checkAttention, eachRow, attentionNode, unfusedAttention } from './attention-rows.ts'
import { attentionSlopeOp } from './attention-slope.ts'
import { attentionWasm } from '../wasm/attention.ts'
import { reshape } from './broadcast.ts'
import { define } from './define.ts'
import { type DropoutOptions, requireRate } from './dropout.ts'
import { fresh, type Loop } from './heap.ts'
import { slice } from './shape.ts'

const attend: Loop<AttentionAttrs> = ({ attrs }, out, q, k, v, ...rest) => {
  const depth = v.shape[3]!
  eachRow(attrs, [q, k, v], rest, ({ value, chances, kept }, index) => {
    for (let i = 0; i < depth; i++) {
      let total = 0
      chances.forEach((chance, j) => {
        total += chance * kept[j]! * v.data[value + j * depth + i]!
      })
      out[index * depth + i] = total
    }
  })
}

const attentionOp: Op<AttentionAttrs> = define<AttentionAttrs>({
  name: 'attention',
  infer: (attrs, q, k, v, ...rest) => {
    checkAttention('attention', attrs, q, k, v, rest)
    return { shape: [...q.shape.slice(0, 3), v.shape[3]!], dtype: 'float32' }
  },
  reference: fresh(attend),
  vjp: ({ dy, attrs, inputs, output, needs }) => {
    if (!needs.slice(0, 3).includes(true)) return inputs.map(() => null)
    const flat = apply(attentionSlopeOp, [...inputs.slice(0, 3), output, dy, ...inputs.slice(3)], attrs)
    const begins = [0, inputs[0]!.size, inputs[0]!.size + inputs[1]!.size]
    return inputs.map((input, i) =>
      i < 3 && needs[i] ? reshape(slice(flat, [begins[i]!], [input.size]), input.shape) : null,
    )
  },
  own: attentionNode('EspalierAttention', 3),
  wasm: attentionWasm,
  composed: unfusedAttention,
})

/** How `attention` scores, what it may see, and what it drops. */
export interface AttentionOptions {
  /** What the product of query and key is multiplied by; 1/√width by default. */
  readonly scale?: number
  /** Scores are softly kept below this, see `softCap`; 0, the default, leaves them. */
  readonly cap?: number
  /** Broadcasts to [batch, heads, queries, keys]: 0 hides a key, anything else shows it. A constant to every gradient. */
  readonly mask?: Tensor
  /** Dropout of the weights, with the bits that `dropout` draws for [batch, heads, queries, keys]. */
  readonly drop?: DropoutOptions
}

/**
 * Each query's mean of the values, weighted by the softmax of its products with the keys: float32 [batch, heads, queries, …].
 *
 * q is [batch, heads, queries, width], k [batch, groups, keys, width], v [batch, groups, keys, …]; the heads of a group,
 * heads / groups one after the other, share keys and values. Scores are scaled, capped, masked; a query that may see nothing
 * reads zeros. A NaN in a query, or in a key that it sees, makes NaN of all that it reads; the numbers of a value must be
 * finite even where it is hidden. No engine need hold all scores at once. Errors: `ShapeMismatch`, `DTypeMismatch`,
 * `InvalidRate`.
 *
 * @source Vaswani et al. 2017, "Attention Is All You Need", §3.2; groups: Ainslie et al. 2023, "GQA", §2; without the scores
 *   in memory: Dao et al. 2022, "FlashAttention", §3.1
 * @example
 * ```ts
 * import { attention, tensor, toArray } from 'espalier/ops'
 *
 * const q = tensor([[[[1, 0]]]])
 * const k = tensor([[[[5, 1], [5, 2]]]])
 * const v = tensor([[[[10], [20]]]])
 * toArray(attention(q, k, v)) // => [[[[15]]]]
 * toArray(attention(q, k, v, { mask: tensor([1, 0]) })) // => [[[[10]]]]
 * ```
 */
export const attention = (
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { scale = 1 / Math.sqrt(q.shape.at(-1) ?? 1), cap = 0, mask, drop }: AttentionOptions = {},
): Tensor => {
  const rate = drop?.rate ?? 0
  requireRate('attention', rate)
  const { key, seed } = rate > 0 ? drop! : {}
  return apply(
    attentionOp,
    [q, k, v, mask, seed].filter((input) => input !== undefined),
    {
      scale,
      cap,
      rate,
      hi: key?.hi ?? 0,
      lo: key?.lo ?? 0,
      masked: mask !== undefined,
      seeded: seed !== undefined,
    },
  )
}

/** @internal */
export const attentionOps: readonly Op<never>[] = [attentionOp, attentionSlopeOp]
