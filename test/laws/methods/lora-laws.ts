import { read } from '../../../src/ops/index.ts'
import { define, embedding, key, layer, linear, embed, toLora, places, trainableOf } from '../../../src/index.ts'
import type { Param } from '../../../src/index.ts'
import { outputOf, perturbed, structural, numeric, verdict, every, vacuous } from '../../../src/laws/index.ts'
import type { AnyTransform, Formula, TransformLaw, Trial } from '../../../src/laws/index.ts'

type Rows = readonly (readonly number[])[]
type Node = Readonly<Record<string, unknown>>

const times = (a: Rows, b: Rows): Rows =>
  a.map((row) => (b[0] ?? []).map((_, j) => row.reduce((n, x, k) => n + x * (b[k]?.[j] ?? 0), 0)))
const plus = (a: Rows, b: Rows, factor = 1): Rows => a.map((row, i) => row.map((x, j) => x + factor * (b[i]?.[j] ?? 0)))

const scale = (node: Node, rank: number): number => {
  const divisors: Readonly<Record<string, number>> = {
    alpha: 1,
    'alpha/rank': rank,
    'alpha/sqrt(rank)': Math.sqrt(rank),
  }
  return Number(node['alpha']) / (divisors[String(node['scaling'])] ?? Number.NaN)
}

const started: Formula = (node, base, rows) => {
  const [a, b, a0, b0] = ['a', 'b', 'a0', 'b0'].map((name) => rows(node[name])) as [Rows, Rows, Rows, Rows]
  return plus(plus(base, times(a, b), scale(node, b.length)), times(a0, b0), -scale(node, b.length))
}

const added: Formula = (node, base, rows) => {
  const [a, b] = [rows(node['a']), rows(node['b'])]
  return plus(base, times(a, b), scale(node, b.length))
}

const magnified: Formula = (node, base, rows) => {
  const [a, b, m] = ['a', 'b', 'magnitude'].map((name) => rows(node[name])) as [Rows, Rows, Rows]
  const direction = plus(base, times(a, b), scale(node, b.length))
  const norms = m[0]!.map((_, j) => Math.sqrt(direction.reduce((n, row) => n + row[j]! ** 2, 0)))
  return direction.map((row) => row.map((x, j) => (m[0]![j]! * x) / norms[j]!))
}

const triplets: Formula = (node, base, rows) => {
  const [a, e, b] = ['a', 'e', 'b'].map((name) => rows(node[name])) as [Rows, Rows, Rows]
  return plus(
    base,
    times(
      a.map((row) => row.map((x, k) => x * e[0]![k]!)),
      b,
    ),
    scale(node, b.length),
  )
}

export const formulas = { Lora: added, LoraFrom: started, Dora: magnified, AdaLora: triplets }
// Roots, and singular vectors, are no dyadic numbers.
export const rounding = 2 ** -18

const lengths = (p: Param): readonly [number, number] => [p.value.shape[0]!, p.value.shape[1]!]
const ofForm = (model: unknown, form: Param['form'], at = ''): readonly Param[] =>
  Object.values(trainableOf(model)).filter((p) => p.form === form && p.label.includes(at))

/** rank·(in + out) for each weight, and so much more for each. */
export const adds =
  (rank: number, more: (rows: number, columns: number) => number = () => 0, form: Param['form'] = 'matrix', at = '') =>
  (model: unknown): number =>
    ofForm(model, form, at).reduce((n, p) => {
      const [rows, columns] = lengths(p)
      return n + rank * (rows + columns) + more(rows, columns)
    }, 0)

/** A model of ids: embedding, then a square layer. */
export const Words = define('Words', { words: embedding('vocab', 'd'), fc: linear('d', 'd') }, (n, ids, ctx) =>
  layer(n.fc, embed(n.words, { ids }, ctx).hidden, ctx),
)
export const onWords = {
  on: Words,
  input: (dims: Readonly<Record<string, number>>, batch: number) => ({ shape: [batch, 3], below: dims['vocab'] ?? 1 }),
} as const

const nodesOf = (model: unknown, tag: string): readonly Node[] =>
  [...places(model)].map((p) => p.node as Node).filter((n) => n?.['_tag'] === tag)

const numbers = (leaf: unknown): readonly number[] => [...read((leaf as Param).value)]
export const within = (a: readonly number[], b: readonly number[], tolerance = 1e-4): boolean =>
  a.length === b.length && a.every((x, i) => Math.abs(x - b[i]!) <= tolerance * Math.max(1, Math.abs(x)))

