import { initialise, shapeOf } from '../kind/index.ts'
import type { Weight } from '../kind/index.ts'
import { ScaledOutputsKind, context } from '../nn/index.ts'
import type { ScaledOutputs } from '../nn/index.ts'
import { scope } from '../ops/index.ts'
import { key } from '../tree/key.ts'
import { Ia3InputsKind, Ia3Kind } from '../weight/index.ts'
import type { Ia3Values } from '../weight/index.ts'
import type { Selector } from '../tree/select.ts'
import { TransformFailure, issue } from '../tree/error.ts'
import { targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import type { Wrapping } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'
import { replaceAt, showPath } from '../tree/walk.ts'
import { formOf, isWrappedWeight, labelOf } from '../tree/wrap.ts'
import { weightMethod } from './attach.ts'
import { targeted } from './targeted.ts'
import { tiedPlaces, weightsOf } from './weight-places.ts'

interface LinearNode {
  readonly _tag: string
  readonly weight: unknown
}

const layers: Taste<LinearNode> = {
  verdict: (node) => {
    const { _tag, weight } = (node ?? {}) as Partial<LinearNode>
    if (_tag === 'ScaledOutputs') return 'adapted'
    if (_tag !== 'Linear' || formOf(weight) !== 'matrix') return 'into'
    return isWrappedWeight(weight) ? 'adapted' : 'take'
  },
  wants: 'a linear layer, whose outputs are scaled with its bias',
  baseOnly: true,
}

const onLayers = targeted<object, 'ia3Layers'>(
  (model, { at }) => {
    const chosen = targets(model, at, layers)
    const issues = tiedPlaces(model, chosen)
    if (issues.length > 0) throw new TransformFailure(issues)
    return scope(() =>
      replaceAt(
        model,
        chosen.map(({ node, route }) => {
          const out = shapeOf(node.weight as Weight, context())[1] ?? 0
          const label = labelOf(node.weight).replace(/(^|\.)[^.]*$/, '')
          const fresh = initialise(ScaledOutputsKind, { out }, key(0), {}, label) as ScaledOutputs
          return { route, value: { ...fresh, base: node } }
        }),
      ),
    )
  },
  { name: 'ia3.layers', options: {} },
)

/** `ia3` for the outputs of weights, and `ia3.inputs` for their inputs, as in the second layer of a feed-forward block. */
export interface Ia3Transform extends Targeted<object, Wrapping<'Ia3', Ia3Values>> {
  readonly inputs: Targeted<object, Wrapping<'Ia3Inputs', Ia3Values>>
  /** The outputs of linear layers as they are given, bias included: l ⊙ (x·W + b), which is what PEFT does. */
  readonly layers: Targeted<object, 'ia3Layers'>
}

/**
 * Scales each output of a weight by a trained factor: W becomes W·diag(scale); `ia3.inputs` scales each input instead.
 *
 * A fresh one changes nothing, bit for bit, for all factors are 1. A bias is not scaled, except by `ia3.layers`, which wraps the
 * layer; on layers without one both compute the same.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `TiedWeight`, `BadOption`, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, ia3, key, pipe, sllm } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(pipe(base, freeze, ia3({ at: ['**.Wk', '**.Wv'] }), ia3.inputs({ at: '**.c_proj' }))).trainable // => 1_280
 * ```
 * @source Liu et al. 2022, "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning", §3.3.
 */
export const ia3: Ia3Transform = Object.assign(
  weightMethod<object, Wrapping<'Ia3', Ia3Values>>('ia3', { kind: Ia3Kind, options: {} }),
  {
    inputs: weightMethod<object, Wrapping<'Ia3Inputs', Ia3Values>>('ia3.inputs', {
      kind: Ia3InputsKind,
      options: {},
    }),
    layers: onLayers,
  },
)

interface Ia3OfRecipes {
  readonly at?: Selector
  readonly inputs?: Selector
  readonly layers?: Selector
}

/** All at once, for recipes: what `at` and `inputs` both name is scaled at its inputs. */
export const ia3OfRecipes =
  ({ at, inputs, layers: whole }: Ia3OfRecipes) =>
  (model: unknown): unknown => {
    if (at === undefined && inputs === undefined && whole === undefined)
      throw new TransformFailure([
        issue(
          'BadOption',
          'ia3',
          '`at`, `inputs` or `layers`, or some of them',
          'none',
          '`at` scales outputs, `inputs` inputs, `layers` outputs with their bias.',
        ),
      ])
    const places = (selector: Selector): readonly string[] =>
      targets(model, selector, weightsOf('matrix')).map((p) => showPath(p.path))
    const scaledAtInputs = inputs === undefined ? [] : places(inputs)
    const scaledAtOutputs = (at === undefined ? [] : places(at)).filter((path) => !scaledAtInputs.includes(path))
    const only = (paths: readonly string[]) => ({ at: (path: string) => paths.includes(path) })
    const half = scaledAtInputs.length === 0 ? model : ia3.inputs.unchecked(only(scaledAtInputs))(model)
    const weights = scaledAtOutputs.length === 0 ? half : ia3.unchecked(only(scaledAtOutputs))(half)
    return whole === undefined ? weights : ia3.layers.unchecked({ at: whole })(weights)
  }
