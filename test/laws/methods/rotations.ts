import {
  boft,
  context,
  fold,
  hra,
  isParam,
  isWrapper,
  key,
  leaves,
  materialize,
  oft,
  places,
  sllm,
  trainableOf,
} from '../../../src/index.ts'
import {
  commutesOnDisjoint,
  deterministicForKey,
  fails,
  holds,
  every,
  perturbed,
  structural,
  subtreeEqualsWhole,
  vacuous,
} from '../../../src/laws/index.ts'
import { toArray } from '../../../src/ops/index.ts'
import type { Formula } from '../../../src/laws/index.ts'
import { Plain } from '../row.ts'
import type { Row } from '../row.ts'
import type { KindOptions } from './index.ts'
import { butterflyOf, cayleyOf, diagonalOf, reflectionsOf, skewFrom, times, transposed } from './dense.ts'
import type { Rows } from './dense.ts'

/** R·W with R blockdiag((I + Q)(I − Q)⁻¹), Q filled row by row above its diagonal. */
const oftFormula: Formula = (node, base, rows) => {
  const v = rows(node['v'])
  return times(diagonalOf(v.map((pairs) => cayleyOf(skewFrom(pairs, base.length / v.length)))), base)
}

/** Bₘ⋯B₁·W·diag(s). */
const boftFormula: Formula = (node, base, rows) => {
  const [r, s] = [rows(node['r']), rows(node['s'])[0] ?? []]
  const turned = times(butterflyOf(r, base.length), base)
  return turned.map((row) => row.map((w, j) => w * (s[j] ?? Number.NaN)))
}

/** Hᵣ⋯H₁·W; of directions made orthogonal one after another where that is asked for. */
const hraFormula: Formula = (node, base, rows) =>
  times(reflectionsOf(rows(node['u']), node['orthogonalise'] === true), base)

export const formulas: Readonly<Record<string, Formula>> = { Oft: oftFormula, Boft: boftFormula, Hra: hraFormula }

const gram = (w: Rows): Rows => times(transposed(w), w)

/** RᵀR = I, seen from the weight: lengths of its columns, and angles between them, are those of the base. */
export const keepsAngles = structural({
  name: 'keepsAngles',
  says: 'Wᵀ·W stays, whatever the leaves that were added: lengths of columns and angles between them.',
  equality: 'tolerance',
  check: ({ transform, model, key: k, kinds }) => {
    const tuned = perturbed(transform(model as never), fold(k, 'tuned'), { style: 'float' })
    const turned = [...places(tuned)].map((p) => p.node).filter((node) => isWrapper(node))
    if (turned.length === 0) return vacuous('nothing was wrapped')
    return every(turned, (node) => {
      const base = toArray(leaves(node).find(isParam)!.value) as unknown as Rows
      const [before, after] = [gram(base), gram(toArray(materialize(node, context({ kinds }))) as unknown as Rows)]
      const most = Math.max(1, ...before.flat().map(Math.abs))
      const off = Math.max(...before.flatMap((row, i) => row.map((x, j) => Math.abs(x - after[i]![j]!))))
      return off <= 1e-5 * most ? holds : fails(`WᵀW is off by ${off}, its largest number being ${most}`)
    })
  },
})

/** A count for each matrix a pattern names, by its [in, out]. */
const counting =
  (names: readonly string[], each: (rows: number, columns: number) => number) =>
  (model: unknown): number =>
    Object.values(trainableOf(model))
      .filter((p) => p.form === 'matrix' && names.some((name) => p.label.split('.').includes(name)))
      .reduce((n, p) => n + each(p.value.shape[0]!, p.value.shape[1]!), 0)

// Sums of products of rotations round even on dyadic weights; the bound is for numbers as large as the largest weight.
const within = 2e-6

const row = (name: string, covers: readonly string[], rest: Omit<Row, 'name' | 'covers'>): Row => ({
  name,
  covers,
  formulas,
  within,
  ...rest,
})

const fours = { in: 4, hidden: 4, out: 5 }
const eights = { in: 8, hidden: 8, out: 3 }
const sixes = { in: 6, hidden: 12, out: 5 }

