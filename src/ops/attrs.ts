import type { DropoutAttrs } from './draws.ts'

/* Attributes of ops that kernels below them read as well. */

/** Which of the two factors is read with its last two axes exchanged. */
export type MatmulAttrs = { readonly transposeA: boolean; readonly transposeB: boolean }

/** How attention scores, and which optional inputs follow its own. @internal */
export type AttentionAttrs = DropoutAttrs & {
  readonly scale: number
  readonly cap: number
  readonly masked: boolean
  readonly seeded: boolean
}

/** How the logits come of hidden states, and whether the slopes of the losses are wanted, too. @internal */
export type HeadLossAttrs = {
  readonly ignore: number
  readonly transpose: boolean
  readonly biased: boolean
  readonly cap: number
  readonly slope: boolean
}
