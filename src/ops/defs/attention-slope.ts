import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import type { Op } from '../op.ts'
import { vjp } from '../tape.ts'
import type { AttentionAttrs } from '../attrs.ts'
import { checkAttention, eachRow, attentionNode, unfusedAttention } from './attention-rows.ts'
import { attentionSlopeWasm } from '../wasm/attention.ts'
import { reshape } from './broadcast.ts'
import { define } from './define.ts'
import { fresh, type Loop } from './heap.ts'
import { concat } from './shape.ts'
import { sizeOf } from '../shape-rules.ts'
import { throughTwin } from './twin.ts'

const slope: Loop<AttentionAttrs> = ({ attrs }, out, q, k, v, output, dy, ...rest) => {
  const [width, depth] = [q.shape[3]!, v.shape[3]!]
  const [atK, atV] = [q.data.length, q.data.length + k.data.length]
  out.fill(0)
  eachRow(attrs, [q, k, v], rest, ({ query, key, value, chances, kept, bends }, index) => {
    // What softmax takes from every score alike: the mean slope of the weights, which is dy · output.
    let common = 0
    for (let i = index * depth; i < (index + 1) * depth; i++) common += dy.data[i]! * output.data[i]!
    chances.forEach((chance, j) => {
      let along = 0
      for (let i = 0; i < depth; i++) {
        const slopeOfRead = dy.data[index * depth + i]!
        along += slopeOfRead * v.data[value + j * depth + i]!
        out[atV + value + j * depth + i]! += chance * kept[j]! * slopeOfRead
      }
      const slopeOfProduct = chance * (along * kept[j]! - common) * bends[j]!
      for (let i = 0; i < width; i++) {
        out[query + i]! += slopeOfProduct * k.data[key + j * width + i]!
        out[atK + key + j * width + i]! += slopeOfProduct * q.data[query + i]!
      }
    })
  })
}

const unfused = (
  attrs: AttentionAttrs,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  _output: Tensor,
  dy: Tensor,
  ...rest: Tensor[]
): Tensor => {
  const { grads } = vjp(() => unfusedAttention(attrs, q, k, v, ...rest), [q, k, v], dy)
  return concat(grads.map((grad) => reshape(grad!, [-1])))
}

/**
 * The gradients of q, k and v one after the other, flat, from (q, k, v, output, dy, mask if masked, seed if seeded).
 *
 * @internal
 */
export const attentionSlopeOp: Op<AttentionAttrs> = define<AttentionAttrs>({
  name: 'attentionSlope',
  infer: (attrs, ...inputs) => {
    const [q, k, v, , , ...rest] = inputs as [TensorSpec, TensorSpec, TensorSpec, ...TensorSpec[]]
    checkAttention('attentionSlope', attrs, q, k, v, rest)
    return { shape: [[q, k, v].reduce((size, { shape }) => size + sizeOf(shape), 0)], dtype: 'float32' }
  },
  reference: fresh(slope),
  // To its own derivative the output is no input: the twin computes it again.
  vjp: (backward) =>
    throughTwin(backward, (...inputs) =>
      unfused(backward.attrs, ...(inputs as [Tensor, Tensor, Tensor, Tensor, Tensor, ...Tensor[]])),
    ),
  own: attentionNode('EspalierAttentionSlope', 5),
  wasm: attentionSlopeWasm,
  composed: unfused,
})
