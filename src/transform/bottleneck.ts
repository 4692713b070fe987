import type { Either } from 'fp-ts/lib/Either.js'
import type { Layer, Sublayer } from '../kind/index.ts'
import { averageOf, fuseOf, parallelOf, stackOf } from '../nn/compose.ts'
import type { Adapted, AdapterMode } from '../nn/index.ts'
import { scope } from '../ops/index.ts'
import type { Issue } from '../tree/error.ts'
import { targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import type { Globs } from '../tree/types/paths.ts'
import type { After, AtOption, Legal, Step, Targeted } from '../tree/types/step.ts'
import { places, replaceAt } from '../tree/walk.ts'
import type { Place } from '../tree/walk.ts'
import { innermost, isPacked, isWrappedWeight } from '../tree/wrap.ts'
import { join } from './bottleneck-join.ts'
import type { Join } from './bottleneck-join.ts'
import {
  bottleneckAt,
  common,
  defaults,
  defined,
  issue,
  requireNone,
  sizeIssues,
  tagOf,
  widthsAt,
} from './bottleneck-place.ts'
import type { AdapterOptions, AtAll, Made } from './bottleneck-place.ts'
import type { Widths } from '../nn/width.ts'
import { kindOf } from './known.ts'
import { may, must, oneOf } from './options.ts'
import { targeted } from './targeted.ts'

/** The placements of the literature: after attention and MLP, after MLP, beside MLP. */
export type Placement = 'houlsby' | 'pfeiffer' | 'parallel'

/** How bottleneck adapters are put where the literature has them. */
export interface PlacementOptions<P extends Placement = Placement> extends AdapterOptions {
  readonly placement: P
}

/** How bottleneck adapters are put at layers that are named. */
export interface LayerOptions extends AdapterOptions {
  /** Behind the layer (the default), or beside it. */
  readonly mode?: 'sequential' | 'parallel'
}

/** What an adapter of a sublayer stands behind: the sublayer itself, or the dense of the output that ends it. */
const endOf = (place: Place): Place<Layer> =>
  kindOf(place.node)?.role === 'output'
    ? {
        node: (place.node as { readonly dense: Layer }).dense,
        path: [...place.path, 'dense'],
        route: [...place.route, 'dense'],
      }
    : (place as Place<Layer>)

/** A taste for sublayers; one that has an adapter is adapted. */
const sublayersOf = (which: readonly Sublayer[], wants: string): Taste<Layer> => {
  const isOne = (node: unknown): boolean => which.some((one) => kindOf(node)?.sublayer === one)
  const isAdapted = (node: unknown): boolean => tagOf(node) === 'Adapted'
  return {
    verdict: (node) => {
      if (isAdapted(node)) return isOne(innermost(node)) ? 'adapted' : 'into'
      if (!isOne(node)) return 'into'
      return isAdapted(endOf({ node, path: [], route: [] }).node) ? 'adapted' : 'take'
    },
    wants,
    baseOnly: true,
  }
}

const feedForward = sublayersOf(['feedForward'], 'an MLP')
const sublayers = sublayersOf(['attention', 'feedForward'], 'an attention layer or an MLP')

/** A taste for any layer below the root, which is what a pattern can name. */
const layersOf = (root: unknown): Taste<Layer> => ({
  verdict: (node) => {
    const tag = (node as { _tag?: unknown } | null)?._tag
    if (tag === 'Adapted') return 'adapted'
    if (isPacked(node) || isWrappedWeight(node)) return 'pass'
    if (typeof tag !== 'string' || node === root) return 'into'
    return (kindOf(node)?.role ?? 'layer') === 'layer' ? 'take' : 'into'
  },
  wants: 'a layer',
  baseOnly: true,
})

// What takes token ids gives nothing that an adapter could be given.
const embedIssues = (place: Place): readonly Issue[] =>
  [...places(place.node)].some((p) => kindOf(p.node)?.role === 'embed')
    ? [issue('NotATarget', place, 'a layer', `${tagOf(place.node)}, which has an embedding`, 'Name a layer in it.')]
    : []

/** A layer that gets an adapter, and how. */
type Chosen = readonly [place: Place<Layer>, mode: AdapterMode]

const wrapAt = (model: unknown, chosen: readonly Chosen[], options: Made): unknown => {
  const sized = chosen.map(([place, mode]) => ({ place, mode, widths: widthsAt(place, mode, options.width) }))
  requireNone(sized.flatMap(({ place, widths }) => sizeIssues(place, widths, options.reduction)))
  return scope(() => {
    // One layer in two places is adapted once: its adapter stands in both.
    const made = new Map<Layer, Adapted>()
    const adapted = (place: Place<Layer>, mode: AdapterMode, widths: Widths): Adapted => {
      const known = made.get(place.node)
      const value: Adapted = known ?? {
        _tag: 'Adapted',
        base: place.node,
        adapter: bottleneckAt(place, widths, options),
        mode,
      }
      made.set(place.node, value)
      return value
    }
    return replaceAt(
      model,
      sized.map(({ place, mode, widths }) => ({ route: place.route, value: adapted(place, mode, widths!) })),
    )
  })
}

/** Behind what a placement names, or beside it: beside an output, that is to be given what goes around it. */
const chosenFor = (placement: Placement, place: Place<Layer>): Chosen => {
  const end = endOf(place)
  if (placement !== 'parallel') return [end, 'sequential']
  return [end, end === place ? 'parallel' : 'residual']
}

const placed = targeted<PlacementOptions, 'houlsby'>(
  (model, { placement, at = '**', ...options }: AtAll<PlacementOptions>) =>
    wrapAt(
      model,
      targets(model, at, placement === 'houlsby' ? sublayers : feedForward).map((p) => chosenFor(placement, p)),
      { ...defaults[placement], ...defined(options) },
    ),
  { name: 'bottleneck', options: { placement: must(oneOf('houlsby', 'pfeiffer', 'parallel')), ...common } },
)

const atLayers = targeted<LayerOptions, 'bottleneck'>(
  (model, { at, mode = 'sequential', ...options }) => {
    const chosen = targets(model, at, layersOf(model))
    requireNone(chosen.flatMap(embedIssues))
    const usual = defaults[mode === 'parallel' ? 'parallel' : 'pfeiffer']
    return wrapAt(
      model,
      chosen.map((place) => [place, mode]),
      { ...usual, ...defined(options) },
    )
  },
  { name: 'bottleneck.at', options: { mode: may(oneOf('sequential', 'parallel')), ...common } },
)

/** What a placement is to the compiler. */
type MethodOf<P> = [P] extends ['pfeiffer' | 'parallel'] ? 'feedForward' : 'houlsby'

/** The patterns that surely apply; of a placement that is known at run time only, none does. */
type Sure<P, G extends string> = [P] extends ['houlsby'] ? G : [P] extends ['pfeiffer' | 'parallel'] ? G : string

/** `bottleneck` by placement, `bottleneck.at` for layers that are named, `bottleneck.join` for one adapter more. */
export interface BottleneckTransform {
  <M, const P extends Placement, const G extends Globs<M, MethodOf<P>>>(
    options: PlacementOptions<P> & { readonly at: G | readonly G[] },
  ): (model: M) => After<M, Sure<P, G>, MethodOf<P>>
  <const P extends Placement, const G extends string = string>(
    options: PlacementOptions<P> & AtOption<G>,
  ): Step<Sure<P, G>, MethodOf<P>>
  <const P extends Placement>(
    options: PlacementOptions<P> & { readonly at?: undefined },
  ): Step<Sure<P, '**'>, MethodOf<P>>
  /** The same with mistakes as a value. */
  readonly either: <const P extends Placement, const G extends string = string>(
    options: PlacementOptions<P> & AtOption<G>,
  ) => <M>(model: M & Legal<M, G, MethodOf<P>>) => Either<readonly Issue[], After<M, Sure<P, G>, MethodOf<P>>>
  /** The same without the check of its patterns by the compiler; the run time still checks them. */
  readonly unchecked: <const P extends Placement, const G extends string = string>(
    options: PlacementOptions<P> & AtOption<G>,
  ) => <M>(model: M) => After<M, Sure<P, G>, MethodOf<P>>
  /** The same at layers that are named, of whatever kind. */
  readonly at: Targeted<LayerOptions, 'bottleneck'>
  /** Another adapter beside those that are there, composed with them. */
  readonly join: Join
  /** Adapters one after the other; a stack of stacks is one stack. */
  readonly stack: typeof stackOf
  /** The weighted mean of adapters; weights are divided by their sum, once. */
  readonly average: typeof averageOf
  /** Adapters side by side, each for its own equal part of the batch. */
  readonly parallel: typeof parallelOf
  /** Attention over adapters: AdapterFusion. */
  readonly fuse: typeof fuseOf
}

/**
 * Puts bottleneck adapters on layers: `houlsby` after attention and MLP, `pfeiffer` after MLP, `parallel` beside MLP.
 *
 * In BERT and RoBERTa they stand at the dense of what ends each sublayer, before the sum and its norm. A fresh one adds
 * nothing, as its up-projection is zero. Per place there are d·b + b + b·d + d parameters with
 * b = max(1, ⌊d / reduction⌋), and one more for a learned scaling. `bottleneck.at` puts them at any layer that is named,
 * `bottleneck.join` composes one more with those that are there; `stack`, `average`, `parallel` and `fuse` compose adapters.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `NoWidth` for a layer whose weights do not tell its width,
 *   `BadDimension`, `BadOption`, `ShapeMismatch` (`join`), `BadSelector`, `LabelClash`.
 * @example
 * ```ts
 * import { bottleneck, count, freeze, pipe, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(pipe(base, freeze, bottleneck({ placement: 'houlsby' }))).trainable // => 8_736
 * const named = bottleneck.at({ at: '**.c_proj', mode: 'parallel', reduction: 4, scaling: 'learned' })
 * count(pipe(base, freeze, named)).trainable // => 16_706
 * const two = pipe(base, bottleneck({ placement: 'pfeiffer' }), bottleneck.join({ as: 'stack', name: 'task' }))
 * two.transformer_blocks[0]!.mlp.adapter._tag // => 'AdapterStack'
 * ```
 * @source Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP", §2.1; Pfeiffer et al. 2021, "AdapterFusion", §3;
 *   He et al. 2022, "Towards a Unified View of Parameter-Efficient Transfer Learning", §3.3.
 */
export const bottleneck: BottleneckTransform = Object.assign(placed, {
  at: atLayers,
  join,
  stack: stackOf,
  average: averageOf,
  parallel: parallelOf,
  fuse: fuseOf,
}) as never
