import { affineOf, dropout, fixed, headOf, hiddenOf, layer, under } from '../kind/index.ts'
import type { AnyField, Ctx, Kind, Layer, Model, NodeField, Tokens } from '../kind/index.ts'
import { TiedHeadKind, linear } from '../nn/index.ts'
import { equal, softCap, sub } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import { isBranch, places, replaceAt } from '../tree/walk.ts'
import type { Place } from '../tree/walk.ts'
import { lastOf } from './run.ts'

/** A body under its own name and what makes answers of its hidden states. */
type Headed = Model & Readonly<Record<string, unknown>>

const bodyOf = (node: Headed, body: string): Model => node[body] as Model

/** How a language-model head is built. */
export interface LanguageHead {
  readonly tag: string
  /** The name of the body's field, and the body. */
  readonly body: string
  readonly of: NodeField
  /** The names of the body's dimensions for the width of hidden states and the vocabulary. */
  readonly d: string
  readonly vocab: string
  /** Whether the head is the table of embeddings itself. */
  readonly tied: boolean
  readonly cap?: number
}

/** The kind of a language model: a body, and logits of the next token by `lm_head`. */
export const languageModelKind = ({ tag, body, of, d, vocab, tied, cap = 0 }: LanguageHead): Kind<Headed, 'model'> => {
  const own: AnyField = { _tag: 'NodeField', kind: TiedHeadKind, dims: { vocab, d }, statics: {} }
  return {
    tag,
    role: 'model',
    fields: { [body]: of, lm_head: tied ? own : linear(d, vocab, { bias: false }), cap: fixed(cap) },
    ops: {
      causal: true,
      hidden: (n, tokens, ctx) => hiddenOf(bodyOf(n, body), tokens, ctx),
      head: (n, hidden, ctx) => {
        const logits = layer(n['lm_head'] as Layer, headOf(bodyOf(n, body), hidden, ctx), under(ctx, 'lm_head'))
        return softCap(logits, n['cap'] as number)
      },
      affine: (n, hidden, ctx) => {
        const own = affineOf(
          'layer',
          n['lm_head'] as Layer,
          headOf(bodyOf(n, body), hidden, ctx),
          under(ctx, 'lm_head'),
        )
        return own && { ...own, cap: n['cap'] as number }
      },
    },
  }
}

/** How a classifier of texts by a causal model is built. */
export interface SequenceHead {
  readonly tag: string
  readonly body: string
  readonly of: NodeField
  readonly d: string
  /** The id of padding, by which the last token of a text is told; null for none. */
  readonly pad: number | null
}

/** 1 for each token that is no padding, by its id; nothing of that where virtual tokens stand before the ids. */
const notPadding = ({ ids }: Tokens, { shape: [, length] }: Tensor, pad: number): Tensor | undefined =>
  ids.shape[1] === length ? sub(1, equal(ids, pad)) : undefined

/**
 * The kind of a causal classifier of texts: logits [batch, labels] of the last token by `score`.
 *
 * The last token is told by the id of padding; without one it is the last that the mask does not hide.
 */
export const sequenceClassifierKind = ({ tag, body, of, d, pad }: SequenceHead): Kind<Headed, 'model'> => ({
  tag,
  role: 'model',
  fields: { [body]: of, score: linear(d, 'labels', { bias: false }), pad: fixed(pad ?? -1) },
  ops: {
    hidden: (n, tokens, ctx: Ctx) => {
      const embedded = hiddenOf(bodyOf(n, body), tokens, ctx)
      const { hidden } = embedded
      const pad = n['pad'] as number
      return { hidden: lastOf(pad < 0 ? embedded : { hidden, mask: notPadding(tokens, hidden, pad) }) }
    },
    head: (n, hidden, ctx) => layer(n['score'] as Layer, hidden, ctx),
  },
})

/** Where in a model, whatever wraps it, a causal classifier of texts is. */
const padded = (model: unknown): (Place & { readonly node: { readonly pad: number } }) | undefined => {
  for (const place of places(model))
    if (isBranch(place.node) && typeof (place.node as { readonly pad?: unknown }).pad === 'number')
      return place as Place & { readonly node: { readonly pad: number } }
  return undefined
}

/** The id by which a causal classifier of texts tells padding, -1 for none; undefined for other models. */
export const padOf = (model: unknown): number | undefined => padded(model)?.node.pad

/** A causal classifier of texts that tells padding by an id; other models as they are. */
export const withPad = (model: unknown, pad: number): unknown => {
  const place = padded(model)
  return place === undefined ? model : replaceAt(model, [{ route: place.route, value: { ...place.node, pad } }])
}

/** How a classifier of tokens by a causal model is built. */
export interface TokenHead extends Pick<SequenceHead, 'tag' | 'body' | 'of' | 'd'> {
  /** Rate of dropout on what `score` is given. */
  readonly drop: number
}

/** The kind of a causal classifier of tokens: logits [batch, tokens, labels] by `score`. */
export const tokenScorerKind = ({ tag, body, of, d, drop }: TokenHead): Kind<Headed, 'model'> => ({
  tag,
  role: 'model',
  fields: { [body]: of, score: linear(d, 'labels'), drop: fixed(drop) },
  ops: {
    hidden: (n, tokens, ctx) => hiddenOf(bodyOf(n, body), tokens, ctx),
    head: (n, hidden, ctx) => layer(n['score'] as Layer, dropout(hidden, n['drop'] as number, 'score', ctx), ctx),
  },
})