export const rotationRows: readonly Row[] = [
  row('oft in blocks of 2', ['oft'], {
    transform: oft({ at: '**.fc1', blockSize: 2 }),
    on: Plain,
    dims: fours,
    // in/b blocks of b(b − 1)/2 numbers.
    declare: { touches: '**.fc1', adds: counting(['fc1'], (rows) => (rows / 2) * 1) },
    also: [keepsAngles],
  }),
  row('oft of one block, and of odd ones', [], {
    transform: oft({ at: '**', blockSize: 3, blockSizePattern: { fc1: 6 } }),
    on: Plain,
    dims: sixes,
    declare: {
      touches: '**',
      adds: (m) => counting(['fc1'], () => 15)(m) + counting(['square', 'fc2'], (rows) => (rows / 3) * 3)(m),
    },
    also: [keepsAngles],
  }),
  row('oft on the SLLM', [], {
    transform: oft({ at: '**.mlp', blockSize: 2 }),
    on: sllm,
    dims: { d_model: 6 },
    declare: { touches: '**.mlp', adds: counting(['mlp'], (rows) => rows / 2) },
  }),
  row('oft beside others', [], {
    transform: oft({ at: '**.fc1', blockSize: 2, key: key(3) }),
    on: Plain,
    dims: fours,
    also: [
      commutesOnDisjoint(hra({ at: 'square', rank: 2, key: key(4) })),
      subtreeEqualsWhole('fc1', oft({ at: '**', blockSize: 2 })),
    ],
  }),
  row('boft of one factor', ['boft'], {
    transform: boft({ at: '**.fc1' }),
    on: Plain,
    dims: fours,
    // factors · (in/b) · b² of the blocks, and one scale an output.
    declare: { touches: '**.fc1', adds: counting(['fc1'], (rows, columns) => 1 * (rows / 4) * 16 + columns) },
  }),
  row('boft of two factors, and of three', [], {
    transform: boft({ at: '**', blockSize: 2, factors: 2, factorsPattern: { square: 3 } }),
    on: Plain,
    dims: eights,
    declare: {
      touches: '**',
      adds: (m) =>
        counting(['fc1', 'fc2'], (rows, columns) => 2 * (rows / 2) * 4 + columns)(m) +
        counting(['square'], (rows, columns) => 3 * (rows / 2) * 4 + columns)(m),
    },
  }),
  row('boft with blocks of an odd size', [], {
    transform: boft({ at: '**.square', blockSize: 3, blockSizePattern: { square: 3 } }),
    on: Plain,
    dims: sixes,
    declare: { touches: '**.square' },
  }),
  row('hra of rank 2', ['hra'], {
    transform: hra({ at: '**.fc1', rank: 2 }),
    on: Plain,
    dims: { in: [2, 8] },
    declare: { init: 'close', touches: '**.fc1', adds: counting(['fc1'], (rows) => 2 * rows) },
    also: [keepsAngles],
  }),
  row('hra of ranks 4 and 6, more than there are inputs', [], {
    transform: hra({ at: '**', rank: 4, rankPattern: { square: 6 } }),
    on: Plain,
    dims: { in: [2, 6], hidden: [2, 6] },
    declare: {
      init: 'close',
      touches: '**',
      adds: (m) => counting(['fc1', 'fc2'], (rows) => 4 * rows)(m) + counting(['square'], (rows) => 6 * rows)(m),
    },
  }),
  row('hra, orthogonal, of an odd rank', [], {
    transform: hra({ at: '**.fc1', rank: 3, orthogonalise: true }),
    on: Plain,
    dims: { in: [4, 8] },
    declare: { init: 'changes', touches: '**.fc1', adds: counting(['fc1'], (rows) => 3 * rows) },
    also: [keepsAngles],
    // Directions that nearly coincide leave an orthogonal basis of them uncertain, in any way of computing it.
    within: 2e-3,
  }),
  row('hra on the SLLM, with a key', [], {
    transform: hra({ at: '**.mlp', rank: 2, key: key(5) }),
    on: sllm,
    declare: { init: 'close', touches: '**.mlp' },
    also: [deterministicForKey((k) => hra({ at: '**.mlp', rank: 4, key: k }))],
  }),
]

/** How the nodes of these kinds are drawn. */
export const rotationKinds: Readonly<Record<string, KindOptions>> = {
  Oft: { dims: { in: 6, blocks: 2, pairs: 3 }, inexact: true },
  Boft: { dims: { in: 8, blockSize: 2, factors: 3 }, inexact: true },
  Hra: { dims: { rank: [1, 5] }, inexact: true },
}
