import {
  adalora,
  boft,
  bottleneck,
  dora,
  fourierft,
  freeze,
  hra,
  ia3,
  loha,
  lokr,
  lora,
  oft,
  prefix,
  prompt,
  ptuning,
  quantize,
  sllm,
  tokens,
  vera,
} from '../../../src/index.ts'
import type { QuantizedAs } from '../../../src/index.ts'
import { commutesOnDisjoint, prompting } from '../../../src/laws/index.ts'
import type { AnyTransform, Declaration, Formula } from '../../../src/laws/index.ts'
import { Plain } from '../row.ts'
import type { Row } from '../row.ts'
import { isAValue } from './composition-laws.ts'
import { deltaFormulas } from './delta-formulas.ts'
import { formulas as loraFormulas } from './lora-laws.ts'
import { packedPlaces } from './quantize-laws.ts'
import { formulas as rotationFormulas } from './rotations.ts'

/** One transform after another, whatever the model. */
const steps =
  (...all: readonly AnyTransform[]): AnyTransform =>
  (model) =>
    all.reduce<unknown>((m, step) => step(m as never), model)

/** A method at a place, what a weight [in, out] gets of it, and what a fresh one does to outputs. */
interface AtWeights {
  readonly at: (at: string) => AnyTransform
  readonly adds: (inputs: number, outputs: number) => number
  readonly init?: Declaration['init']
}

const method = (
  make: { readonly unchecked: (options: never) => unknown },
  options: object,
  adds: AtWeights['adds'],
  init: Declaration['init'] = 'identity',
): AtWeights => ({ at: (at) => make.unchecked({ at, ...options } as never) as AnyTransform, adds, init })

/** Every method that wraps weight matrices. */
const onWeights: Readonly<Record<string, AtWeights>> = {
  lora: method(lora, { rank: 2, scaling: 'alpha/rank' }, (i, o) => 2 * (i + o)),
  pissa: method(lora, { rank: 1, init: 'pissa' }, (i, o) => i + o),
  olora: method(lora, { rank: 2, init: 'olora', alpha: 0.5 }, (i, o) => 2 * (i + o)),
  dora: method(dora, { rank: 2 }, (i, o) => 2 * (i + o) + o),
  adalora: method(adalora, { rank: 2, alpha: 2 }, (i, o) => 2 * (i + o + 1)),
  loha: method(loha, { rank: 2 }, (i, o) => 4 * (i + o)),
  // 4×o: w1 2×o1, w2 2×o2 as 2×1 times 1×o2 where that is thinner.
  lokr: method(lokr, { rank: 4 }, (_, o) => (o % 2 === 0 ? 4 + o : 2 + 2 * o)),
  vera: method(vera, { rank: 3 }, (_, o) => o + 3),
  ia3: method(ia3, {}, (_, o) => o),
  'ia3.inputs': method(ia3.inputs, {}, (i) => i),
  fourierft: method(fourierft, { frequencies: 4, scale: 2 }, () => 4, 'changes'),
  oft: method(oft, { blockSize: 2 }, (i) => i / 2),
  boft: method(boft, { blockSize: 2, factors: 2 }, (i, o) => 4 * i + o),
  hra: method(hra, { rank: 2 }, (i) => 2 * i, 'close'),
}

const formulas: Readonly<Record<string, Formula>> = { ...loraFormulas, ...deltaFormulas, ...rotationFormulas }

const frozenAnd = (how: QuantizedAs): AnyTransform =>
  steps(freeze, quantize.unchecked({ at: '**.fc1', ...how }) as AnyTransform)

const onPacked = (scheme: string, how: QuantizedAs): readonly Row[] =>
  Object.entries(onWeights).map(([name, { at, adds, init = 'identity' }]): Row => ({
    name: `${name} over ${scheme}`,
    covers: [],
    transform: at('**.fc1'),
    on: Plain,
    dims: { in: 4, hidden: [2, 6], out: [1, 3] },
    given: frozenAnd(how),
    declare: {
      init,
      touches: '**.fc1',
      adds: (model) => packedPlaces(model).reduce((n, { node }) => n + adds(node.rows, node.columns), 0),
    },
    formulas,
    // The values of codes are no dyadic numbers.
    within: 1e-5,
    also: [isAValue],
  }))

