import {
  LinearKind,
  fourierft,
  freeze,
  ia3,
  isParam,
  key,
  leafPlaces,
  loha,
  lokr,
  lora,
  miss,
  sllm,
  tokens,
  vera,
} from '../../../src/index.ts'
import {
  adapter,
  commutesOnDisjoint,
  deterministicForKey,
  lawsFor,
  subtreeEqualsWhole,
} from '../../../src/laws/index.ts'
import type { AnyTransform } from '../../../src/laws/index.ts'
import { Net, Plain } from '../row.ts'
import type { Row } from '../row.ts'
import { deltaFormulas } from './delta-formulas.ts'
import type { KindOptions } from './index.ts'

/** What a formula of sizes gives, summed over the matrices under a pattern `**.name`, or all of them. */
const counting =
  (at: string, of: (rows: number, columns: number) => number) =>
  (model: unknown): number =>
    leafPlaces(model)
      .filter(
        ({ node, path }) => isParam(node) && node.form === 'matrix' && (at === '**' || path.includes(at.slice(3))),
      )
      .reduce((n, { node }) => n + of(node.value.shape[0]!, node.value.shape[1]!), 0)

const declared = (at: string, of: (rows: number, columns: number) => number): Pick<Row, 'declare'> => ({
  declare: { touches: at, adds: counting(at, of) },
})

// Sums of float32 products beside sums of doubles.
const rounding = 1e-5

const lohaRow = (name: string, at: string, rank: number, transform: AnyTransform): Row => ({
  name,
  covers: ['loha'],
  transform,
  on: Net,
  ...declared(at, (i, o) => 2 * rank * (i + o)),
  formulas: deltaFormulas,
  within: rounding,
})

const lohaRows: readonly Row[] = [
  lohaRow('loha', '**.fc1', 2, loha({ at: '**.fc1', rank: 2 })),
  lohaRow('loha of the usual rank', '**.fc2', 8, loha({ at: '**.fc2' })),
  lohaRow('loha, alpha/sqrt(rank)', '**', 3, loha({ at: '**', rank: 3, alpha: 0.7, scaling: 'alpha/sqrt(rank)' })),
  {
    ...lohaRow('loha with a key', '**.fc1', 2, loha({ at: '**.fc1', rank: 2, key: key(3) })),
    dims: { in: 4, hidden: 4 },
    also: [
      deterministicForKey((k) => loha({ at: '**', rank: 4, key: k })),
      commutesOnDisjoint(loha({ at: '**.fc2', rank: 2, key: key(9) })),
      subtreeEqualsWhole('fc1', loha({ at: '**', rank: 2, key: key(3) })),
    ],
  },
]

/** A LoKr on the one weight fc1, of known sizes, and the number of parameters that these make by hand. */
const lokrRow = (
  name: string,
  transform: AnyTransform,
  [inputs, hidden]: readonly [number, number],
  adds: number,
): Row => ({
  name,
  covers: ['lokr'],
  transform,
  on: Plain,
  dims: { in: inputs, hidden, out: 3 },
  declare: { touches: '**.fc1', adds: () => adds },
  formulas: deltaFormulas,
  within: rounding,
})

const lokrRows: readonly Row[] = [
  // 6×8: w1 2×2, w2 3×4.
  lokrRow('lokr, both factors whole', lokr({ at: '**.fc1' }), [6, 8], 4 + 12),
  // w2 as 3×1 times 1×4; alpha is still divided by the rank.
  lokrRow('lokr, w2 thin', lokr({ at: '**.fc1', rank: 1, alpha: 3, scaling: 'alpha/rank' }), [6, 8], 4 + 3 + 4),
  // 9×12: w1 3×3 as 3×1 times 1×3, w2 3×4 as 3×1 times 1×4.
  lokrRow('lokr, both thin', lokr({ at: '**.fc1', rank: 1, decomposeBoth: true }), [9, 12], 6 + 7),
  // 8×12 by 4: w1 4×4 as 4×1 times 1×4, w2 2×3 as 2×1 times 1×3.
  lokrRow(
    'lokr, both thin by a factor',
    lokr({ at: '**.fc1', rank: 1, decomposeBoth: true, decomposeFactor: 4 }),
    [8, 12],
    8 + 5,
  ),
  // 8×8 by 4: w1 4×4 as 4×1 times 1×4, w2 2×2 whole, since 1 is not below 2/2.
  lokrRow(
    'lokr, w1 thin',
    lokr({ at: '**.fc1', rank: 1, alpha: 0.7, decomposeBoth: true, decomposeFactor: 4 }),
    [8, 8],
    8 + 4,
  ),
  // Primes: w1 1×1, w2 7×5 as 7×2 times 2×5.
  lokrRow(
    'lokr of prime sizes',
    lokr({ at: '**.fc1', rank: 2, alpha: 2, scaling: 'alpha/sqrt(rank)' }),
    [7, 5],
    1 + 24,
  ),
  // 5×6 by 4, which divides neither: 5 = 1·5 and 6 = 2·3.
  lokrRow('lokr by a factor that does not divide', lokr({ at: '**.fc1', decomposeFactor: 4 }), [5, 6], 2 + 15),
  {
    name: 'lokr on every weight, of any size',
    covers: [],
    transform: lokr({ at: '**', rank: 1, key: key(3) }),
    on: Net,
    declare: { touches: '**' },
    formulas: deltaFormulas,
    within: rounding,
    also: [
      deterministicForKey((k) => lokr({ at: '**', rank: 2, key: k })),
      commutesOnDisjoint(freeze.only({ at: '**.bias' })),
    ],
  },
]

