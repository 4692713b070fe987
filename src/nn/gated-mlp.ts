import { fixed, layer, under } from '../kind/index.ts'
import type { Kind, Layer } from '../kind/index.ts'
import { mul } from '../ops/index.ts'
import { activate } from './activation.ts'
import type { ActivationName } from './activation.ts'
import { linear } from './linear.ts'

/**
 * down(f(gate(x)) · up(x)): with silu it is SwiGLU, with gelu GeGLU.
 *
 * @source Shazeer 2020, "GLU Variants Improve Transformer", §2.
 */
export interface GatedMlp<P extends Layer = Layer> extends Layer {
  readonly _tag: 'GatedMlp'
  readonly '~role'?: 'layer'
  readonly gate_proj: P
  readonly up_proj: P
  readonly down_proj: P
  readonly activation: ActivationName
}

declare module '../kind/kind.ts' {
  interface Sublayers {
    readonly GatedMlp: 'feedForward'
  }
}

/** The kind behind the feed-forward layers of the Llama family. */
export const GatedMlpKind: Kind<GatedMlp, 'layer', 'd' | 'inner'> = {
  tag: 'GatedMlp',
  role: 'layer',
  sublayer: 'feedForward',
  fields: {
    gate_proj: linear('d', 'inner', { bias: false }),
    up_proj: linear('d', 'inner', { bias: false }),
    down_proj: linear('inner', 'd', { bias: false }),
    activation: fixed('silu'),
  },
  ops: {
    layer: (n, x, ctx) => {
      const gate = activate(n.activation, layer(n.gate_proj, x, under(ctx, 'gate_proj')))
      return layer(n.down_proj, mul(gate, layer(n.up_proj, x, under(ctx, 'up_proj'))), under(ctx, 'down_proj'))
    },
  },
}
