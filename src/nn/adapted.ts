import { fixed, layer } from '../kind/index.ts'
import type { Ctx, Kind, Layer, Sublayers } from '../kind/index.ts'
import { add } from '../ops/index.ts'
import { fail } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Keep } from '../tree/types/rewrite.ts'
import { leaves } from '../tree/walk.ts'
import { BottleneckKind } from './bottleneck.ts'
import type { LayerAdapter, Bottleneck } from './bottleneck.ts'
import type { Joined } from './composed.ts'

/**
 * Where an adapter δ stands. With y = base(x), and for a sublayer r, what goes around it, and j(y), what y and r make together:
 * behind its layer, y + δ(y) (`sequential`); beside it, y + δ(x) (`parallel`); given the sum, y + δ(j(y)) (`joined`), or what goes
 * around, y + δ(r) (`residual`); onto the sum, j(y) + δ(j(y)) (`after-norm`), or onto it before its norm, y + r + δ(j(y))
 * (`after-add`).
 */
export type AdapterMode = 'sequential' | 'parallel' | 'joined' | 'residual' | 'after-norm' | 'after-add'

/** What an adapter is added to, and what it is given. */
const placed = (mode: AdapterMode, y: Tensor, x: Tensor, { residual }: Ctx): readonly [Tensor, Tensor] => {
  if (mode === 'sequential') return [y, y]
  if (mode === 'parallel') return [y, x]
  if (residual === undefined)
    return fail({
      _tag: 'NoResidual',
      path: '',
      expected: 'a sublayer whose model tells what goes around it',
      found: `a layer with an adapter of mode ${mode}`,
      hint: 'Put it on an attention or a feed-forward layer, or use the modes sequential and parallel.',
    })
  const { around, join } = residual
  if (mode === 'residual') return [y, around]
  const sum = join(y)
  return [mode === 'joined' ? y : mode === 'after-norm' ? sum : add(y, around), sum]
}

/**
 * A layer with an adapter, in one of the modes.
 *
 * @source Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP", §2.1; in parallel: He et al. 2022, "Towards a
 *   Unified View of Parameter-Efficient Transfer Learning", §3.3.
 */
export interface Adapted<B = Layer, A = Bottleneck> extends Layer {
  readonly _tag: 'Adapted'
  readonly '~role'?: 'layer'
  readonly base: B
  readonly adapter: A
  readonly mode: AdapterMode
}

/** The tag of an attention or a feed-forward layer, or of what ends one. */
export type SublayerTag = keyof Sublayers
type FeedForwardTag = { [T in SublayerTag]: Sublayers[T] extends 'feedForward' ? T : never }[SublayerTag]

/** A node whose role is known to the compiler to be that of a layer. */
type IsLayer<T> = '~role' extends keyof T
  ? T extends { readonly _tag: string; readonly '~role'?: 'layer' }
    ? true
    : false
  : false

/** A sublayer with an adapter; where an output ends it, the adapter stands behind the output's dense. */
type AdaptedAt<T, Tag extends string> = T extends { readonly _tag: Tag }
  ? T extends { readonly dense: infer D; readonly '~role'?: 'output' }
    ? D extends { readonly _tag: 'Adapted' }
      ? Keep
      : { readonly [K in keyof T]: K extends 'dense' ? Adapted<D> : T[K] }
    : Adapted<T>
  : T extends { readonly _tag: 'Adapted'; readonly base: { readonly _tag: Tag } }
    ? Keep
    : never

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    /** After attention and feed-forward layers. */
    readonly houlsby: AdaptedAt<T, SublayerTag>
    /** At feed-forward layers only. */
    readonly feedForward: AdaptedAt<T, FeedForwardTag>
    readonly join: T extends {
      readonly _tag: 'Adapted'
      readonly base: infer B
      readonly adapter: infer A extends LayerAdapter
    }
      ? Adapted<B, Joined<A>>
      : never
    /** At the layers that are named. */
    readonly bottleneck: '~adapter' extends keyof T
      ? Keep
      : T extends { readonly _tag: 'Adapted' }
        ? Keep
        : IsLayer<T> extends true
          ? Adapted<T>
          : never
  }
}

/** The kind behind every layer with an adapter. */
export const AdaptedKind: Kind<Adapted<Layer, LayerAdapter>, 'layer', 'in' | 'width' | 'out'> = {
  tag: 'Adapted',
  role: 'layer',
  fields: {
    adapter: {
      _tag: 'NodeField',
      kind: BottleneckKind,
      dims: { in: 'in', width: 'width', out: 'out' },
      statics: {},
    },
    mode: fixed('sequential'),
  },
  ops: {
    layer: (n, x, ctx) => {
      const y = layer(n.base, x, ctx)
      const [onto, given] = placed(n.mode, y, x, ctx)
      const change = layer(n.adapter, given, ctx)
      // An adapter of width 1 would be repeated over every feature in silence.
      if (change.shape.join() !== y.shape.join())
        fail({
          _tag: 'ShapeMismatch',
          path: leaves(n.adapter)[0]?.label ?? '',
          expected: `an adapter that gives [${y.shape.join(', ')}], as its layer does`,
          found: `[${change.shape.join(', ')}]`,
          hint: 'Give `bottleneck` the width of the layer, { width }, where its weights do not tell it.',
        })
      return add(onto, change)
    },
  },
}