const veraRow = (name: string, at: string, rank: number, transform: AnyTransform): Row => ({
  name,
  covers: ['vera'],
  transform,
  on: Net,
  ...declared(at, (_, o) => o + rank),
  formulas: deltaFormulas,
  within: rounding,
})

const veraRows: readonly Row[] = [
  veraRow('vera', '**.fc1', 3, vera({ at: '**.fc1', rank: 3 })),
  veraRow('vera on weights of several sizes', '**', 2, vera({ at: '**', rank: 2, dInitial: 0.5 })),
  {
    ...veraRow('vera with a key', '**.fc1', 4, vera({ at: '**.fc1', rank: 4, key: key(3) })),
    also: [
      deterministicForKey((k) => vera({ at: '**.fc1', rank: 4, key: k })),
      commutesOnDisjoint(lora({ at: '**.fc2', rank: 2 })),
      subtreeEqualsWhole('fc1', vera({ at: '**', rank: 4, key: key(3) })),
    ],
  },
  {
    name: 'vera on all linear layers of the SLLM',
    covers: [],
    transform: vera({ at: '**', rank: 3 }),
    on: sllm,
    ...declared('**', (_, o) => o + 3),
    formulas: deltaFormulas,
    within: rounding,
  },
]

const both = (model: unknown): unknown => ia3.inputs.unchecked({ at: '**.fc2' })(ia3.unchecked({ at: '**.fc1' })(model))

const ia3Rows: readonly Row[] = [
  {
    name: 'ia3',
    covers: ['ia3'],
    transform: ia3({ at: '**' }),
    on: Net,
    ...declared('**', (_, o) => o),
    formulas: deltaFormulas,
    also: [commutesOnDisjoint(freeze.only({ at: 'fc1.bias' }))],
  },
  {
    name: 'ia3.inputs',
    covers: [],
    transform: ia3.inputs({ at: '**' }),
    on: Net,
    ...declared('**', (i) => i),
    formulas: deltaFormulas,
  },
  {
    name: 'ia3 at outputs and at inputs',
    covers: [],
    transform: both,
    on: Plain,
    declare: { adds: (m) => counting('**.fc1', (_, o) => o)(m) + counting('**.fc2', (i) => i)(m) },
    formulas: deltaFormulas,
    also: [commutesOnDisjoint(ia3({ at: 'square' }))],
  },
  {
    name: 'ia3.layers',
    covers: [],
    transform: ia3.layers({ at: ['fc1', 'fc2'] }),
    on: Net,
    // A layer is wrapped, and no weight.
    laws: lawsFor(adapter).filter((law) => law.name !== 'mergeIsWeightExactly'),
    also: [commutesOnDisjoint(lora({ at: 'square', rank: 2 }))],
  },
  { name: 'ia3 on all linear layers of the SLLM', covers: [], transform: ia3({ at: '**' }), on: sllm },
]

const fourierRow = (name: string, at: string, transform: AnyTransform, n: number): Row => ({
  name,
  covers: ['fourierft'],
  transform,
  on: Plain,
  declare: { init: 'changes', touches: at, adds: counting(at, () => n) },
  formulas: deltaFormulas,
  within: rounding,
})

