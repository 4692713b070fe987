import * as t from 'io-ts'
import type { Layer } from '../kind/index.ts'
import { averageOf, fuseOf, parallelOf, stackOf } from '../nn/compose.ts'
import { partsOf } from '../nn/composed.ts'
import type { Adapted, LayerAdapter, AdapterMode, Bottleneck, Composed } from '../nn/index.ts'
import type { Widths } from '../nn/width.ts'
import { scope } from '../ops/index.ts'
import type { Issue } from '../tree/error.ts'
import { targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import type { Step, Targeted } from '../tree/types/step.ts'
import { leaves, replaceAt } from '../tree/walk.ts'
import type { Place } from '../tree/walk.ts'
import {
  bottleneckAt,
  common,
  defaults,
  defined,
  issue,
  labelAt,
  requireNone,
  sizeIssues,
  tagOf,
  widthsAt,
} from './bottleneck-place.ts'
import type { AdapterOptions, AtAll } from './bottleneck-place.ts'
import { may, must, oneOf } from './options.ts'
import { targeted } from './targeted.ts'

/** The ways adapters are composed. */
export type Composing = 'stack' | 'average' | 'parallel' | 'fuse'

/** How another adapter joins those that are there. */
export interface JoinOptions extends AdapterOptions {
  readonly as: Composing
  /** Of an average: a weight for each adapter, the new one last; by default all equal. */
  readonly weights?: readonly number[]
}

/** `bottleneck.join` for every layer that has an adapter, or for those a selector names. */
export interface Join extends Targeted<JoinOptions, 'join'> {
  (options: JoinOptions & { readonly at?: undefined }): Step<'**', 'join'>
}

const adaptedLayers: Taste<Adapted<Layer, LayerAdapter>> = {
  verdict: (node) => (tagOf(node) === 'Adapted' ? 'take' : 'into'),
  wants: 'a layer with an adapter',
  baseOnly: true,
}

type Nonempty = readonly [LayerAdapter, ...LayerAdapter[]]

const ways: Readonly<Record<Composing, (parts: Nonempty, o: JoinOptions, label: string) => LayerAdapter>> = {
  stack: (parts) => stackOf(...parts),
  average: (parts, { weights }) => averageOf(parts, weights),
  parallel: (parts) => parallelOf(...parts),
  fuse: (parts, { key }, label) => fuseOf(parts, { label, ...(key && { key }) }),
}

const tags: Readonly<Record<Composing, string>> = {
  stack: 'AdapterStack',
  average: 'AdapterAverage',
  parallel: 'AdapterParallel',
  fuse: 'AdapterFusion',
}

/** The adapter that is there and the new one as one; one of the same composition gets a part more. */
const joined = (there: LayerAdapter, one: Bottleneck, options: JoinOptions, label: string): LayerAdapter => {
  if (there._tag !== tags[options.as]) return ways[options.as]([there, one], options, label)
  const more = there as Composed
  // The attention of a fusion stays what it has learned.
  if (options.as === 'fuse') return { ...more, others: [...more.others, one] } as LayerAdapter
  return ways[options.as]([...partsOf(more), one] as unknown as Nonempty, options, label)
}

const joinIssues = (
  place: Place<Adapted<Layer, LayerAdapter>>,
  widths: Widths | undefined,
  o: JoinOptions,
): readonly Issue[] => {
  const { name = '', as } = o
  const own = labelAt(place, name)
  const taken = leaves(place.node.adapter).some(({ label }) => label === `${own}.down.weight`)
  return [
    ...(taken
      ? [issue('AlreadyAdapted', place, 'a name of its own', `another adapter "${name}"`, 'Give it a name, { name }.')]
      : []),
    ...(as === 'stack' && widths !== undefined && widths.in !== widths.out
      ? [
          issue(
            'ShapeMismatch',
            place,
            'as many outputs as inputs',
            `${widths.in} and ${widths.out}`,
            'Join otherwise.',
          ),
        ]
      : []),
  ]
}

/** Another adapter beside those that are there. */
export const join: Join = targeted<JoinOptions, 'join'>(
  (model, { at = '**', ...options }: AtAll<JoinOptions>) => {
    const chosen = targets(model, at, adaptedLayers)
    const sized = chosen.map((place) => ({ place, widths: widthsAt(place, place.node.mode, options.width) }))
    const usual = (mode: AdapterMode) => defaults[mode === 'parallel' ? 'parallel' : 'pfeiffer']
    requireNone(
      sized.flatMap(({ place, widths }) => [
        ...joinIssues(place, widths, options),
        ...sizeIssues(place, widths, options.reduction ?? usual(place.node.mode).reduction),
      ]),
    )
    return scope(() =>
      replaceAt(
        model,
        sized.map(({ place, widths }) => {
          const { node, route } = place
          const one = bottleneckAt(place, widths!, { ...usual(node.mode), ...defined(options) })
          return { route, value: { ...node, adapter: joined(node.adapter, one, options, labelAt(place, 'fusion')) } }
        }),
      ),
    )
  },
  {
    name: 'bottleneck.join',
    options: {
      as: must(oneOf('stack', 'average', 'parallel', 'fuse')),
      weights: may(t.readonlyArray(t.number)),
      ...common,
    },
  },
) as Join
