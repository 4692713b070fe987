import type { Weight } from '../kind/index.ts'
import type { Embedding } from '../nn/index.ts'
import { scope } from '../ops/index.ts'
import type { Selector } from '../tree/select.ts'
import { targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import { replaceAt } from '../tree/walk.ts'
import { isWrappedWeight, labelOf } from '../tree/wrap.ts'

/** A token embedding, as far as what stands before it is concerned. */
export interface EmbeddingNode {
  readonly _tag: string
  readonly weight: Weight
}

/** One token embedding that is given rows, and the label of these. */
export interface EmbeddingPlace {
  readonly node: EmbeddingNode
  readonly route: readonly string[]
  readonly label: string
}

const embeddings: Taste<EmbeddingNode> = {
  verdict: (node) => {
    const tag = (node as { _tag?: unknown } | null)?._tag
    return tag === 'Prompted' ? 'adapted' : tag === 'Embedding' ? 'take' : 'into'
  },
  wants: 'a token embedding',
}

/** A taste for token embeddings whose table nothing wraps; a table of positions is looked up by row too, but is none of them. */
export const tokenTables: Taste<Embedding> = {
  verdict: (node) => {
    if ((node as { _tag?: unknown } | null)?._tag !== 'Embedding') return 'into'
    return isWrappedWeight((node as Embedding).weight) ? 'adapted' : 'take'
  },
  wants: 'a token embedding',
}

/** Puts rows before the token embeddings that a selector names; whatever was made is freed when one of them fails. */
export const putRows = (model: unknown, at: Selector, rowsOf: (place: EmbeddingPlace) => Weight): unknown =>
  scope(() =>
    replaceAt(
      model,
      targets(model, at, embeddings).map(({ node, route }) => {
        // Of a packed weight the first leaf is its codes, and what is drawn by label must not depend on that.
        const label = [...labelOf(node.weight).split('.').slice(0, -1), 'prompt'].join('.')
        return { route, value: { _tag: 'Prompted', base: node, prompt: rowsOf({ node, route, label }) } }
      }),
    ),
  )
