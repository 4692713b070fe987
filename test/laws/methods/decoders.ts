import type { KindOptions } from './index.ts'

/** The layers of decoders; heads are plain data as well as dimensions. */
export const decoderKinds: Readonly<Record<string, KindOptions>> = {
  RmsNorm: {},
  TiedHead: {},
  GroupedAttention: {
    dims: { heads: 4, kv_heads: 2, d: [3, 8], head_dim: [1, 4] },
    statics: { heads: 4, kv_heads: 2, scale: 0.5, cap: 3 },
  },
  GatedMlp: {},
}
