import { materialize } from '../../kind/index.ts'
import type { Ctx } from '../../kind/index.ts'
import { read } from '../../ops/index.ts'
import { isLeaf, isParam } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { BASE, isBranch, places, showPath } from '../../tree/walk.ts'
import type { Place } from '../../tree/walk.ts'
import { isWrappedWeight } from '../../tree/wrap.ts'
import { every, fails, holds, vacuous } from '../law.ts'
import type { Verdict } from '../law.ts'
import { salted } from '../models.ts'
import { structural } from '../transform-law.ts'
import type { TransformLaw } from '../transform-law.ts'
import { contextOf } from '../trial.ts'
import { perturbed, rowsOf } from '../values.ts'

type Rows = readonly (readonly number[])[]

/** What a wrapped weight amounts to, in plain numbers: the node, what its base amounts to, and a reader of its tensors. */
export type Formula = (node: Readonly<Record<string, unknown>>, base: Rows, rows: (leaf: unknown) => Rows) => Rows

const product = (a: Rows, b: Rows): Rows =>
  a.map((row) => (b[0] ?? []).map((_, j) => row.reduce((n, x, k) => n + x * (b[k]?.[j] ?? 0), 0)))

const scaleOf = (node: Readonly<Record<string, unknown>>, rank: number): number => {
  const divisors = { alpha: 1, 'alpha/rank': rank, 'alpha/sqrt(rank)': Math.sqrt(rank) }
  return Number(node['alpha']) / (divisors[String(node['scaling']) as keyof typeof divisors] ?? Number.NaN)
}

/** W + s·A·B in plain numbers, with nothing of the library's own arithmetic. */
const loraFormula: Formula = (node, base, rows) => {
  const [a, b] = [rows(node['a']), rows(node['b'])]
  const scale = scaleOf(node, b.length)
  const change = product(a, b)
  return base.map((row, i) => row.map((w, j) => w + scale * (change[i]?.[j] ?? 0)))
}

const rowsAt = (leaf: unknown): Rows => (isLeaf(leaf) ? rowsOf(leaf.value) : [])

/** What a node amounts to by the formulas; where none is known, what the kind itself says. */
const expected = (node: unknown, formulas: Readonly<Record<string, Formula>>, ctx: Ctx): Rows => {
  if (!isBranch(node) || Array.isArray(node)) return rowsAt(node)
  const record = node as Readonly<Record<string, unknown>>
  const formula = formulas[String(record['_tag'])]
  if (formula === undefined) return rowsOf(materialize(node as never, ctx))
  return formula(record, expected(record[BASE], formulas, ctx), rowsAt)
}

const wrappedWeights = (model: unknown): readonly Place[] => {
  const found: Place[] = []
  for (const p of places(model))
    if (isBranch(p.node) && isWrappedWeight(p.node) && !found.some((f) => f.route.every((s, i) => p.route[i] === s)))
      found.push(p)
  return found
}

// Factors such as 1/3 and √2 are no dyadic numbers; then the last bits may differ.
const lastBits = 2 ** -21

const allowance = (node: unknown): number => {
  const lora = node as Readonly<Record<string, unknown>>
  if (lora['_tag'] !== 'Lora') return 0
  return Number.isInteger(1024 * scaleOf(lora, rowsAt(lora['b']).length)) ? 0 : lastBits
}

const compareWeight = ({ path, node }: Place, rows: Rows, found: Tensor, within: number): Verdict => {
  const want = rows.flat()
  const got = [...read(found)]
  if (got.length !== want.length) return fails(`${showPath(path)} has ${got.length} numbers instead of ${want.length}`)
  const allowed = Math.max(within, allowance(node)) * Math.max(1, ...want.map(Math.abs))
  const at = want.findIndex((w, i) => !(Math.abs((got[i] ?? Number.NaN) - w) <= allowed))
  return at < 0 ? holds : fails(`number ${at} of ${showPath(path)} should be ${want[at]}, and is ${got[at]}`)
}

/**
 * The law that `merge` makes of each wrapped weight what a formula in plain numbers says; for weight variants of one's own.
 *
 * `within` allows for rounding where the formula is not exact on dyadic numbers, relative to the largest weight or 1.
 *
 * @example
 * ```ts
 * import { allOnes, attach, define, layer, linear, materialize, variant, vector } from 'espalier'
 * import { check, mergeIs } from 'espalier/laws'
 * import { mul } from 'espalier/ops'
 * const Scaled = variant('Scaled', {
 *   fields: { scale: vector('out', allOnes) },
 *   materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
 * })
 * const Net = define('Net', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))
 * const law = mergeIs({
 *   Scaled: (node, base, rows) => base.map((row) => row.map((w, j) => w * rows(node['scale'])[0]![j]!)),
 * })
 * check(attach(Scaled)({ at: '**.fc' }), { on: Net, kinds: { Scaled }, laws: [law], runs: 10 }).passed // => true
 * ```
 */
export const mergeIs = (formulas: Readonly<Record<string, Formula>>, within = 0): TransformLaw =>
  structural({
    name: 'mergeIsWeightExactly',
    says: 'merge makes of each weight exactly what its formula says, W + s·A·B for LoRA.',
    equality: 'exact',
    applies: ({ merge }) => merge === 'exact',
    check: (trial) => {
      const tuned = perturbed(trial.transform(trial.model), salted(trial, 'tuned'), { style: 'dyadic' })
      const at = wrappedWeights(tuned)
      if (at.length === 0) return vacuous('the transform wrapped no weight')
      const merged = trial.tools.merge(tuned)
      const now = new Map([...places(merged)].map((p) => [p.route.join('.'), p.node]))
      return every(at, (p) => {
        const node = now.get(p.route.join('.'))
        if (!isParam(node)) return fails(`${showPath(p.path)} is not a parameter after merge`)
        return compareWeight(
          p,
          expected(p.node, { Lora: loraFormula, ...formulas }, contextOf(trial)),
          node.value,
          within,
        )
      })
    },
  })

/** After `merge`, each weight is W + s·A·B to the last bit, computed independently in plain numbers. */
export const mergeIsWeightExactly: TransformLaw = mergeIs({})