const tunedOf = (trial: Trial): unknown =>
  perturbed(trial.transform(trial.model), key(trial.drawnFrom), { style: 'float' })

/** The weights that a tag wraps, and the dense parameter that merging makes of each. */
const mergedOf = (
  trial: Trial,
  tuned: unknown,
  tag: string,
): readonly { readonly node: Node; readonly dense: Param }[] => {
  const dense = nodesOf(trial.tools.merge(tuned), 'Param') as unknown as readonly Param[]
  return nodesOf(tuned, tag).map((node) => ({
    node,
    dense: dense.find(({ label }) => label === (node['base'] as Param).label)!,
  }))
}

const rowsIn = (leaf: unknown): Rows => {
  const [r, c] = lengths(leaf as Param)
  return Array.from({ length: r }, (_, i) => numbers(leaf).slice(i * c, (i + 1) * c))
}

export const twiceTheRank: TransformLaw = numeric({
  name: 'toLoraKeepsOutputs',
  says: 'As a plain LoRA of twice the rank, [A | A₀]·[B ; −B₀], it computes the same.',
  equality: 'tolerance',
  check: (trial) => {
    const tuned = tunedOf(trial)
    const plain = toLora(tuned)
    const ranks = (tag: string, m: unknown): readonly number[] =>
      nodesOf(m, tag).map((n) => lengths(n['a'] as Param)[1])
    if (nodesOf(tuned, 'LoraFrom').length === 0) return vacuous('nothing began from a weight')
    const [was, is] = [ranks('LoraFrom', tuned), ranks('Lora', plain)]
    if (was.some((r, i) => is[i] !== 2 * r)) return verdict(false, `ranks ${was.join()} became ${is.join()}`)
    return verdict(
      within([...read(outputOf(trial, tuned))], [...read(outputOf(trial, plain))], 3e-4),
      'outputs differ after the conversion',
    )
  },
})

/** PiSSA as its paper writes it: what the adapter took over is missing in the base, and the factors make up for it. */
export const residualForm: TransformLaw = structural({
  name: 'isResidualPlusFactors',
  says: 'merge gives (W − s·A₀·B₀) + s·A·B, the classic form of PiSSA and OLoRA.',
  equality: 'tolerance',
  check: (trial) =>
    every(mergedOf(trial, tunedOf(trial), 'LoraFrom'), ({ node, dense }) => {
      const [a, b, a0, b0, base] = ['a', 'b', 'a0', 'b0', 'base'].map((name) => rowsIn(node[name])) as [
        Rows,
        Rows,
        Rows,
        Rows,
        Rows,
      ]
      const s = scale(node, b.length)
      const want = plus(plus(base, times(a0, b0), -s), times(a, b), s).flat()
      return verdict(within(want, numbers(dense), 1e-3), `${dense.label} is not residual plus factors`)
    }),
})

/** Law 27: the columns of what merging gives are as long as the magnitudes say. */
export const columnsAreAsLong: TransformLaw = structural({
  name: 'columnsAreAsLong',
  says: 'The norm of each column of the merged weight is the absolute magnitude.',
  equality: 'tolerance',
  check: (trial) =>
    every(mergedOf(trial, tunedOf(trial), 'Dora'), ({ node, dense }) => {
      const [rows, m] = [rowsIn(dense), numbers(node['magnitude']).map(Math.abs)]
      const norms = m.map((_, j) => Math.hypot(...rows.map((row) => row[j]!)))
      return verdict(within(m, norms), `${dense.label} has columns of ${norms.join()}`)
    }),
})

/** Law 20: with alpha/√rank the change is √rank times that with alpha/rank. */
export const isRootTimes = (rank: number, plain: AnyTransform): TransformLaw =>
  structural({
    name: 'isRootTimes',
    says: 'The change is √rank times the change with alpha/rank.',
    equality: 'tolerance',
    check: (trial) => {
      // The same labels are drawn from the same key, so that only the factor tells the two apart.
      const other = { ...trial, transform: (m: unknown) => plain(m as never) }
      const [roots, plains] = [trial, other].map((t) => mergedOf(t, tunedOf(t), 'Lora'))
      return every(roots!, ({ node, dense }) => {
        const twin = plains!.find((p) => p.dense.label === dense.label)!
        const base = numbers(node['base'])
        const [r, p] = [dense, twin.dense].map((w) => numbers(w).map((x, i) => x - base[i]!)) as [number[], number[]]
        return verdict(
          within(
            r,
            p.map((x) => Math.sqrt(rank) * x),
          ),
          `the change of ${dense.label} is another`,
        )
      })
    },
  })
