import type { Kind, Kinds, Weight } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import { read } from '../ops/index.ts'
import { EspalierError, fail, issue } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { isHole, isParam } from '../tree/leaf.ts'
import { showPath } from '../tree/walk.ts'
import { innermost, isWrapper } from '../tree/wrap.ts'
import { scaleOf } from '../weight/index.ts'
import type { Lora } from '../weight/index.ts'
import type { Dense, Factors } from './low-rank.ts'
import type { Adapter, Spot } from './wear.ts'

/** What a part of an adapter adds to its weight: factors with their scale in B, or plain numbers. */
export type Change = { readonly factors: Factors; readonly scale: number } | { readonly dense: Dense }

/** A base of which only the shape is known: a change that looks at more of it is no sum. */
interface Unknown extends Weight {
  readonly _tag: 'UnknownBase'
  readonly shape: readonly number[]
}

const refuse = (): never =>
  fail({ _tag: 'NotAdditive', path: '', expected: 'a change that no base decides', found: 'one of its base', hint: '' })

const UnknownKind: Kind<Unknown, 'weight'> = {
  tag: 'UnknownBase',
  role: 'weight',
  fields: {},
  ops: { project: refuse, projectT: refuse, lookup: refuse, materialize: refuse, shape: ({ shape }) => shape },
}

/** What wraps a weight, from the outermost in; undefined where what it wraps is not left to the base. */
export const chainOf = (node: unknown): readonly Weight[] | undefined => {
  if (isHole(node)) return []
  const inner = isWrapper(node) ? chainOf(node.base) : undefined
  return inner === undefined ? undefined : [node as Weight, ...inner]
}

const isLora = (node: Weight): node is Lora => node._tag === 'Lora'

/** The numbers of a LoRA, its scale in B. */
const factorsOf = (node: Lora): Factors => {
  const scale = scaleOf(node)
  const [rows = 0, rank = 0] = node.a.value.shape
  return {
    a: { rows, columns: rank, data: read(node.a.value) },
    b: {
      rows: rank,
      columns: node.b.value.shape[1] ?? 0,
      data: Float64Array.from(read(node.b.value), (x) => scale * x),
    },
  }
}

/** The factors side by side: their product is the sum of the products. */
export const beside = (all: readonly Factors[]): Factors => {
  const [rows, columns] = [all[0]!.a.rows, all[0]!.b.columns]
  const rank = all.reduce((n, { a }) => n + a.columns, 0)
  const a = new Float64Array(rows * rank)
  const b = new Float64Array(rank * columns)
  let from = 0
  for (const part of all) {
    const own = part.a.columns
    for (let i = 0; i < rows; i++) for (let k = 0; k < own; k++) a[i * rank + from + k] = part.a.data[i * own + k]!
    b.set(Array.from(part.b.data), from * columns)
    from += own
  }
  return { a: { rows, columns: rank, data: a }, b: { rows: rank, columns, data: b } }
}

const denseOf = (nodes: readonly Weight[], spot: Spot, kinds: Kinds): Dense | undefined => {
  const [rows = 0, columns = 0] = spot.shape
  const ctx = context({ kinds: { ...kinds, UnknownBase: UnknownKind } })
  const base: Unknown = { _tag: 'UnknownBase', shape: spot.shape }
  const data = new Float64Array(rows * columns)
  for (const node of nodes) {
    const kind = Object.hasOwn(ctx.kinds, node._tag) ? ctx.kinds[node._tag] : undefined
    const adds = kind?.role === 'weight' ? (kind as Kind<Weight, 'weight'>).ops.adds : undefined
    if (adds === undefined) return undefined
    try {
      read(adds.delta({ ...node, base } as Weight, ctx)).forEach((x, i) => (data[i]! += x))
    } catch (error) {
      if (error instanceof EspalierError && error.issues[0]?._tag === 'NotAdditive') return undefined
      throw error
    }
  }
  return { rows, columns, data }
}

/** Adapters that carry weights of their base because these were trainable when the adapter was taken. */
export const trainedBases = (adapters: Readonly<Record<string, Adapter>>): readonly Issue[] =>
  Object.entries(adapters).flatMap(([path, { parts }]) => {
    const carried = parts.filter(({ node }) => isWrapper(node) && isParam(innermost(node)))
    return carried.length === 0
      ? []
      : [
          issue(
            'BaseTrained',
            path,
            'an adapter of a frozen base',
            `${carried.length} adapted weights of a base that is trainable itself, such as ${showPath(carried[0]!.path)}`,
            'Freeze the base before the adapter is put on: pipe(base, freeze, …, adapterOf).',
          ),
        ]
  })

/** What keeps adapters from standing on one base together: each was made on another one than the first. */
export const otherBases = (adapters: Readonly<Record<string, Adapter>>): readonly Issue[] => {
  const [first, ...rest] = Object.entries(adapters).map(
    ([name, { outline }]) => [name, JSON.stringify(outline)] as const,
  )
  return rest.flatMap(([path, outline]) =>
    outline === first![1]
      ? []
      : [
          {
            _tag: 'OtherBase',
            path,
            expected: 'adapters of one base',
            found: `one of another base than ${first![0]}`,
            hint: 'Paths, labels and shapes of their bases must agree.',
          },
        ],
  )
}

/** What a part adds to the weight at its place; undefined where that is no sum, or depends on the base. */
export const changeOf = (node: unknown, spot: Spot | undefined, kinds: Kinds): Change | undefined => {
  const nodes = spot === undefined || spot.shape.length !== 2 ? undefined : chainOf(node)
  if (nodes === undefined || spot === undefined) return undefined
  if (nodes.every(isLora))
    return { factors: beside(nodes.map(factorsOf)), scale: nodes.length === 1 ? scaleOf(nodes[0]!) : 1 }
  const dense = denseOf(nodes, spot, kinds)
  return dense === undefined ? undefined : { dense }
}
