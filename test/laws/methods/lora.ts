import { LinearKind, adalora, applyRecipe, dora, freeze, lora, sllm, toLora } from '../../../src/index.ts'
import { deterministicForKey, commutesOnDisjoint, merging, subtreeEqualsWhole } from '../../../src/laws/index.ts'
import { Net, Plain } from '../row.ts'
import type { Row } from '../row.ts'
import type { KindOptions } from './index.ts'
import {
  formulas,
  rounding,
  adds,
  twiceTheRank,
  residualForm,
  columnsAreAsLong,
  isRootTimes,
  onWords,
} from './lora-laws.ts'

const pissaRank = { dims: { in: [3, 8], hidden: [3, 8], out: [3, 8] } } as const

const lora3 = { declare: { adds: adds(2) } } as const

const loraRows: readonly Row[] = [
  {
    name: 'lora, gaussian',
    covers: [],
    transform: lora({ at: '**', rank: 2, init: 'gaussian' }),
    on: Net,
    dims: { in: 4, hidden: 4 },
    ...lora3,
    also: [deterministicForKey((k) => lora({ at: '**', rank: 4, init: 'gaussian', key: k }))],
  },
  {
    name: 'lora, both factors random',
    covers: [],
    transform: lora({ at: '**', rank: 2, init: 'random', alpha: 2 }),
    on: Net,
    declare: { init: 'changes', adds: adds(2) },
    also: [deterministicForKey((k) => lora({ at: '**', rank: 4, init: 'random', key: k }))],
  },
  {
    name: 'lora, orthogonal',
    covers: [],
    transform: lora({ at: '**', rank: 4, init: 'orthogonal' }),
    on: Plain,
    declare: { init: 'close', adds: adds(4) },
    also: [deterministicForKey((k) => lora({ at: '**', rank: 4, init: 'orthogonal', key: k }))],
  },
  {
    name: 'lora by pissa',
    covers: [],
    transform: lora({ at: '**', rank: 2, init: 'pissa', alpha: 3, scaling: 'alpha/rank' }),
    on: Net,
    ...pissaRank,
    declare: { adds: adds(2) },
    formulas,
    within: rounding,
    also: [twiceTheRank, residualForm, commutesOnDisjoint(freeze.only({ at: 'norm' }))],
  },
  {
    name: 'lora by olora',
    covers: [],
    transform: lora({ at: '**.square', rank: 3, init: 'olora', alpha: 0.5 }),
    on: Net,
    ...pissaRank,
    declare: { adds: adds(3, undefined, 'matrix', 'square'), touches: 'square' },
    formulas,
    within: rounding,
    also: [
      twiceTheRank,
      residualForm,
      subtreeEqualsWhole('square', lora({ at: '**', rank: 3, init: 'olora', alpha: 0.5 })),
    ],
  },
  {
    name: 'lora by pissa on the SLLM',
    covers: [],
    transform: lora({ at: '**.mlp', rank: 1, init: 'pissa' }),
    on: sllm,
    declare: { adds: adds(1, undefined, 'matrix', '.mlp.'), touches: '**.mlp' },
    formulas,
    within: rounding,
  },
  {
    name: 'toLora',
    covers: ['toLora'],
    transform: toLora,
    on: Plain,
    ...pissaRank,
    given: lora({ at: '**', rank: 2, init: 'pissa' }),
    declare: merging,
  },
  {
    name: 'toLora.only',
    covers: ['toLora.only'],
    transform: toLora.only({ at: 'fc1' }),
    on: Plain,
    ...pissaRank,
    given: lora({ at: '**', rank: 2, init: 'olora' }),
    declare: { ...merging, twice: 'free', touches: 'fc1' },
  },
  {
    name: 'lora with ranks and alphas by pattern',
    covers: [],
    transform: lora({
      at: '**',
      rank: 2,
      alpha: 2,
      scaling: 'alpha/rank',
      rankPattern: { fc2: 4, '**': 1 },
      alphaPattern: { square: 0.5 },
    }),
    on: Net,
    declare: {
      adds: (m) => adds(4, undefined, 'matrix', 'fc2')(m) + adds(1)(m) - adds(1, undefined, 'matrix', 'fc2')(m),
    },
  },
  {
    name: 'rsLoRA',
    covers: [],
    transform: lora({ at: '**', rank: 4, alpha: 2, scaling: 'alpha/sqrt(rank)' }),
    on: Net,
    declare: { adds: adds(4) },
    also: [isRootTimes(4, lora({ at: '**', rank: 4, alpha: 2, scaling: 'alpha/rank' }))],
  },
  {
    name: 'lora with a bias on B',
    covers: [],
    transform: lora({ at: ['**.fc1', 'square'], rank: 2, alpha: 3, scaling: 'alpha/rank', bias: true }),
    on: Net,
    declare: {
      adds: (m) => adds(2, (_, columns) => columns)(m) - adds(2, (_, columns) => columns, 'matrix', 'fc2')(m),
    },
    also: [commutesOnDisjoint(lora({ at: 'fc2', rank: 2, bias: true }))],
  },
  {
    name: 'lora.embedding',
    covers: [],
    transform: lora.embedding({ at: '**', rank: 2, alpha: 3, scaling: 'alpha/rank' }),
    ...onWords,
    declare: { adds: adds(2, undefined, 'table'), touches: 'words' },
    also: [
      deterministicForKey((k) => lora.embedding({ at: '**', rank: 4, key: k })),
      commutesOnDisjoint(lora({ at: 'fc', rank: 2 })),
    ],
  },
  {
    name: 'lora.embedding on tokens and positions of the SLLM',
    covers: [],
    transform: lora.embedding({ at: '**', rank: 2 }),
    on: sllm,
    declare: { adds: adds(2, undefined, 'table'), touches: 'embedding_block' },
  },
  {
    name: 'a recipe of lora on embeddings and layers',
    covers: [],
    transform: applyRecipe([
      { lora: { at: ['words', 'fc'], rank: 2, alpha: 4, rankPattern: { words: 1, '**.fc': 3 }, dropout: 0.5 } },
    ]),
    ...onWords,
    declare: { adds: (m) => adds(1, undefined, 'table')(m) + adds(3)(m) },
  },
]

