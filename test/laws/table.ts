import { attach, detach, freeze, key, lora, materialize, merge, prompt, sllm } from '../../src/index.ts'
import { allOnes, applyRecipe, trainableOf, unfreeze, variant, vector } from '../../src/index.ts'
import type { PromptOptions } from '../../src/index.ts'
import type { AnyTransform } from '../../src/laws/index.ts'
import {
  adapter,
  commutesOnDisjoint,
  deterministicForKey,
  frozenStaysFrozen,
  gradientOfTrainablesOnly,
  lawsFor,
  lossCountsRealTokens,
  marking,
  mergeIs,
  merging,
  prompting,
  subtreeEqualsWhole,
} from '../../src/laws/index.ts'
import { mul } from '../../src/ops/index.ts'
import { methodRows } from './methods/index.ts'
import { Net, Plain } from './row.ts'
import type { Row } from './row.ts'

/** A weight variant of a user's own. */
export const Scaled = variant('Scaled', {
  fields: { scale: vector('out', allOnes) },
  materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
})

const weights = (at: string, rank: number): Partial<Row> => ({ declare: { touches: at, adds: loraCount(at, rank) } })

// rank × (in + out) for each weight that the pattern names; tied places are refused, so each counts once.
const loraCount =
  (at: string, rank: number) =>
  (model: unknown): number =>
    Object.values(trainableOf(model))
      .filter((p) => p.form === 'matrix' && matches(at, p.label))
      .reduce((n, p) => n + rank * (p.value.shape[0]! + p.value.shape[1]!), 0)

const matches = (pattern: string, label: string): boolean =>
  pattern === '**' || `${label}.`.includes(`${pattern.replace('**.', '')}.`)

const onNet = { on: Net } as const
const quick = { on: sllm } as const

const random = lora({ at: '**.fc1', rank: 3, key: key(3) })
const scaled = attach(Scaled)
const recipe = [
  { freeze: {} },
  { lora: { at: '**.fc1', rank: 2, alpha: 4, scaling: 'alpha/rank' } },
  { unfreeze: { at: 'fc2' } },
]

const loraRows: readonly Row[] = [
  { name: 'lora', covers: ['lora'], transform: lora({ at: '**.fc1', rank: 2 }), ...onNet, ...weights('**.fc1', 2) },
  {
    name: 'lora of rank 1, alpha/rank',
    covers: [],
    transform: lora({ at: '**.square', rank: 1, alpha: 0.5, scaling: 'alpha/rank' }),
    ...onNet,
    ...weights('**.square', 1),
  },
  {
    name: 'lora of rank above min(in, out), alpha/rank',
    covers: [],
    transform: lora({ at: '**', rank: 12, alpha: 3, scaling: 'alpha/rank' }),
    on: Plain,
    dims: { in: [1, 8], hidden: [1, 8], out: [1, 8] },
    ...weights('**', 12),
  },
  {
    name: 'lora of full rank, alpha/sqrt(rank)',
    covers: [],
    transform: lora({ at: '**', rank: 4, alpha: 0.5, scaling: 'alpha/sqrt(rank)' }),
    on: Net,
    dims: { in: 4, hidden: 4, out: 4 },
    ...weights('**', 4),
  },
  {
    name: 'lora, alpha/sqrt(rank) with a factor that is not dyadic',
    covers: [],
    transform: lora({ at: '**', rank: 3, alpha: 0.7, scaling: 'alpha/sqrt(rank)' }),
    ...onNet,
    ...weights('**', 3),
  },
  {
    name: 'lora on all linear layers of the SLLM',
    covers: [],
    transform: lora({ at: '**', rank: 2, alpha: 2 }),
    ...quick,
  },
  {
    name: 'lora on one block of the SLLM',
    covers: [],
    transform: lora({ at: 'transformer_blocks.{0..0}.mlp', rank: 2 }),
    ...quick,
    declare: { touches: 'transformer_blocks.0.mlp' },
  },
  {
    name: 'lora with a key',
    covers: [],
    transform: random,
    on: Net,
    dims: { in: 4, hidden: 4 },
    also: [
      deterministicForKey((k) => lora({ at: '**', rank: 4, key: k })),
      commutesOnDisjoint(lora({ at: '**.fc2', rank: 2, key: key(9) })),
      commutesOnDisjoint(freeze.only({ at: 'square' })),
      subtreeEqualsWhole('fc1', lora({ at: '**', rank: 3, key: key(3) })),
    ],
  },
]

const promptRow = (name: string, rows: number, options: PromptOptions): Row => ({
  name,
  covers: ['prompt'],
  transform: prompt({ at: '**', ...options }),
  ...quick,
  declare: { ...prompting(rows), touches: '**.token_embdgs' },
  also: [lossCountsRealTokens()],
})

