import { affineOf, headOf, hiddenOf, runModel } from '../kind/index.ts'
import type { Ctx, Embedded, Kinds, Model, Tokens } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import {
  argmax,
  concat,
  crossEntropyRows,
  full,
  headLoss,
  meanLoss,
  mul,
  reshape,
  scope,
  slice,
  takeRows,
  tensor,
} from '../ops/index.ts'
import { EspalierError } from '../tree/error.ts'
import { isTensor } from '../tree/tensor.ts'
import type { DType, Tensor } from '../tree/tensor.ts'

/** What a model of type `M` does with token ids, adapted in whatever way. */
export interface ModelRun<M extends Model> {
  /** Logits [batch, n + tokens, vocab], the n rows of a soft prompt first; of a classifier [batch, labels]. */
  readonly apply: (model: M, input: Tensor | Tokens, ctx?: Partial<Ctx>) => Tensor
  /** Hidden states [batch, n + tokens, d_model] before the head, and their mask. */
  readonly hidden: (model: M, input: Tensor | Tokens, ctx?: Partial<Ctx>) => Embedded
}

/** What a language model of type `M` does besides. */
export interface CausalRun<M extends Model> extends ModelRun<M> {
  /** The hidden state [batch, d_model] at the last position that is not padding. */
  readonly lastHidden: (model: M, input: Tensor | Tokens, ctx?: Partial<Ctx>) => Tensor
  /** Logits [batch, vocab] of the token that follows each text. */
  readonly nextLogits: (model: M, input: Tensor | Tokens, ctx?: Partial<Ctx>) => Tensor
  /** Mean cross-entropy of each next token, a scalar; `labels` int32 [batch, tokens], -100 where nothing is learnt. */
  readonly loss: (model: M, batch: Tokens & { readonly labels: Tensor }, ctx?: Partial<Ctx>) => Tensor
}

/** A batch of token ids as models take it; throws `ShapeMismatch`. */
export const requireInput = (input: Tensor | Tokens): Tokens => {
  const tokens: Tokens = isTensor(input) ? { ids: input } : input
  const [batch = 0, length = 0] = requireTokens('ids', tokens?.ids, 'int32')
  if (tokens.mask !== undefined) requireTokens('mask', tokens.mask, undefined, [batch, length])
  if (tokens.positions !== undefined) requireTokens('positions', tokens.positions, 'int32', [batch, length])
  if (tokens.types !== undefined) requireTokens('types', tokens.types, 'int32', [batch, length])
  return tokens
}

/** The shape of a tensor that must be [batch, tokens], or like another one that is. */
const requireTokens = (path: string, x: unknown, dtype?: DType, like?: readonly number[]): readonly number[] => {
  const good =
    isTensor(x) &&
    (dtype === undefined || x.dtype === dtype) &&
    (like === undefined ? x.shape.length === 2 && x.size > 0 : x.shape.join() === like.join())
  if (good) return x.shape
  throw new EspalierError([
    {
      _tag: 'ShapeMismatch',
      path,
      expected: [dtype, like === undefined ? '[batch, tokens], neither of them 0' : `[${like.join(', ')}]`]
        .filter(Boolean)
        .join(' '),
      found: isTensor(x) ? `${x.dtype} [${x.shape.join(', ')}]` : Array.isArray(x) ? 'an array' : String(x),
      hint: `Make ${path} with tensor([[…]]${dtype === undefined ? '' : `, undefined, "${dtype}"`}).`,
    },
  ])
}

// What a run of the model makes on the way is freed at its end; a tape that wants it later keeps it.
const tidy =
  <A extends readonly unknown[], R>(run: (...args: A) => R) =>
  (...args: A): R =>
    scope(() => run(...args))

/** The hidden states [batch, d] at the last position of each text that its mask does not hide. */
export const lastOf = ({ hidden, mask }: Embedded): Tensor => {
  const [batch = 0, length = 0] = hidden.shape
  if (mask === undefined) return takeRows(hidden, full([batch], length - 1, 'int32'))
  const order = tensor(
    Float32Array.from({ length }, (_, i) => i + 1),
    [1, length],
  )
  return takeRows(hidden, argmax(mul(mask, order)))
}

/** The loss of each row: where the head is a plain product, without ever having the logits of all rows. */
const lossesOf = (model: Model, hidden: Tensor, labels: Tensor, ctx: Ctx): Tensor => {
  const product = affineOf('model', model, hidden, ctx)
  if (product === undefined) return crossEntropyRows(headOf(model, hidden, ctx), labels)
  const { x, weight, bias, ...how } = product
  return headLoss(x, weight, bias, labels, how)
}

/** How models are run that are built of these kinds and of those of nn. @internal */
export const runOf = <M extends Model>(own: Kinds): ModelRun<M> => ({
  apply: tidy((model, input, ctx) => runModel(model, requireInput(input), context(ctx, own))),
  hidden: tidy((model, input, ctx) => hiddenOf(model, requireInput(input), context(ctx, own))),
})

/** How language models are run that are built of these kinds and of those of nn. @internal */
export const causalRunOf = <M extends Model>(own: Kinds): CausalRun<M> => {
  const { apply, hidden } = runOf<M>(own)
  const lastHidden = (model: M, input: Tensor | Tokens, ctx?: Partial<Ctx>): Tensor => lastOf(hidden(model, input, ctx))
  const loss = (model: M, batch: Tokens & { readonly labels: Tensor }, ctx?: Partial<Ctx>): Tensor => {
    const { ids } = requireInput(batch)
    requireTokens('labels', batch.labels, 'int32', ids.shape)
    const { hidden: h } = hidden(model, batch, ctx)
    const [rows = 0, length = 0, d = 0] = h.shape
    const virtual = length - (ids.shape[1] ?? 0)
    const labels = virtual === 0 ? batch.labels : concat([full([rows, virtual], -100, 'int32'), batch.labels], 1)
    const from = reshape(slice(h, [0, 0, 0], [rows, length - 1, d]), [rows * (length - 1), d])
    const to = reshape(slice(labels, [0, 1], [rows, length - 1]), [rows * (length - 1)])
    return meanLoss(lossesOf(model, from, to, context(ctx, own)), to)
  }
  return {
    apply,
    hidden,
    lastHidden: tidy(lastHidden),
    nextLogits: tidy((model, input, ctx) => headOf(model, lastHidden(model, input, ctx), context(ctx, own))),
    loss: tidy(loss),
  }
}