const doraRows: readonly Row[] = [
  {
    name: 'dora',
    covers: ['dora'],
    transform: dora({ at: '**.fc1', rank: 2, alpha: 2 }),
    on: Net,
    declare: { adds: adds(2, (_, columns) => columns, 'matrix', 'fc1'), touches: 'fc1' },
    formulas,
    within: rounding,
    also: [columnsAreAsLong, subtreeEqualsWhole('fc1', dora({ at: '**', rank: 2, alpha: 2 }))],
  },
  {
    name: 'dora everywhere, norm detached, alpha/sqrt(rank)',
    covers: [],
    transform: dora({ at: '**', rank: 3, alpha: 0.7, scaling: 'alpha/sqrt(rank)', detachNorm: true, init: 'gaussian' }),
    on: Plain,
    dims: { in: 4, hidden: 4 },
    declare: { adds: adds(3, (_, columns) => columns) },
    formulas,
    within: rounding,
    also: [columnsAreAsLong, deterministicForKey((k) => dora({ at: '**', rank: 4, key: k }))],
  },
  {
    name: 'dora on the SLLM by a recipe, ranks by pattern',
    covers: [],
    transform: applyRecipe([{ dora: { at: '**.mha', rank: 2, rankPattern: { '**.Wq': 1 } } }]),
    on: sllm,
    declare: {
      adds: (m) => adds(2, (_, columns) => columns, 'matrix', '.mha.')(m) - adds(1, undefined, 'matrix', '.mha.Wq')(m),
    },
    formulas,
    within: rounding,
  },
]

const adaloraRows: readonly Row[] = [
  {
    name: 'adalora',
    covers: ['adalora'],
    transform: adalora({ at: '**', rank: 3, alpha: 2 }),
    on: Net,
    dims: { in: 4, hidden: 4 },
    declare: { adds: adds(3, () => 3) },
    formulas,
    also: [deterministicForKey((k) => adalora({ at: '**', rank: 4, key: k }))],
  },
  {
    name: 'adalora on the SLLM by a recipe',
    covers: [],
    transform: applyRecipe([{ adalora: { at: '**.mlp', rank: 2, alpha: 4, scaling: 'alpha/rank' } }]),
    on: sllm,
    declare: { adds: adds(2, () => 2, 'matrix', '.mlp.'), touches: '**.mlp' },
    formulas,
  },
]

export const loraFamilyRows: readonly Row[] = [...loraRows, ...doraRows, ...adaloraRows]

export const loraFamilyKinds: Readonly<Record<string, KindOptions>> = {
  LoraFrom: { dims: { rank: [1, 10] }, inexact: true },
  Dora: { dims: { rank: [1, 6], in: [2, 8] }, inexact: true },
  AdaLora: { dims: { rank: [1, 10] } },
  Shifted: { base: LinearKind, dims: { in: [1, 8], out: [1, 8] } },
}