const promptRows: readonly Row[] = [
  promptRow('prompt from the vocabulary', 3, { length: 3 }),
  promptRow('prompt, random', 1, { length: 1, init: 'random', key: key(4) }),
  promptRow('prompt from ids, repeated', 4, { length: 4, init: { ids: [0, 2] } }),
  promptRow('prompt from a text', 2, {
    init: { text: 'ab', tokenizer: { encode: (s) => Array.from({ length: s.length }, (_, i) => i) } },
  }),
  {
    ...promptRow('prompt with a key', 4, { length: 4 }),
    also: [
      deterministicForKey((k) => prompt({ length: 4, init: 'random', key: k })),
      commutesOnDisjoint(lora({ at: '**.out_head', rank: 2 })),
    ],
  },
]

const trains = [frozenStaysFrozen, gradientOfTrainablesOnly]

const statusRows: readonly Row[] = [
  { name: 'freeze', covers: ['freeze'], transform: freeze, ...onNet, declare: marking },
  { name: 'freeze a tree', covers: [], transform: freeze, on: sllm, declare: marking },
  {
    name: 'freeze.only',
    covers: ['freeze.only'],
    transform: freeze.only({ at: '**.fc1' }),
    ...onNet,
    declare: { ...marking, touches: '**.fc1' },
    also: [...trains, commutesOnDisjoint(freeze.only({ at: 'fc2' })), subtreeEqualsWhole('fc1', freeze)],
  },
  { name: 'unfreeze', covers: ['unfreeze'], transform: unfreeze, ...onNet, given: freeze, declare: marking },
  {
    name: 'unfreeze.only',
    covers: ['unfreeze.only'],
    transform: unfreeze.only({ at: 'fc2' }),
    ...onNet,
    given: freeze,
    declare: { ...marking, touches: 'fc2' },
    also: trains,
  },
]

/** One transform after another, whatever the model. */
const steps =
  (...all: readonly AnyTransform[]): AnyTransform =>
  (model) =>
    all.reduce<unknown>((m, step) => step(m as never), model)

const both = steps(lora({ at: '**.fc1', rank: 2 }), lora({ at: 'square', rank: 1 }))
const prompted = steps(prompt({ length: 2 }), lora({ at: '**.mlp', rank: 2 }))

const removalRows: readonly Row[] = [
  { name: 'merge', covers: ['merge'], transform: merge, on: Plain, given: both, declare: merging },
  {
    name: 'merge behind a layer norm',
    covers: [],
    transform: merge,
    on: sllm,
    given: lora({ at: '**', rank: 2 }),
    declare: merging,
  },
  {
    name: 'merge.only',
    covers: ['merge.only'],
    transform: merge.only({ at: '**.fc1' }),
    on: Plain,
    given: both,
    declare: { ...merging, twice: 'free', touches: '**.fc1' },
  },
  {
    name: 'detach',
    covers: ['detach'],
    transform: detach,
    ...onNet,
    given: both,
    declare: { ...merging, init: 'changes' },
  },
  {
    name: 'detach of a prompt and LoRA',
    covers: [],
    transform: detach,
    on: sllm,
    given: prompted,
    declare: { ...merging, init: 'changes' },
  },
  {
    name: 'detach.only',
    covers: ['detach.only'],
    transform: detach.only({ at: '**.fc1' }),
    ...onNet,
    given: both,
    declare: { ...merging, init: 'changes', twice: 'free', touches: '**.fc1' },
  },
]

const otherRows: readonly Row[] = [
  {
    name: 'attach(variant)',
    covers: ['attach'],
    transform: scaled({ at: '**.fc1' }),
    ...onNet,
    kinds: { Scaled },
    declare: { touches: '**.fc1' },
    laws: [
      ...lawsFor({ ...adapter, touches: '**.fc1' }).filter((law) => law.name !== 'mergeIsWeightExactly'),
      mergeIs({
        Scaled: (node, base, rows) => base.map((row) => row.map((w, j) => w * (rows(node['scale'])[0]?.[j] ?? 0))),
      }),
    ],
  },
  {
    name: 'applyRecipe',
    covers: ['applyRecipe'],
    transform: applyRecipe(recipe),
    ...onNet,
    // It freezes, so that what detach gives back is the frozen model.
    laws: lawsFor(adapter).filter((law) => law.name !== 'detachRestores'),
    also: [deterministicForKey((k) => applyRecipe([{ lora: { at: '**', rank: 4 } }], k))],
  },
  { name: 'freeze, then LoRA', covers: [], transform: both, ...onNet, given: freeze },
  {
    name: 'prompt, then LoRA',
    covers: [],
    transform: prompted,
    ...quick,
    // Its weights can be merged and its prompt cannot, so what is merged still has rows more.
    declare: { ...prompting(2), merge: 'exact' },
  },
  {
    name: 'LoRA, and a variant beside it',
    covers: [],
    transform: steps(lora({ at: '**.fc1', rank: 2 }), scaled({ at: '**.fc2' })),
    ...onNet,
    kinds: { Scaled },
    laws: lawsFor({ ...adapter, merge: 'none' }),
  },
]

/** Every transform that is exported, in the ways it is used, and compositions of them. */
export const table: readonly Row[] = [
  ...loraRows,
  ...promptRows,
  ...statusRows,
  ...removalRows,
  ...otherRows,
  ...methodRows,
]