const fourierRows: readonly Row[] = [
  fourierRow('fourierft', '**', fourierft({ at: '**', frequencies: 3 }), 3),
  {
    ...fourierRow(
      'fourierft from zeros',
      '**.fc1',
      fourierft({ at: '**.fc1', frequencies: 4, init: 'zeros', scale: 2 }),
      4,
    ),
    declare: { touches: '**.fc1', adds: () => 4 },
  },
  {
    ...fourierRow(
      'fourierft of a full spectrum',
      '**.fc1',
      fourierft({ at: '**.fc1', frequencies: 15, scale: 15 }),
      15,
    ),
    dims: { in: 3, hidden: 5 },
  },
  {
    ...fourierRow('fourierft with a key', '**.fc1', fourierft({ at: '**.fc1', frequencies: 4, key: key(3) }), 4),
    also: [
      deterministicForKey((k) => fourierft({ at: '**.fc1', frequencies: 4, key: k })),
      commutesOnDisjoint(fourierft({ at: '**.fc2', frequencies: 4, key: key(3) })),
      subtreeEqualsWhole('fc1', fourierft({ at: '**', frequencies: 4, key: key(3) })),
    ],
  },
]

const missRow = (name: string, at: string, transform: AnyTransform, adds: (outputs: number) => number): Row => ({
  name,
  covers: ['miss'],
  transform,
  on: Plain,
  dims: { in: 6, hidden: 6, out: 4 },
  ...declared(at, (_, o) => adds(o)),
  formulas: deltaFormulas,
  within: rounding,
})

const missRows: readonly Row[] = [
  missRow('miss', '**', miss({ at: '**', rank: 2 }), (o) => 2 * o),
  missRow('miss of a rank that does not divide the inputs', '**.fc1', miss({ at: '**.fc1', rank: 4 }), (o) => 4 * o),
  missRow('miss of a narrow block', '**', miss({ at: '**', rank: 3, columns: 2 }), () => 3 * 2),
  {
    ...missRow('miss beside others', '**.fc1', miss({ at: '**.fc1', rank: 2 }), (o) => 2 * o),
    also: [commutesOnDisjoint(lora({ at: '**.fc2', rank: 2 })), subtreeEqualsWhole('fc1', miss({ at: '**', rank: 2 }))],
  },
]

const tokenRow = (name: string, ids: readonly number[], transform: AnyTransform): Row => ({
  name,
  covers: ['tokens'],
  transform,
  on: sllm,
  declare: {
    touches: '**.token_embdgs',
    adds: (model) =>
      ids.length *
      (model as { readonly embedding_block: { token_embdgs: { weight: { value: { shape: number[] } } } } })
        .embedding_block.token_embdgs.weight.value.shape[1]!,
  },
  formulas: deltaFormulas,
})

const tokenRows: readonly Row[] = [
  tokenRow('tokens', [2], tokens({ ids: [2] })),
  {
    ...tokenRow('tokens, several in no order', [2, 0], tokens({ at: '**.token_embdgs', ids: [2, 0] })),
    also: [
      commutesOnDisjoint(lora({ at: '**.mlp', rank: 2 })),
      subtreeEqualsWhole('embedding_block', tokens({ ids: [2, 0] })),
    ],
  },
]

export const deltaRows: readonly Row[] = [
  ...lohaRows,
  ...lokrRows,
  ...veraRows,
  ...ia3Rows,
  ...fourierRows,
  ...missRows,
  ...tokenRows,
]

// in1·in2 and out1·out2 are the sizes of the base, which fields do not say; all four differ, so that no two can be exchanged.
const lokrDims = { in1: 2, in2: 3, in: 6, out1: 4, out2: 2, out: 8, rank: [1, 3] } as const
const lokrNode: KindOptions = { dims: lokrDims, statics: { rank: 2, alpha: 0.5, scaling: 'alpha/rank' }, inexact: true }

export const deltaKinds: Readonly<Record<string, KindOptions>> = {
  Loha: { dims: { rank: [1, 4] }, inexact: true },
  LokrFullFull: { ...lokrNode, dims: { ...lokrDims, rank: 2 } },
  LokrFullLow: lokrNode,
  LokrLowFull: lokrNode,
  LokrLowLow: lokrNode,
  Vera: { dims: { in: [1, 5], widestIn: [5, 7], out: [1, 4], widestOut: [4, 6] }, inexact: true },
  Ia3: {},
  Ia3Inputs: {},
  ScaledOutputs: { base: LinearKind },
  Miss: { dims: { in: [1, 7], rank: [1, 3], out: 4, columns: [1, 2] } },
  MissBat: { dims: { in: 4, out: 6, rank: 2 }, inexact: true },
  Randlora: {
    dims: { in: 3, out: 4, rank: 2, narrowest: 4, widest: 5, most: 3, bases: 2, smaller: 3 },
    inexact: true,
  },
  Fourierft: { dims: { frequencies: [1, 6] }, inexact: true },
  // With every row replaced, the table under them would have no gradient.
  TokenRows: { form: 'table', dims: { tokens: [1, 2], in: [3, 8] } },
}
