import { dropout, fixed, hiddenOf, layer, under } from '../kind/index.ts'
import type { AnyField, Ctx, Embedded, Kind, Layer, Model, NodeField, Tokens } from '../kind/index.ts'
import { linear } from '../nn/index.ts'
import { firstOf, pooledBy } from './encoder.ts'

type Headed = Model & Readonly<Record<string, unknown>>
type States = (node: Headed, tokens: Tokens, ctx: Ctx) => Embedded

/** How a classifier by an encoder is built. */
export interface EncoderHead {
  readonly tag: string
  /** The name of the body's field, and the body. */
  readonly body: string
  readonly of: NodeField
  /** Rate of dropout on what `classifier` is given. */
  readonly drop: number
  /** What turns that into logits; one linear layer unless told otherwise. */
  readonly classifier?: AnyField
  /** What stands between the body and `classifier`, and is asked by `states`. */
  readonly before?: Readonly<Record<string, AnyField>>
}

const classifierKind = (
  { tag, body, of, drop, classifier = linear('d', 'labels'), before = {} }: EncoderHead,
  states: States,
): Kind<Headed, 'model'> => ({
  tag,
  role: 'model',
  fields: { [body]: of, ...before, classifier, drop: fixed(drop) },
  ops: {
    hidden: states,
    head: (n, hidden, ctx) => {
      const seen = dropout(hidden, n['drop'] as number, 'classifier', ctx)
      return layer(n['classifier'] as Layer, seen, under(ctx, 'classifier'))
    },
  },
})

const bodyStates =
  (body: string): States =>
  (n, tokens, ctx) =>
    hiddenOf(n[body] as Model, tokens, under(ctx, body))

/** The kind of a classifier of tokens: logits [batch, tokens, labels]. */
export const tokenClassifierKind = (head: EncoderHead): Kind<Headed, 'model'> =>
  classifierKind(head, bodyStates(head.body))

/** The kind of a classifier of texts by the pooled state that its body answers: logits [batch, labels]. */
export const pooledClassifierKind = (head: EncoderHead): Kind<Headed, 'model'> =>
  classifierKind(head, (n, tokens, ctx) => ({ hidden: pooledBy(n[head.body] as Model, tokens, under(ctx, head.body)) }))

/** The kind of a classifier of texts by the hidden state of their first token, as `between` makes it. */
export const firstTokenClassifierKind = (
  head: EncoderHead,
  between: (node: Headed, first: Embedded['hidden'], ctx: Ctx) => Embedded['hidden'] = (_, first) => first,
): Kind<Headed, 'model'> =>
  classifierKind(head, (n, tokens, ctx) => ({
    hidden: between(n, firstOf(bodyStates(head.body)(n, tokens, ctx).hidden), ctx),
  }))
