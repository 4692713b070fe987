import { absent, fixed, layer, under } from '../kind/index.ts'
import type { Ctx, Kind, Layer } from '../kind/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import { attend, splitHeads } from './attend.ts'
import { linear } from './linear.ts'

/**
 * Attention in which groups of query heads share the keys and values of one head; who may see whom and how queries and keys
 * are turned is the context's.
 *
 * @source Ainslie et al. 2023, "GQA: Training Generalized Multi-Query Transformer Models", §2; norms of queries and keys:
 *   Henry et al. 2020, "Query-Key Normalization for Transformers", as Qwen3 has them.
 */
export interface GroupedAttention<
  P extends Layer = Layer,
  O extends Layer = P,
  N extends Layer | null = Layer | null,
> extends Layer {
  readonly _tag: 'GroupedAttention'
  readonly '~role'?: 'layer'
  readonly q_proj: P
  readonly k_proj: P
  readonly v_proj: P
  readonly o_proj: O
  /** Norms of each head's queries and keys before they are turned, or none. */
  readonly q_norm: N
  readonly k_norm: N
  readonly heads: number
  /** Heads of keys and values; divides `heads`. */
  readonly kv_heads: number
  readonly head_dim: number
  /** What scores are multiplied by. */
  readonly scale: number
  /** Scores are softly kept below this; 0 for as they are. */
  readonly cap: number
  /** Rate of dropout on the weights of attention, in training. */
  readonly attention_dropout: number
}

declare module '../kind/kind.ts' {
  interface Sublayers {
    readonly GroupedAttention: 'attention'
  }
}

/** The kind behind the attention of the Llama family. */
export const GroupedAttentionKind: Kind<GroupedAttention, 'layer', 'd' | 'heads' | 'kv_heads' | 'head_dim'> = {
  tag: 'GroupedAttention',
  role: 'layer',
  sublayer: 'attention',
  projections: ['q_proj', 'k_proj', 'v_proj'],
  fields: {
    q_proj: linear('d', 'heads*head_dim', { bias: false }),
    k_proj: linear('d', 'kv_heads*head_dim', { bias: false }),
    v_proj: linear('d', 'kv_heads*head_dim', { bias: false }),
    o_proj: linear('heads*head_dim', 'd', { bias: false }),
    q_norm: absent,
    k_norm: absent,
    heads: fixed(1),
    kv_heads: fixed(1),
    head_dim: fixed(1),
    scale: fixed(1),
    cap: fixed(0),
    attention_dropout: fixed(0),
  },
  ops: {
    layer: (n, x, ctx) => {
      const q = normed(n.q_norm, splitHeads(layer(n.q_proj, x, under(ctx, 'q_proj')), n.heads), under(ctx, 'q_norm'))
      const k = normed(n.k_norm, splitHeads(layer(n.k_proj, x, under(ctx, 'k_proj')), n.kv_heads), under(ctx, 'k_norm'))
      const v = splitHeads(layer(n.v_proj, x, under(ctx, 'v_proj')), n.kv_heads)
      const y = attend({ q, k, v, scale: n.scale, cap: n.cap, drop: n.attention_dropout }, ctx)
      return layer(n.o_proj, y, under(ctx, 'o_proj'))
    },
  },
}

const normed = (norm: Layer | null, x: Tensor, ctx: Ctx): Tensor => (norm === null ? x : layer(norm, x, ctx))
