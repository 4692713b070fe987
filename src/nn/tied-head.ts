import { gaussian, projectT, table } from '../kind/index.ts'
import type { Kind, Layer, Weight } from '../kind/index.ts'
import { isParam } from '../tree/leaf.ts'
import type { Table } from '../tree/leaf.ts'

/**
 * Hidden states [..., d] to logits [..., vocab] by the table of token embeddings itself, which this shares with the embedding.
 *
 * @source Press and Wolf 2017, "Using the Output Embedding to Improve Language Models", §2.
 */
export interface TiedHead<W extends Weight = Table> extends Layer {
  readonly _tag: 'TiedHead'
  readonly '~role'?: 'layer'
  readonly weight: W
}

/** The kind behind heads that share the table of their embedding. */
export const TiedHeadKind: Kind<TiedHead<Weight>, 'layer', 'vocab' | 'd'> = {
  tag: 'TiedHead',
  role: 'layer',
  fields: { weight: table('vocab', 'd', gaussian(0.02)) },
  ops: {
    layer: (n, x, ctx) => projectT(x, n.weight, ctx),
    affine: ({ weight }, x) =>
      isParam(weight) ? { x, weight: weight.value, bias: null, transpose: true, cap: 0 } : undefined,
  },
}
