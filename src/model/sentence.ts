import type { Ctx, Model, Tokens } from '../kind/index.ts'
import { cast, div, expandDims, maximum, mean, mul, scope, sqrt, square, sum } from '../ops/index.ts'
import { fail } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import { modelKinds } from './families.ts'
import { runOf } from './run.ts'

/** How hidden states become one vector for each text. */
export interface SentenceOptions {
  /** Whether each vector is divided by its length, so that dot products are cosines. */
  readonly normalise?: boolean
}

const { hidden: hiddenStates } = runOf<Model>(modelKinds)

/** The mean of the hidden states [batch, length, d] that a mask [batch, length] shows. */
const meanOf = (hidden: Tensor, mask: Tensor | undefined): Tensor => {
  if (mask === undefined) return mean(hidden, { axes: 1 })
  const shown = expandDims(cast(mask, 'float32'), 2)
  return div(sum(mul(hidden, shown), { axes: 1 }), maximum(sum(shown, { axes: 1 }), 1e-9))
}

/**
 * One vector [batch, d] for each text: the mean of its tokens' hidden states, padding left out, as sentence-transformers has it.
 *
 * @throws EspalierError `ShapeMismatch` for a model whose hidden states are not [batch, length, d], such as a classifier of
 *   texts, and what the model throws.
 * @example
 * ```ts
 * import { bert, key, sentenceEmbedding } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const model = bert.init({ vocab_size: 50, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2 }, key(0))
 * const ids = tensor([[5, 7, 9], [5, 7, 0]], undefined, 'int32')
 * const mask = tensor([[1, 1, 1], [1, 1, 0]])
 * sentenceEmbedding(model, { ids, mask }, { normalise: true }).shape // => [2, 8]
 * ```
 * @source Reimers and Gurevych 2019, "Sentence-BERT", §3 (MEAN strategy).
 */
export const sentenceEmbedding = (
  model: Model,
  input: Tensor | Tokens,
  { normalise = false }: SentenceOptions = {},
  ctx?: Partial<Ctx>,
): Tensor =>
  scope(() => {
    const { hidden, mask } = hiddenStates(model, input, ctx)
    if (hidden.shape.length !== 3)
      fail({
        _tag: 'ShapeMismatch',
        path: '',
        expected: 'hidden states [batch, length, d]',
        found: `[${hidden.shape.join(', ')}]`,
        hint: 'Take the encoder without its head: of a classifier of texts, its field `bert`, `roberta` or `distilbert`.',
      })
    const pooled = meanOf(hidden, mask)
    if (!normalise) return pooled
    return div(pooled, maximum(sqrt(sum(square(pooled), { axes: 1, keepDims: true })), 1e-12))
  })
