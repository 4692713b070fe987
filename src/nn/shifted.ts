import { allZeros, fixed, layer, vector } from '../kind/index.ts'
import type { Kind, Layer, Weight } from '../kind/index.ts'
import { add, mul } from '../ops/index.ts'
import type { Param, Status, Vector } from '../tree/leaf.ts'
import type { WeightWrapper } from '../tree/types/rewrite.ts'
import type { Packed } from '../tree/wrap.ts'
import type { Lora } from '../weight/index.ts'
import type { Linear } from './linear.ts'

/**
 * A layer whose outputs are shifted by a trained vector: layer(x) + scale·shift.
 *
 * The bias of LoRA's B: it adds to what a layer gives, and so is no part of any weight.
 */
export interface Shifted<L extends Layer = Layer, S extends Status = 'trainable'> extends Layer {
  readonly _tag: 'Shifted'
  readonly '~role'?: 'layer'
  readonly base: L
  readonly shift: Vector<S>
  readonly scale: number
}

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly loraBias: WeightWrapper<T> extends true
      ? Keep
      : T extends {
            readonly _tag: 'Linear'
            readonly weight: infer W extends Weight & (Param<Status, 'matrix'> | Packed<'matrix'>)
            readonly bias: infer B
          }
        ? Shifted<Linear<Lora<W>, B>>
        : T extends { readonly _tag: 'Shifted' }
          ? Keep
          : never
  }
}

/** The kind behind `lora` with `bias: true`. */
export const ShiftedKind: Kind<Shifted, 'layer', 'out'> = {
  tag: 'Shifted',
  role: 'layer',
  fields: { shift: vector('out', allZeros), scale: fixed(1) },
  ops: { layer: (n, x, ctx) => add(layer(n.base, x, ctx), mul(n.shift.value, n.scale)) },
}
