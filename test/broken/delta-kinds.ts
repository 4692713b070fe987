import {
  FourierftKind,
  LohaKind,
  TokenRowsKind,
  VeraKind,
  additive,
  fourierft,
  isConstant,
  isParam,
  key,
  leaves,
  lokr,
  lokrKinds,
  lookup,
  mapLeaves,
  materialize,
  merge,
  param,
  places,
  replaceAt,
  tokens,
  vera,
  withValue,
} from '../../src/index.ts'
import type { AnyKind, Ctx, Fourierft, Loha, Param, Tensor, TokenRows, Vera } from '../../src/index.ts'
import { countsAdd, structural, verdict } from '../../src/laws/index.ts'
import {
  add,
  concat,
  div,
  gather,
  matmul,
  mul,
  permutation,
  reshape,
  scatterAdd,
  slice,
  sub,
  tensor,
  uniform,
} from '../../src/ops/index.ts'

interface Wrapper {
  readonly base: Param
}

/** The kind with another change to its base. */
const adding = <N extends Wrapper>(kind: AnyKind, delta: (w: N, ctx: Ctx) => Tensor): AnyKind => ({
  ...kind,
  ops: additive<N>({ delta }) as never,
})

export const kron = (a: Tensor, b: Tensor): Tensor => {
  const [[in1 = 1, out1 = 1], [in2 = 1, out2 = 1]] = [a.shape, b.shape]
  const blocks = mul(reshape(a, [in1, 1, out1, 1]), reshape(b, [1, in2, 1, out2]))
  return reshape(blocks, [in1 * in2, out1 * out2])
}

interface Whole extends Wrapper {
  readonly w1: Param
  readonly w2: Param
}

export const lokrBy = (change: (w1: Tensor, w2: Tensor) => Tensor): Readonly<Record<string, AnyKind>> => ({
  LokrFullFull: adding<Whole>(lokrKinds.LokrFullFull, (w) => change(w.w1.value, w.w2.value)),
})

export const square = lokr({ at: 'square' })
export const lokrDims = { dims: { in: 3, hidden: [6, 8] as const, out: 3 } }

export const lohaBy = (factor: (w: Loha) => number): Readonly<Record<string, AnyKind>> => ({
  Loha: {
    ...LohaKind,
    ops: {
      ...LohaKind.ops,
      // What runs is right; what is merged is told another factor.
      materialize: (w: Loha, ctx: Ctx) => {
        const change = mul(matmul(w.w1a.value, w.w1b.value), matmul(w.w2a.value, w.w2b.value))
        return add(materialize(w.base, ctx), mul(change, factor(w)))
      },
    },
  },
})

const projections = (w: Vera, from: (most: number, n: number) => number): readonly [Tensor, Tensor] => {
  const [a, b] = [w.projectionA.value, w.projectionB.value]
  const [rows, columns] = (w.base as Param).value.shape as readonly [number, number]
  const [highest = 0, rank = 0] = a.shape
  return [
    slice(a, [from(highest, rows), 0], [rows, rank]),
    slice(b, [0, from(b.shape[1] ?? 0, columns)], [rank, columns]),
  ]
}

export const veraBy = (
  vectors: (w: Vera) => readonly [d: Tensor, b: Tensor],
  from: (most: number, n: number) => number,
): Readonly<Record<string, AnyKind>> => ({
  Vera: adding<Vera & Wrapper>(VeraKind, (w) => {
    const [[a, b], [inner, outer]] = [projections(w, from), vectors(w)]
    return mul(matmul(mul(a, inner), b), outer)
  }),
})

export const fromStart = (): number => 0
export const inOrder = (w: Vera) => [w.d.value, w.b.value] as const

export const wide = vera({ at: '**', rank: 2 })

