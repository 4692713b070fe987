import {
  BottleneckKind,
  LinearKind,
  bitfit,
  bottleneck,
  define,
  freeze,
  key,
  layer,
  linear,
  lora,
  norm,
  norms,
  pipe,
} from '../../../src/index.ts'
import { leafPlaces, sllm } from '../../../src/index.ts'
import {
  commutesOnDisjoint,
  deterministicForKey,
  frozenStaysFrozen,
  gradientOfTrainablesOnly,
  marking,
  subtreeEqualsWhole,
} from '../../../src/laws/index.ts'
import type { AnyTransform, Declaration } from '../../../src/laws/index.ts'
import { relu } from '../../../src/ops/index.ts'
import { Net, Plain } from '../row.ts'
import type { Row } from '../row.ts'
import { compositionLaws, standsWhereItSays } from './bottleneck-laws.ts'
import type { KindOptions } from './index.ts'

/** A layer of a user's own, with a norm before its weights and an output that is wider than its input. */
const Gate = define('Gate', { norm: norm('d'), open: linear('d', 'e'), close: linear('e', 'e') }, (n, x, ctx) =>
  layer(n.close, relu(layer(n.open, layer(n.norm, x, ctx), ctx)), ctx),
)

/** A model of such layers. */
const Gated = define(
  'Gated',
  { first: Gate.field({ d: 'in', e: 'hidden' }), last: linear('hidden', 'out') },
  (n, x, ctx) => layer(n.last, layer(n.first, x, ctx), ctx),
)

/** A model of one layer, whose outputs are easily written down. */
export const Solo = define('Solo', { fc: linear('d', 'd') }, (n, x, ctx) => layer(n.fc, x, ctx))

const adapting: Partial<Declaration> = { merge: 'none' }

/** d·b + b + b·e + e (+ 1) with b = max(1, ⌊d / reduction⌋), for each place of so many inputs and outputs. */
const counted =
  (places: (model: unknown) => readonly (readonly [d: number, e: number])[], reduction: number, learned = false) =>
  (model: unknown): number =>
    places(model).reduce((n, [d, e]) => {
      const b = Math.max(1, Math.floor(d / reduction))
      return n + d * b + b + b * e + e + (learned ? 1 : 0)
    }, 0)

/** The [in, out] of the weights at paths that end so. */
const shapes =
  (end: RegExp) =>
  (model: unknown): readonly (readonly [number, number])[] =>
    leafPlaces(model)
      .filter((p) => end.test(p.path.join('.')))
      .map((p) => [p.node.value.shape[0]!, p.node.value.shape[1]!])

/** As many inputs as outputs, behind these weights. */
const behind =
  (end: RegExp) =>
  (model: unknown): readonly (readonly [number, number])[] =>
    shapes(end)(model).map(([, out]) => [out, out])

const onNet = { on: Net } as const
const onSllm = { on: sllm } as const

const steps =
  (...all: readonly AnyTransform[]): AnyTransform =>
  (model) =>
    all.reduce<unknown>((m, step) => step(m as never), model)

const named = bottleneck.at({ at: ['**.fc1', '**.square'], reduction: 2, key: key(3) })

const placements: readonly Row[] = [
  {
    name: 'bottleneck after attention and MLP',
    covers: ['bottleneck'],
    transform: bottleneck({ placement: 'houlsby', reduction: 2 }),
    ...onSllm,
    declare: {
      ...adapting,
      touches: ['**.mha', '**.mlp'],
      adds: counted(behind(/(projection_out|c_proj)\.weight$/), 2),
    },
  },
  {
    name: 'bottleneck after MLP, its factor learned',
    covers: [],
    transform: bottleneck({ placement: 'pfeiffer', reduction: 3, scaling: 'learned', activation: 'gelu' }),
    ...onSllm,
    declare: { ...adapting, touches: '**.mlp', adds: counted(behind(/c_proj\.weight$/), 3, true) },
    also: [commutesOnDisjoint(freeze.only({ at: '**.mha' })), commutesOnDisjoint(lora({ at: '**', rank: 2 }))],
  },
  {
    name: 'bottleneck beside MLP, wider than the layer',
    covers: [],
    transform: bottleneck({ placement: 'parallel', reduction: 0.5, activation: 'tanh' }),
    ...onSllm,
    declare: { ...adapting, touches: '**.mlp', adds: counted(shapes(/c_proj\.weight$/), 0.5) },
  },
]

