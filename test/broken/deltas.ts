import {
  FourierftKind,
  Ia3InputsKind,
  Ia3Kind,
  LohaKind,
  TokenRowsKind,
  VeraKind,
  additive,
  fourierft,
  ia3,
  isConstant,
  isParam,
  key,
  leaves,
  loha,
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
import {
  countsAdd,
  detachRestores,
  mergeIs,
  mergePreservesOutputs,
  preservesOutputs,
  structural,
  survivesSaveLoad,
  verdict,
} from '../../src/laws/index.ts'
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
  transpose,
  uniform,
} from '../../src/ops/index.ts'
import { deltaFormulas } from '../laws/methods/deltas.ts'
import { onNet, onSllm } from './broken.ts'
import type { Fault } from './broken.ts'

const asFormula = mergeIs(deltaFormulas, 1e-5)

interface Wrapper {
  readonly base: Param
}

/** The kind with another change to its base. */
const adding = <N extends Wrapper>(kind: AnyKind, delta: (w: N, ctx: Ctx) => Tensor): AnyKind => ({
  ...kind,
  ops: additive<N>({ delta }) as never,
})

const kron = (a: Tensor, b: Tensor): Tensor => {
  const [[in1 = 1, out1 = 1], [in2 = 1, out2 = 1]] = [a.shape, b.shape]
  const blocks = mul(reshape(a, [in1, 1, out1, 1]), reshape(b, [1, in2, 1, out2]))
  return reshape(blocks, [in1 * in2, out1 * out2])
}

interface Whole extends Wrapper {
  readonly w1: Param
  readonly w2: Param
}

const lokrBy = (change: (w1: Tensor, w2: Tensor) => Tensor): Readonly<Record<string, AnyKind>> => ({
  LokrFullFull: adding<Whole>(lokrKinds.LokrFullFull, (w) => change(w.w1.value, w.w2.value)),
})

const square = lokr({ at: 'square' })
const lokrDims = { dims: { in: 3, hidden: [6, 8] as const, out: 3 } }

