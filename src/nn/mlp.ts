import { dropout, fixed, layer } from '../kind/index.ts'
import type { Kind, Layer } from '../kind/index.ts'
import { gelu } from '../ops/index.ts'
import { leaves } from '../tree/walk.ts'
import { linear } from './linear.ts'

/**
 * Linear, exact gelu, linear, dropout; the chapter's names, in which `ln_1` is a linear layer and no norm.
 *
 * @source Hendrycks and Gimpel 2016, "Gaussian Error Linear Units".
 */
export interface Mlp<P extends Layer = Layer> extends Layer {
  readonly _tag: 'Mlp'
  readonly '~role'?: 'layer'
  readonly ln_1: P
  readonly c_proj: P
  readonly dropout: number
}

declare module '../kind/kind.ts' {
  interface Sublayers {
    readonly Mlp: 'feedForward'
  }
}

/** The kind behind the mlp of SLLM. */
export const MlpKind: Kind<Mlp, 'layer', 'd'> = {
  tag: 'Mlp',
  role: 'layer',
  sublayer: 'feedForward',
  fields: { ln_1: linear('d', 'd', { bias: false }), c_proj: linear('d', 'd', { bias: false }), dropout: fixed(0) },
  ops: {
    layer: (n, x, ctx) => {
      const y = layer(n.c_proj, gelu(layer(n.ln_1, x, ctx)), ctx)
      return n.dropout === 0 ? y : dropout(y, n.dropout, `${leaves(n.c_proj)[0]?.label ?? ''}.dropout`, ctx)
    },
  },
}