const explicit: readonly Row[] = [
  ...(['sequential', 'parallel'] as const).map((mode): Row => ({
    name: `bottleneck.at, ${mode}, in plain numbers`,
    covers: [],
    transform: bottleneck.at({ at: 'fc', mode, reduction: 2, scaling: mode === 'parallel' ? 'learned' : 3 }),
    on: Solo,
    declare: { ...adapting, touches: 'fc' },
    also: [standsWhereItSays],
  })),
  {
    name: 'bottleneck.at, behind layers',
    covers: [],
    transform: named,
    ...onNet,
    declare: { ...adapting, touches: ['**.fc1', '**.square'], adds: counted(behind(/(fc1|square)\.weight$/), 2) },
    also: [
      deterministicForKey((k) => bottleneck.at({ at: '**.fc1', reduction: 0.25, key: k })),
      commutesOnDisjoint(lora({ at: '**.fc2', rank: 2 })),
      commutesOnDisjoint(bottleneck.at({ at: '**.fc2' })),
    ],
  },
  {
    name: 'bottleneck.at, beside a layer of other outputs than inputs',
    covers: [],
    transform: bottleneck.at({ at: '**.fc1', mode: 'parallel', activation: 'silu', scaling: -0.5 }),
    ...onNet,
    declare: { ...adapting, touches: '**.fc1', adds: counted(shapes(/fc1\.weight$/), 2) },
  },
  {
    name: 'bottleneck.at on a layer of a user’s own',
    covers: [],
    transform: bottleneck.at({ at: 'first', mode: 'parallel', reduction: 1, scaling: 'learned' }),
    on: Gated,
    declare: { ...adapting, touches: 'first' },
    also: [
      subtreeEqualsWhole(
        'first',
        (m: never) =>
          (
            bottleneck.at({ at: 'first', mode: 'parallel', reduction: 1, scaling: 'learned' })({
              first: m,
            } as never) as unknown as { first: unknown }
          ).first,
      ),
    ],
  },
  {
    name: 'bottleneck.at on a norm, and on whole blocks',
    covers: [],
    transform: steps(
      bottleneck.at({ at: '**.final_norm', reduction: 2 }),
      bottleneck.at({ at: 'transformer_blocks.*', reduction: 2 }),
    ),
    ...onSllm,
    declare: { ...adapting, touches: ['final_norm', 'transformer_blocks'] },
  },
]

const two = bottleneck.at({ at: 'square', reduction: 2 })
const joinedBy = (as: 'stack' | 'average' | 'fuse'): AnyTransform =>
  steps(
    two,
    bottleneck.join({ as, reduction: 2, name: 'b', activation: 'tanh' }),
    bottleneck.join({ as, name: 'c', reduction: 1 }),
  )

const composed: readonly Row[] = [
  ...(['stack', 'average', 'fuse'] as const).map((as): Row => ({
    name: `three bottlenecks in one place, as ${as}`,
    covers: [],
    transform: joinedBy(as),
    ...onNet,
    also: as === 'stack' ? compositionLaws : [],
    declare: {
      ...adapting,
      touches: 'square',
      adds: (model) => {
        const at = behind(/square\.weight$/)
        const projections = as === 'fuse' ? 3 * at(model)[0]![0] ** 2 : 0
        return 2 * counted(at, 2)(model) + counted(at, 1)(model) + projections
      },
    },
  })),
  {
    name: 'a bottleneck joins those of the SLLM, another composition around',
    covers: [],
    transform: steps(
      bottleneck({ placement: 'pfeiffer', reduction: 2 }),
      bottleneck.join({ as: 'average', weights: [1, 3], reduction: 2, name: 'b' }),
      bottleneck.join({ as: 'stack', reduction: 2, name: 'c' }),
    ),
    ...onSllm,
    declare: adapting,
  },
]