const small = { dims: { d_model: 4, d_head: 2, n_heads: [1, 2], n_layers: 1, vocab_size: [3, 8] } } as const

const quantizedTables: AnyTransform = steps(
  freeze,
  quantize.unchecked({ at: '**' }) as AnyTransform,
  quantize.tables.unchecked({ at: '**', scheme: 'int8' }) as AnyTransform,
)

const onTables = (name: string, transform: AnyTransform, declare: Partial<Declaration>): Row => ({
  name,
  covers: [],
  transform,
  on: sllm,
  ...small,
  given: quantizedTables,
  declare,
  formulas,
  within: 1e-5,
  also: [isAValue],
})

const everyMethodOnSllm: readonly Row[] = Object.entries(onWeights).map(([name, { at, init = 'identity' }]): Row => ({
  name: `${name} of the SLLM as a value`,
  covers: [],
  transform: at('**.mlp'),
  on: sllm,
  ...small,
  given: freeze,
  declare: { init },
  laws: [
    isAValue,
    commutesOnDisjoint(bottleneck({ placement: 'pfeiffer' })),
    commutesOnDisjoint(prefix({ length: 2 })),
  ],
}))

const others: Readonly<Record<string, AnyTransform>> = {
  'lora.embedding': lora.embedding({ at: '**', rank: 2 }),
  tokens: tokens({ ids: [2, 0] }),
  'lora with a bias': lora({ at: '**.mlp', rank: 2, bias: true }),
  bottleneck: bottleneck({ placement: 'houlsby', scaling: 'learned' }),
  prompt: prompt({ length: 2 }),
  ptuning: ptuning({ length: 2, hidden: 3 }),
  prefix: prefix({ length: 2 }),
  'prefix with a projection': prefix({ length: 2, projection: 3 }),
}

const otherRows: readonly Row[] = Object.entries(others).map(([name, transform]): Row => ({
  name: `${name} of the SLLM as a value`,
  covers: [],
  transform,
  on: sllm,
  ...small,
  given: freeze,
  laws: [isAValue],
}))

const everything = steps(
  bottleneck({ placement: 'houlsby', reduction: 2 }),
  lora({ at: '**', rank: 2 }),
  prefix({ length: 2 }),
  prompt({ at: '**', length: 2 }),
)

/** Methods over weights in few bits, several methods at once, and all of them as values. */
export const compositionRows: readonly Row[] = [
  ...onPacked('NF4', {}),
  ...onPacked('int8', { scheme: 'int8' }),
  ...onPacked('bf16', { scheme: 'bf16' }),
  onTables('prompt over quantised tables', prompt({ length: 2 }), { ...prompting(2), touches: '**.token_embdgs' }),
  onTables('ptuning over quantised tables', ptuning({ length: 2, hidden: 3 }), { ...prompting(2), merge: 'exact' }),
  onTables('tokens over quantised tables', tokens({ ids: [2, 0] }), { touches: '**.token_embdgs' }),
  onTables('lora.embedding over quantised tables', lora.embedding({ at: '**', rank: 2 }), {
    touches: 'embedding_block',
  }),
  onTables('prefix over quantised weights', prefix({ length: 2 }), { ...prompting(0), merge: 'none' }),
  onTables('bottleneck over quantised weights', bottleneck({ placement: 'houlsby' }), { merge: 'none' }),
  {
    name: 'prompt before trained tokens',
    covers: [],
    transform: steps(tokens({ ids: [1] }), prompt({ at: '**', length: 2 })),
    on: sllm,
    ...small,
    declare: { ...prompting(2), merge: 'exact' },
    also: [isAValue],
  },
  {
    name: 'bottleneck, LoRA, prefix and prompt together',
    covers: [],
    transform: everything,
    on: sllm,
    given: freeze,
    declare: { ...prompting(2), merge: 'exact' },
    also: [isAValue],
  },
  {
    name: 'bottleneck, LoRA, prefix and prompt over a quantised model',
    covers: [],
    transform: everything,
    on: sllm,
    ...small,
    given: quantizedTables,
    declare: { ...prompting(2), merge: 'exact' },
    formulas,
    within: 1e-5,
    also: [isAValue],
  },
  ...everyMethodOnSllm,
  ...otherRows,
]
