import { materialize } from '../kind/index.ts'
import type { Kinds, Weight } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import { read, scope } from '../ops/index.ts'
import { requireSound } from '../tree/labels.ts'
import { allTargets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import type { WeightWrapper } from '../tree/types/rewrite.ts'
import type { Whole } from '../tree/types/step.ts'
import { replaceAt, showPath } from '../tree/walk.ts'
import { innermost, isWrappedWeight, labelOf } from '../tree/wrap.ts'
import type { Packed } from '../tree/wrap.ts'
import { isQuantized, quantizeValues, schemeOf } from '../weight/quantized.ts'
import type { Quantized } from '../weight/index.ts'

type Innermost<T> = T extends { readonly base: infer B } ? Innermost<B> : T

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly requantize: WeightWrapper<T> extends true
      ? Innermost<T> extends infer W extends Packed
        ? W
        : Keep
      : never
  }
}

/** What quantising one merged weight again has cost; norms are Frobenius norms. */
export interface Requantized {
  readonly path: string
  /** ‖new − merged‖ / ‖merged‖. */
  readonly error: number
  /** ‖Δ‖ / ‖old‖ for the change Δ = merged − old that the adapters had made. */
  readonly change: number
  /** How much of the change is left, ⟨new − old, Δ⟩ / ⟨Δ, Δ⟩: 1 is all of it, near 0 says that it was rounded away. */
  readonly kept: number
}

const wrapped: Taste<Weight> = {
  verdict: (node) => (isWrappedWeight(node) ? (isQuantized(innermost(node)) ? 'take' : 'pass') : 'into'),
  wants: 'an adapted weight in few bits',
}

const measured = (path: string, old: ArrayLike<number>, merged: ArrayLike<number>, now: ArrayLike<number>) => {
  let [wrong, whole, before, change, left] = [0, 0, 0, 0, 0]
  for (let i = 0; i < merged.length; i++) {
    const delta = merged[i]! - old[i]!
    wrong += (now[i]! - merged[i]!) ** 2
    whole += merged[i]! ** 2
    before += old[i]! ** 2
    change += delta ** 2
    left += (now[i]! - old[i]!) * delta
  }
  const ratio = (a: number, b: number): number => (b === 0 ? 0 : a / b)
  return {
    path,
    error: Math.sqrt(ratio(wrong, whole)),
    change: Math.sqrt(ratio(change, before)),
    kept: change === 0 ? 1 : left / change,
  }
}

/**
 * Merges adapters into weights in few bits and quantises the result as the weight was: lossy, and the loss is reported.
 *
 * Small changes mostly fall between two codes and are rounded away: `merge` gives the exact, dense result, and keeping the
 * adapter beside the codes costs least. Adapters on dense weights stay. `own` are kinds of one's own, by tag.
 *
 * @throws TransformFailure `LabelClash`, `Disposed`, `NotPlain`, `NonFinite`.
 * @example
 * ```ts
 * import { key, lora, pipe, quantize, requantize, sllm } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const tuned = pipe(base, quantize({ at: 'out_head' }), lora({ at: 'out_head', rank: 2 }))
 * const { model, weights } = requantize(tuned)
 * model.out_head.weight._tag // => 'Nf4'
 * weights[0]?.path // => 'out_head.weight'
 * weights[0]?.error // => 0
 * ```
 */
export const requantize = <M>(
  model: M,
  own: Kinds = {},
): { readonly model: Whole<M, 'requantize'>; readonly weights: readonly Requantized[] } => {
  requireSound(model)
  const ctx = context({ kinds: own })
  const made = scope(() => {
    const all = allTargets(model, wrapped).map(({ node, path, route }) => {
      const base = innermost(node) as Quantized
      const merged = scope(() => ({ value: materialize(node, ctx) }))
      const value = quantizeValues(merged.value, { form: base.form, label: labelOf(base) }, schemeOf(base))
      const [before, whole, after] = scope(() =>
        [materialize(base, ctx), merged.value, materialize(value, ctx)].map((dense) => read(dense)),
      )
      return { edit: { route, value }, report: measured(showPath(path), before!, whole!, after!) }
    })
    return {
      model: replaceAt(
        model,
        all.map(({ edit }) => edit),
      ),
      weights: all.map(({ report }) => report),
    }
  })
  requireSound(made.model)
  return made as never
}