const together: readonly Row[] = [
  {
    name: 'LoRA, then bottleneck',
    covers: [],
    transform: steps(lora({ at: '**', rank: 2 }), named),
    on: Plain,
    declare: { merge: 'exact' },
  },
  {
    name: 'bottleneck, then LoRA, which keeps out of the adapters',
    covers: [],
    transform: steps(named, lora({ at: '**', rank: 2 })),
    on: Plain,
    declare: { merge: 'exact' },
  },
  {
    name: 'freeze, then bottleneck and LoRA beside it',
    covers: [],
    transform: steps(bottleneck({ placement: 'houlsby', reduction: 2 }), lora({ at: '**.Wq', rank: 2 })),
    ...onSllm,
    given: freeze,
    declare: { merge: 'exact' },
  },
]

const trains = [frozenStaysFrozen, gradientOfTrainablesOnly]

const marks: readonly Row[] = [
  {
    name: 'bitfit',
    covers: ['bitfit'],
    transform: bitfit(),
    ...onNet,
    given: freeze,
    declare: { ...marking, touches: ['**.bias', '**.shift'], adds: () => 0 },
    also: [...trains, commutesOnDisjoint(norms())],
  },
  {
    name: 'bitfit in part',
    covers: [],
    transform: bitfit({ at: '**.fc1' }),
    ...onNet,
    given: freeze,
    declare: { ...marking, touches: 'fc1.bias' },
    also: [...trains, commutesOnDisjoint(bitfit({ at: 'fc2' })), subtreeEqualsWhole('fc1', bitfit())],
  },
  {
    name: 'norms',
    covers: ['norms'],
    transform: norms(),
    ...onNet,
    given: freeze,
    declare: { ...marking, touches: 'norm', adds: () => 0 },
    also: [...trains, commutesOnDisjoint(bitfit({ at: '**.fc1' }))],
  },
  {
    name: 'norms of the SLLM, in part',
    covers: [],
    transform: norms({ at: 'transformer_blocks' }),
    ...onSllm,
    given: freeze,
    declare: { ...marking, touches: ['**.ln1', '**.ln2'] },
    also: trains,
  },
  {
    name: 'bottleneck, then bitfit and norms',
    covers: [],
    transform: (model: never) =>
      pipe(
        model,
        bottleneck.at.unchecked({ at: '**.fc1' }),
        bitfit.unchecked({ at: '**' }),
        norms.unchecked({ at: '**' }),
      ),
    ...onNet,
    given: freeze,
    // What detach gives back has trained biases.
    laws: [...trains],
  },
]

export const bottleneckRows: readonly Row[] = [...placements, ...explicit, ...composed, ...together, ...marks]

const square = { in: 4, out: 4, width: [1, 3], others: 1 } as const

export const bottleneckKinds: Readonly<Record<string, KindOptions>> = {
  Bottleneck: { statics: { activation: 'gelu', scaling: 0.5 } },
  Adapted: { base: LinearKind, dims: { in: 4, out: 4 }, statics: { mode: 'sequential' } },
  AdapterStack: { base: BottleneckKind, dims: square },
  AdapterAverage: { base: BottleneckKind, dims: { others: 1 }, statics: { weights: [0.25, 0.75] } },
  // Rows of one batch go to several adapters, so that of two a batch run in parts is not the batch; test/nn has that.
  AdapterParallel: { base: BottleneckKind, statics: { others: [] } },
  AdapterFusion: { base: BottleneckKind, dims: { others: 1 } },
}
