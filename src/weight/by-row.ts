import { lookup, materialize, project, projectT, shapeOf } from '../kind/index.ts'
import type { Added, Ctx, Kind, Weight } from '../kind/index.ts'
import { add, concat, gather, matmul, mul, tensor, zeros } from '../ops/index.ts'
import { EspalierError } from '../tree/error.ts'
import { didYouMean } from '../tree/nearest.ts'
import type { Tensor } from '../tree/tensor.ts'
import { scaleOf } from './lora.ts'
import type { Lora } from './lora.ts'

/** A weight with several changes by name, of which each row of a batch gets its own: x·W once for all rows, plus xᵢ·Δᵢ. */
export interface ByRow<W extends Weight = Weight> extends Weight {
  readonly _tag: 'ByRow'
  readonly '~role'?: 'weight'
  readonly base: W
  /** What each name adds, from the outermost in and without what it wraps; nothing for a name that does not change this weight. */
  readonly among: Readonly<Record<string, readonly Weight[]>>
}

const refuse = (_tag: string, expected: string, found: string, hint: string): never => {
  throw new EspalierError([{ _tag, path: 'rows', expected, found, hint }])
}

const addsOf = ({ _tag }: Weight, ctx: Ctx): Added<Weight> => {
  const kind = Object.hasOwn(ctx.kinds, _tag) ? ctx.kinds[_tag] : undefined
  const adds = kind?.role === 'weight' ? (kind as Kind<Weight, 'weight'>).ops.adds : undefined
  return adds ?? refuse('NotAdditive', 'a change that is added', _tag, 'Run it by `mixed`, which takes any method.')
}

/** The rows that bear each name, and those with nothing to add under null. */
const groups = ({ among }: ByRow, rows: readonly (string | null)[]): ReadonlyMap<string | null, readonly number[]> => {
  const found = new Map<string | null, number[]>()
  rows.forEach((name, row) => {
    if (name !== null && !Object.hasOwn(among, name))
      refuse(
        'UnknownAdapter',
        `null, or one of ${Object.keys(among).join(', ')}`,
        name,
        didYouMean(name, Object.keys(among)),
      )
    const group = name === null || among[name]!.length === 0 ? null : name
    found.set(group, [...(found.get(group) ?? []), row])
  })
  return found
}

/** Where each row has gone, from which row stands where. */
export const inverseOf = (order: readonly number[]): readonly number[] => {
  const back: number[] = []
  for (const [at, row] of order.entries()) back[row] = at
  return back
}

const ids = (rows: readonly number[]): Tensor => tensor(Int32Array.from(rows), [rows.length], 'int32')

type Op = 'times' | 'timesT' | 'rows'
type Groups = readonly (readonly [name: string | null, rows: readonly number[]])[]

const plain = new Set(['_tag', '~role', 'base', 'a', 'b', 'alpha', 'scaling', 'dropout'])

const isPlainLora = (node: Weight, ctx: Ctx): node is Lora =>
  node._tag === 'Lora' &&
  Object.keys(node).every((name) => plain.has(name)) &&
  (ctx.train !== true || (node as Lora).dropout === 0)

/**
 * What LoRAs add in a few large products: all of them side by side, and of what comes between only each row's own share.
 *
 * @source Chen et al. 2023, "Punica: Multi-Tenant LoRA Serving", §4, has the same batch; here it is one product with a mask.
 */
const besideEachOther = (x: Tensor, w: ByRow, ctx: Ctx, op: Op, grouped: Groups): Tensor | undefined => {
  const nodes = grouped.flatMap(([name, own]) => (name === null ? [] : w.among[name]!.map((node) => ({ node, own }))))
  const loras = nodes.flatMap(({ node, own }) => (isPlainLora(node, ctx) ? [{ node, own }] : []))
  if (loras.length < nodes.length) return undefined
  const ranks = loras.map(({ node }) => node.a.value.shape[1]!)
  const rank = ranks.reduce((a, b) => a + b, 0)
  const rows = x.shape[0]!
  const share = new Float32Array(rows * rank)
  let from = 0
  for (const [i, { node, own }] of loras.entries()) {
    for (const row of own) share.fill(scaleOf(node), row * rank + from, row * rank + from + ranks[i]!)
    from += ranks[i]!
  }
  const [a, b] = (['a', 'b'] as const).map((side) => {
    const all = loras.map(({ node }) => node[side].value)
    return all.length === 1 ? all[0]! : concat(all, side === 'a' ? 1 : 0)
  }) as [Tensor, Tensor]
  const inner = op === 'times' ? matmul(x, a) : op === 'timesT' ? matmul(x, b, { transposeB: true }) : gather(a, x)
  const own = mul(inner, tensor(share, [rows, ...inner.shape.slice(1, -1).map(() => 1), rank]))
  return op === 'timesT' ? matmul(own, a, { transposeB: true }) : matmul(own, b)
}

/** The same for any change: each row's own, group by group. */
const oneByOne = (x: Tensor, w: ByRow, ctx: Ctx, op: Op, grouped: Groups, width: readonly number[]): Tensor => {
  const parts = grouped.map(([name, own]) => {
    if (name === null) return zeros([own.length, ...width])
    const theirs = grouped.length === 1 ? x : gather(x, ids(own))
    const added = w.among[name]!.map((node) => addsOf(node, ctx)[op](theirs, { ...node, base: w.base } as Weight, ctx))
    return added.reduce((a, b) => add(a, b))
  })
  if (parts.length === 1) return parts[0]!
  const order = grouped.flatMap(([, own]) => own)
  return gather(concat(parts, 0), ids(inverseOf(order)))
}

/** The outputs of the base plus what each row's own change adds. */
const withOwn = (out: Tensor, x: Tensor, w: ByRow, ctx: Ctx, op: Op): Tensor => {
  if (Object.keys(w.among).length === 0) return out
  const { rows } = ctx
  if (rows === undefined)
    return refuse('NoRows', 'the name of an adapter for each row', 'none', "Pass { rows: ['fr', null, …] } to `apply`.")
  if (x.shape[0] !== rows.length)
    return refuse(
      'ShapeMismatch',
      `${rows.length} rows, one for each name`,
      `[${x.shape.join(', ')}]`,
      'Rows are the first axis all the way: this weight is used where the batch was folded into another axis.',
    )
  const grouped = [...groups(w, rows)]
  if (grouped.every(([name]) => name === null)) return out
  return add(out, besideEachOther(x, w, ctx, op, grouped) ?? oneByOne(x, w, ctx, op, grouped, out.shape.slice(1)))
}

/** The kind behind `byRow`. */
export const ByRowKind: Kind<ByRow, 'weight'> = {
  tag: 'ByRow',
  role: 'weight',
  fields: { among: { _tag: 'StaticField', value: {} } },
  ops: {
    project: (x, w, ctx) => withOwn(project(x, w.base, ctx), x, w, ctx, 'times'),
    projectT: (x, w, ctx) => withOwn(projectT(x, w.base, ctx), x, w, ctx, 'timesT'),
    lookup: (i, w, ctx) => withOwn(lookup(i, w.base, ctx), i, w, ctx, 'rows'),
    shape: (w, ctx) => shapeOf(w.base, ctx),
    materialize: (w, ctx) =>
      Object.keys(w.among).length === 0
        ? materialize(w.base, ctx)
        : refuse('NoRows', 'one weight', 'one for each row', 'Put one adapter on the base: wear(adapter).'),
  },
}
