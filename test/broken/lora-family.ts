import {
  DoraKind,
  LoraKind,
  attach,
  buffer,
  allOnes,
  allZeros,
  dora,
  isParam,
  key,
  leafPlaces,
  lora,
  mapLeaves,
  materialize,
  matrix,
  merge,
  places,
  replaceAt,
  scaleOf,
  variant,
  vector,
  withValue,
} from '../../src/index.ts'
import type { Dora, Lora, LoraFrom, Matrix, WeightOps } from '../../src/index.ts'
import {
  detachRestores,
  every,
  fails,
  holds,
  mergePreservesOutputs,
  perturbed,
  preservesOutputs,
  structural,
  verdict,
} from '../../src/laws/index.ts'
import type { TransformLaw } from '../../src/laws/index.ts'
import { add, div, gather, matmul, mul, read, sqrt, square, sub, sum, transpose, uniform } from '../../src/ops/index.ts'
import { EspalierError } from '../../src/index.ts'
import { Words, columnsAreAsLong, isRootTimes } from '../laws/methods/lora-laws.ts'
import { elementsOf, onNet } from './broken.ts'
import type { Fault } from './broken.ts'

const all = { at: '**', rank: 2 } as const

/** Every node of a tag, rewritten. */
const rewriting =
  <N>(tag: string, f: (node: N) => unknown) =>
  (model: unknown): unknown =>
    replaceAt(
      model,
      [...places(model)]
        .filter((p) => (p.node as { readonly _tag?: string } | null)?._tag === tag)
        .map((p) => ({ route: p.route, value: f(p.node as N) })),
    )

const pissa = lora({ ...all, init: 'pissa' })

/** As the paper has it: the base loses what the adapter takes over. */
const rewritesBase = (model: never): unknown =>
  rewriting<LoraFrom<Matrix>>('LoraFrom', ({ base, a, b, a0, b0, alpha, scaling, dropout }) => ({
    _tag: 'Lora',
    base: withValue(base, sub(base.value, mul(matmul(a0.value, b0.value), alpha))),
    a,
    b,
    alpha,
    scaling,
    dropout,
  }))(pissa(model))

const byRow: WeightOps<Dora> = {
  ...DoraKind.ops,
  materialize: (w, ctx) => {
    const dense = add(materialize(w.base, ctx), mul(matmul(w.a.value, w.b.value), scaleOf(w)))
    return mul(div(dense, sqrt(sum(square(dense), { axes: 1, keepDims: true }))), w.magnitude.value)
  },
}

const drawnLengths = (model: never): unknown =>
  mapLeaves(dora(all)(model), (leaf) =>
    isParam(leaf) && leaf.label.endsWith('.magnitude')
      ? withValue(leaf, uniform(key(leaf.label), leaf.value.shape, 0.5, 1.5))
      : leaf,
  )

const rooted = lora({ at: '**', rank: 4, alpha: 2, scaling: 'alpha/sqrt(rank)' })
const rootLaw = isRootTimes(4, lora({ at: '**', rank: 4, alpha: 2, scaling: 'alpha/rank' }))
/** Merges as though the root were not there. */
const plainMerge = (model: unknown): unknown =>
  merge(rewriting<Lora>('Lora', (w) => ({ ...w, scaling: w.scaling === 'alpha' ? 'alpha' : 'alpha/rank' }))(model))

/** The change of each weight is alpha over the rank of that weight, times A·B. */
const ownRankScales = (alpha: number): TransformLaw =>
  structural({
    name: 'ownRankScales',
    says: 'The factor of each weight is alpha over its own rank.',
    equality: 'tolerance',
    check: (trial) => {
      const tuned = perturbed(trial.transform(trial.model), key(trial.drawnFrom))
      const merged = new Map(leafPlaces(trial.tools.merge(tuned)).map((p) => [p.node.label, p.node.value]))
      return every(
        [...places(tuned)].map((p) => p.node as Lora<Matrix>).filter((n) => n?._tag === 'Lora'),
        ({ base, a, b }) => {
          const want = add(base.value, mul(matmul(a.value, b.value), alpha / a.value.shape[1]!))
          const found = elementsOf(merged.get(base.label)!)
          const far = [...read(want)].findIndex((x, i) => Math.abs(x - found[i]!) > 1e-4)
          return verdict(far < 0, `number ${far} of ${base.label} is ${found[far]}`)
        },
      )
    },
  })

const patterned = lora({ at: '**', rank: 2, alpha: 4, scaling: 'alpha/rank', rankPattern: { fc2: 4 } })
const globallyScaled = (model: never): unknown =>
  rewriting<Lora>('Lora', (w) => ({ ...w, alpha: (w.alpha * w.a.value.shape[1]!) / 2 }))(patterned(model))