/** Each weight with projections of its own, as many as there are weights. */
export const veraRedrawn = (model: never): unknown => {
  const tuned = wide(model)
  return replaceAt(
    tuned,
    [...places(tuned)]
      .filter((p) => isConstant(p.node))
      .map(({ node, path, route }) => {
        const { value } = node as { readonly value: Tensor }
        const label = path.join('.')
        return { route, value: { ...(node as object), label, value: uniform(key(label), value.shape, -1, 1) } }
      }),
  )
}

export const drawnOnce = structural({
  name: 'drawnOnce',
  says: 'All weights of a model share one pair of projections.',
  equality: 'reference',
  check: ({ model, transform }) => {
    const found = new Set(leaves(transform(model)).filter(isConstant)).size
    return verdict(found === 2, `${found} projections`)
  },
})

/** The projections as parameters, trained and counted with the rest. */
export const veraTrained = (model: never): unknown =>
  mapLeaves(wide(model), (leaf) => (isConstant(leaf) ? (param('matrix', leaf.label, leaf.value) as never) : leaf))

export const outAndRank = countsAdd((model) =>
  leaves(model).reduce((n, l) => n + (isParam(l) && l.form === 'matrix' ? l.value.shape[1]! + 2 : 0), 0),
)

/** Loading that draws the positions anew, from a generator that knows nothing of how they were drawn. */
export const positionsRedrawn = (model: unknown): unknown =>
  mapLeaves(model, (leaf) =>
    isConstant(leaf)
      ? withValue(
          leaf,
          reshape(
            gather(reshape(leaf.value, [leaf.value.size]), tensor(permutation(key('load'), leaf.value.size))),
            leaf.value.shape,
          ),
        )
      : leaf,
  )

export const frequent = fourierft({ at: '**', frequencies: 4 })

/** The wave of u along the inputs runs backwards: that of in − u. */
export const conjugated: Readonly<Record<string, AnyKind>> = {
  Fourierft: adding<Fourierft & Wrapper>(FourierftKind, (w, ctx) => {
    const n = w.spectrum.value.size
    const [u, v] = [0, 1].map((axis) => slice(w.positions.value, [axis, 0], [1, n])) as [Tensor, Tensor]
    const value = concat([sub(w.base.value.shape[0] ?? 1, u), v], 0)
    return changeOf({ ...w, positions: { ...w.positions, value } }, ctx)
  }),
}

const changeOf = (w: Fourierft & Wrapper, ctx: Ctx): Tensor => {
  const ops = FourierftKind.ops
  return add(ops.materialize(w, ctx), mul(materialize(w.base, ctx), -1))
}

export const divided = (model: unknown): unknown => {
  const merged = merge(model)
  return replaceAt(
    merged,
    [...places(model)].flatMap(({ node, route }) => {
      const { _tag, base, scale } = node as { readonly _tag?: string; readonly base: Param; readonly scale: Param }
      if (_tag !== 'Ia3') return []
      const value = div(mul(base.value, scale.value), add(scale.value, 1e-8))
      return [{ route, value: withValue(base, value) }]
    }),
  )
}

export const added: Readonly<Record<string, AnyKind>> = {
  TokenRows: {
    ...TokenRowsKind,
    ops: {
      ...TokenRowsKind.ops,
      lookup: (ids: Tensor, w: TokenRows, ctx: Ctx) =>
        add(lookup(ids, w.base, ctx), gather(scatterAdd(w.ids.value, w.rows.value, vocabularyOf(w)), ids)),
    },
  },
}

export const offByOne: Readonly<Record<string, AnyKind>> = {
  TokenRows: {
    ...TokenRowsKind,
    ops: {
      ...TokenRowsKind.ops,
      lookup: (ids: Tensor, w: TokenRows, ctx: Ctx) =>
        TokenRowsKind.ops.lookup(ids, { ...w, ids: { ...w.ids, value: add(w.ids.value, 1) } }, ctx),
    },
  },
}

const vocabularyOf = (w: TokenRows): number => (w.base as Param).value.shape[0] ?? 1

export const trained = tokens({ ids: [0, 1] })
