import { allZeros, table } from '../kind/index.ts'
import type { Embed, Kind, Weight } from '../kind/index.ts'
import { embed, materialize } from '../kind/index.ts'
import { broadcastTo, concat, ones, reshape } from '../ops/index.ts'
import type { Table } from '../tree/leaf.ts'

/**
 * An embedding whose sequences all begin with the same trained rows: hidden [batch, n + tokens, d].
 *
 * The mask grows by n ones; positions, the causal mask and the context window follow from the longer sequence.
 *
 * @source Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning", §2.
 */
export interface Prompted<B extends Embed = Embed, P extends Weight = Table<'trainable'>> extends Embed {
  readonly _tag: 'Prompted'
  readonly '~role'?: 'embed'
  readonly base: B
  /** The rows, or what stands for them, such as an encoder. */
  readonly prompt: P
}

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly prompt: T extends Embed & { readonly _tag: 'Embedding' }
      ? Prompted<T>
      : T extends { readonly _tag: 'Prompted' }
        ? Keep
        : never
  }
}

/** The kind behind `prompt`. */
export const PromptedKind: Kind<Prompted<Embed, Weight>, 'embed', 'length' | 'd'> = {
  tag: 'Prompted',
  role: 'embed',
  fields: { prompt: table('length', 'd', allZeros) },
  ops: {
    embed: (n, tokens, ctx) => {
      const embedded = embed(n.base, tokens, ctx)
      if (ctx.continued === true) return embedded
      const { hidden, mask } = embedded
      const rows = materialize(n.prompt, ctx)
      const [length = 0, d = 0] = rows.shape
      const batch = hidden.shape[0] ?? 0
      const front = broadcastTo(reshape(rows, [1, length, d]), [batch, length, d])
      return {
        hidden: concat([front, hidden], 1),
        mask: mask === undefined ? undefined : concat([ones([batch, length], mask.dtype), mask], 1),
      }
    },
  },
}
