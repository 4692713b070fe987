import type { Weight } from '../kind/index.ts'
import { concat, neg, scope } from '../ops/index.ts'
import { requireSound } from '../tree/labels.ts'
import { withValue } from '../tree/leaf.ts'
import type { Status } from '../tree/leaf.ts'
import { allTargets, targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import type { Targeted, Whole } from '../tree/types/step.ts'
import { replaceAt } from '../tree/walk.ts'
import type { Place } from '../tree/walk.ts'
import { scaleOf } from '../weight/index.ts'
import type { Lora, LoraFrom } from '../weight/index.ts'
import { targeted } from './targeted.ts'

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly toLora: T extends {
      readonly _tag: 'LoraFrom'
      readonly base: infer B extends Weight
      readonly a: { readonly status: infer S extends Status }
    }
      ? Lora<B, S>
      : never
  }
}

const started: Taste<LoraFrom> = {
  verdict: (node) => ((node as { readonly _tag?: unknown } | null)?._tag === 'LoraFrom' ? 'take' : 'into'),
  wants: 'a LoRA that began from a part of its weight',
}

const plain = (w: LoraFrom): Lora => ({
  _tag: 'Lora',
  base: w.base,
  a: withValue(w.a, concat([w.a.value, w.a0.value], 1)),
  b: withValue(w.b, concat([w.b.value, neg(w.b0.value)], 0)),
  // The rank has doubled, the factor has not.
  alpha: scaleOf(w),
  scaling: 'alpha',
  dropout: w.dropout,
})

const convert = (model: unknown, at: readonly Place<LoraFrom>[]): unknown =>
  scope(() =>
    replaceAt(
      model,
      at.map(({ node, route }) => ({ route, value: plain(node) })),
    ),
  )

/** `toLora` itself, and `toLora.only` for some places. */
export interface ToLora {
  <M>(model: M): Whole<M, 'toLora'>
  readonly only: Targeted<unknown, 'toLora'>
}

/**
 * Makes plain LoRA of what `lora` with `init: 'pissa'` or `'olora'` has put on, with the same outputs and twice the rank:
 * A·B − A₀·B₀ = [A | A₀]·[B ; −B₀].
 *
 * For handing an adapter on to what knows plain LoRA only; train before, since afterwards A₀ and B₀ would be trained too.
 *
 * @throws TransformFailure `LabelClash`, `Disposed`, `NotPlain`; (`only`) `NoMatch`, `NotATarget`, `BadSelector`.
 * @example
 * ```ts
 * import { count, get, key, lora, sllm, toLora } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const tuned = lora({ at: 'out_head', rank: 4, init: 'pissa' })(base)
 * const plain = toLora(tuned)
 * get(plain, 'out_head.weight')._tag // => 'Lora'
 * get(plain, 'out_head.weight').a.value.shape // => [128, 8]
 * ```
 * @source Meng et al. 2024, "PiSSA: Principal Singular Values and Singular Vectors Adaptation", appendix on conversion to LoRA.
 */
export const toLora: ToLora = Object.assign(
  <M>(model: M) => {
    requireSound(model)
    return convert(model, allTargets(model, started)) as Whole<M, 'toLora'>
  },
  {
    only: targeted<unknown, 'toLora'>((model, { at }) => convert(model, targets(model, at, started)), {
      name: 'toLora.only',
      options: {},
    }),
  },
)