const lohaBy = (factor: (w: Loha) => number): Readonly<Record<string, AnyKind>> => ({
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

const veraBy = (
  vectors: (w: Vera) => readonly [d: Tensor, b: Tensor],
  from: (most: number, n: number) => number,
): Readonly<Record<string, AnyKind>> => ({
  Vera: adding<Vera & Wrapper>(VeraKind, (w) => {
    const [[a, b], [inner, outer]] = [projections(w, from), vectors(w)]
    return mul(matmul(mul(a, inner), b), outer)
  }),
})

const fromStart = (): number => 0
const inOrder = (w: Vera) => [w.d.value, w.b.value] as const

const wide = vera({ at: '**', rank: 2 })

/** Each weight with projections of its own, as many as there are weights. */
const veraRedrawn = (model: never): unknown => {
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

const drawnOnce = structural({
  name: 'drawnOnce',
  says: 'All weights of a model share one pair of projections.',
  equality: 'reference',
  check: ({ model, transform }) => {
    const found = new Set(leaves(transform(model)).filter(isConstant)).size
    return verdict(found === 2, `${found} projections`)
  },
})

/** The projections as parameters, trained and counted with the rest. */
const veraTrained = (model: never): unknown =>
  mapLeaves(wide(model), (leaf) => (isConstant(leaf) ? (param('matrix', leaf.label, leaf.value) as never) : leaf))

const outAndRank = countsAdd((model) =>
  leaves(model).reduce((n, l) => n + (isParam(l) && l.form === 'matrix' ? l.value.shape[1]! + 2 : 0), 0),
)

/** Loading that draws the positions anew, from a generator that knows nothing of how they were drawn. */
const positionsRedrawn = (model: unknown): unknown =>
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

const frequent = fourierft({ at: '**', frequencies: 4 })

/** The wave of u along the inputs runs backwards: that of in − u. */
const conjugated: Readonly<Record<string, AnyKind>> = {
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

const divided = (model: unknown): unknown => {
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

const added: Readonly<Record<string, AnyKind>> = {
  TokenRows: {
    ...TokenRowsKind,
    ops: {
      ...TokenRowsKind.ops,
      lookup: (ids: Tensor, w: TokenRows, ctx: Ctx) =>
        add(lookup(ids, w.base, ctx), gather(scatterAdd(w.ids.value, w.rows.value, vocabularyOf(w)), ids)),
    },
  },
}

const offByOne: Readonly<Record<string, AnyKind>> = {
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

const trained = tokens({ ids: [0, 1] })

export const deltaFaults: readonly Fault[] = [
  {
    name: 'LoKr: the factors are exchanged, w2 ⊗ w1',
    source: 'LyCORIS and PEFT differ in which factor is the large one; a file of the one loads into the other by shape',
    law: asFormula,
    ...onNet,
    options: lokrDims,
    broken: { transform: square, kinds: lokrBy((w1, w2) => kron(w2, w1)) },
    twin: { transform: square, kinds: lokrBy(kron) },
  },
  {
    name: 'LoKr: a factor is transposed, which only fits square ones',
    source: 'fan_in_fan_out of PEFT: ΔW is transposed or not by a flag',
    law: asFormula,
    ...onNet,
    options: lokrDims,
    broken: { transform: square, kinds: lokrBy((w1, w2) => kron(transpose(w1), w2)) },
    twin: { transform: square, kinds: lokrBy(kron) },
  },
  {
    name: 'LoHa: merging forgets alpha',
    source: 'MLX-LM and others read alpha as it is where PEFT divides it by the rank (mlx-vlm issue 986)',
    law: mergePreservesOutputs,
    ...onNet,
    broken: { transform: loha({ at: '**', rank: 2, alpha: 4 }), kinds: lohaBy(() => 1) },
    twin: { transform: loha({ at: '**', rank: 2, alpha: 4 }), kinds: lohaBy((w) => w.alpha) },
  },
  {
    name: 'VeRA: the projections are drawn again for every layer',
    source: 'PEFT, RandLoRA: shared bases are saved once for each layer, 59 times the size (issues 3709, 3714)',
    law: drawnOnce,
    ...onNet,
    broken: { transform: veraRedrawn },
    twin: { transform: wide },
  },
  {
    name: 'VeRA: the vectors b and d are exchanged, which only fits where out is the rank',
    source: 'AdapterHub: VeRA under the names lora_A and lora_B',
    law: asFormula,
    ...onNet,
    options: { dims: { in: 2, hidden: 2, out: 2 } },
    broken: { transform: wide, kinds: veraBy((w) => [w.b.value, w.d.value], fromStart) },
    twin: { transform: wide, kinds: veraBy(inOrder, fromStart) },
  },
  {
    name: 'VeRA: a smaller weight uses the last rows of A and the last columns of B',
    source: 'PEFT: A[:, :in] and B[:out] are slices of projections sized by the largest weight',
    law: asFormula,
    ...onNet,
    options: { dims: { in: 2, hidden: 5, out: 3 } },
    broken: { transform: wide, kinds: veraBy(inOrder, (most, n) => most - n) },
    twin: { transform: wide, kinds: veraBy(inOrder, fromStart) },
  },
  {
    name: 'VeRA: the projections are trained and counted',
    source: 'AdapterHub: VeRA holds dense matrices as trainable, 9,472 parameters rather than vectors',
    law: outAndRank,
    ...onNet,
    broken: { transform: veraTrained },
    twin: { transform: wide },
  },
  {
    name: 'FourierFT: the positions are not saved, and drawn again on loading',
    source: 'PEFT: locations are not in the file and come from the random numbers of torch (also WaveFT, UniLoRA)',
    law: survivesSaveLoad,
    ...onNet,
    options: { dims: { in: 4, hidden: 4, out: 4 } },
    broken: { transform: frequent, using: { throughFile: positionsRedrawn } },
    twin: { transform: frequent },
  },
  {
    name: 'FourierFT: a wave runs the other way along the inputs',
    source: 'the forward transform in place of the inverse one, which agree on symmetric spectra only',
    law: asFormula,
    ...onNet,
    options: { dims: { in: [3, 5] as const, hidden: [3, 5] as const, out: [3, 5] as const } },
    broken: { transform: frequent, kinds: conjugated },
    twin: { transform: frequent },
  },
  {
    name: 'IA³: unmerging divides by the factors, and a little more',
    source: 'PEFT: unmerge divides by ia3_l + 1e-8, with a warning that it can be inaccurate',
    law: detachRestores,
    ...onNet,
    broken: { transform: ia3({ at: '**' }), using: { detach: divided } },
    twin: { transform: ia3({ at: '**' }) },
  },
  {
    name: 'IA³: what should scale inputs scales outputs, which only fits square weights',
    source: 'PEFT: feedforward_modules decides which, by name; forgotten, every layer scales its outputs',
    law: asFormula,
    ...onNet,
    broken: {
      transform: ia3.inputs({ at: 'square' }),
      kinds: { Ia3Inputs: { ...Ia3InputsKind, ops: Ia3Kind.ops } },
    },
    twin: { transform: ia3.inputs({ at: 'square' }) },
  },
  {
    name: 'tokens: the trained rows are added to the table',
    source: 'PEFT: trainable_tokens_delta is named a delta and holds the rows themselves',
    law: preservesOutputs,
    ...onSllm,
    broken: { transform: trained, kinds: added },
    twin: { transform: trained },
  },
  {
    name: 'tokens: the ids are off by one',
    source: 'a vocabulary counted from 1, or one token more at its front',
    law: preservesOutputs,
    ...onSllm,
    broken: { transform: trained, kinds: offByOne },
    twin: { transform: trained },
  },
]