/** What names nothing is refused and not passed over. */
const refusesTypos: TransformLaw = structural({
  name: 'refusesTypos',
  says: 'A pattern that names nothing is refused by its name.',
  equality: 'exact',
  check: ({ model, transform }) => {
    try {
      transform(model)
      return fails('the pattern names nothing, and nothing was said')
    } catch (error) {
      if (error instanceof EspalierError && error.issues.some((i) => i._tag === 'NoMatch')) return holds
      throw error
    }
  },
})

const typo = { '**.cf2': 5 }
/** Keeps those patterns that name something, as a filter would. */
const forgiving = (model: never): unknown => lora({ ...all, rankPattern: { '**.fc1': 3 } })(model)
const strict = lora.unchecked({ ...all, rankPattern: typo })

const hiding = (hides: boolean) =>
  variant(hides ? 'Hiding' : 'Pruning', {
    fields: {
      a: matrix('in', 'rank'),
      e: vector('rank', allZeros),
      b: matrix('rank', 'out'),
      kept: buffer(['rank'], (k, shape) => mul(allOnes(k, shape), 0)),
    },
    // The mask is in the way of the forward pass; what is merged, saved or combined does not know of it.
    delta: (w) => matmul(mul(w.a.value, hides ? w.e.value : mul(w.e.value, w.kept.value)), w.b.value),
    times: (x, w) => matmul(mul(matmul(x, w.a.value), mul(w.e.value, w.kept.value)), w.b.value),
  })
const [Hiding, Pruning] = [hiding(true), hiding(false)]

const turned: WeightOps<Lora> = {
  ...LoraKind.ops,
  lookup: (ids, w) =>
    add(
      gather((w.base as Matrix).value, ids),
      mul(matmul(gather(transpose(w.a.value, [1, 0]), ids), w.b.value), scaleOf(w)),
    ),
}
const onTables = lora.embedding({ at: '**', rank: 4 })

export const loraFamilyFaults: readonly Fault[] = [
  {
    name: 'PiSSA takes its part out of the base, so that detach does not give it back',
    source: 'PEFT, init_lora_weights "pissa" and "olora": unload returns the residual, off by up to 0.053',
    law: detachRestores,
    ...onNet,
    broken: { transform: rewritesBase },
    twin: { transform: pissa },
  },
  {
    name: 'DoRA divides by the norms of rows',
    source:
      'the formula of PEFT, whose weights are [out, in], on weights that are [in, out]: axis 1 is then the inputs',
    law: columnsAreAsLong,
    ...onNet,
    broken: { transform: dora(all), kinds: { Dora: { ...DoraKind, ops: byRow } } },
    twin: { transform: dora(all) },
  },
  {
    name: 'the lengths of DoRA are drawn and not those of the weight',
    source: 'a field that begins by its own default, where its first value must come from the weight',
    law: preservesOutputs,
    ...onNet,
    broken: { transform: drawnLengths },
    twin: { transform: dora(all) },
  },
  {
    name: 'merging forgets the root of rsLoRA',
    source: 'PEFT: weighted combination of one rsLoRA adapter with weight 1 is off by 0.195 (issue 3761)',
    law: rootLaw,
    ...onNet,
    broken: { transform: rooted, using: { merge: plainMerge } },
    twin: { transform: rooted },
  },
  {
    name: 'a rank by pattern is scaled by the rank of all',
    source: 'PEFT, hotswap with rank_pattern: a factor of 2 where 4 was meant (issue 3738)',
    law: ownRankScales(4),
    ...onNet,
    broken: { transform: globallyScaled },
    twin: { transform: patterned },
  },
  {
    name: 'a mistyped pattern of ranks is dropped',
    source: 'PEFT: rank_pattern keys that name no module are passed over in silence (issue 3693)',
    law: refusesTypos,
    ...onNet,
    broken: { transform: forgiving },
    twin: { transform: strict },
  },
  {
    name: 'AdaLoRA hides what it prunes from the forward pass only',
    source: 'masks beside the parameters: what is merged or saved still holds the pruned directions',
    law: mergePreservesOutputs,
    ...onNet,
    broken: { transform: attach(Hiding)({ at: '**.fc1', rank: 2 }), kinds: { Hiding } },
    twin: { transform: attach(Pruning)({ at: '**.fc1', rank: 2 }), kinds: { Pruning } },
  },
  {
    name: 'the factors of LoRA on an embedding are looked up transposed',
    source: 'an A stored as rank × vocabulary and read as vocabulary × rank: a square one loads without a word',
    law: mergePreservesOutputs,
    on: Words,
    options: {
      dims: { vocab: 4, d: 4 },
      input: (_: unknown, batch: number) => ({ shape: [batch, 3], below: 4 }),
    },
    broken: { transform: onTables, kinds: { Lora: { ...LoraKind, ops: turned } } },
    twin: { transform: onTables },
  },
]
