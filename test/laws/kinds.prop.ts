import { fc } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import {
  EmbeddingKind,
  allZeros,
  bert,
  buffer,
  distilbert,
  key,
  kinds,
  materialize,
  project,
  roberta,
  show,
  sllm,
  variant,
} from '../../src/index.ts'
import type { AnyKind, Constant } from '../../src/index.ts'
import { matmul, read, sub, zeros } from '../../src/ops/index.ts'
import { kindLaws, nodesOf, runLaw, weightLaws } from '../../src/laws/index.ts'
import type { KindRun, WeightRun } from '../../src/laws/index.ts'
import { nodeSamples } from '../../src/laws/nodes.ts'
import { methodKinds } from './methods/index.ts'
import type { KindOptions } from './methods/index.ts'
import { runsOf } from './suite.ts'
import { Scaled } from './table.ts'

const encoders = { ...bert.kinds, ...roberta.kinds, ...distilbert.kinds }

const all: Readonly<Record<string, AnyKind>> = { ...kinds, ...sllm.kinds, Scaled, ...encoders }

// RoBERTa's table of positions begins behind the row of padding.
const encoderDims = { d: [3, 6], layers: [1, 2], length: [6, 8], vocab: [3, 8] } as const

// Every kind, and what its fields do not say.
const kindTable: Readonly<Record<string, KindOptions>> = {
  Param: {},
  Lora: { dims: { rank: [1, 10] } },
  Scaled: {},
  Linear: { dims: { in: [1, 8], out: [1, 8] } },
  LayerNorm: {},
  Embedding: { dims: { vocab: [1, 8], d: [1, 8] } },
  Positions: {},
  Attention: {},
  Mlp: {},
  Prompted: { base: EmbeddingKind },
  EmbeddingBlock: {},
  // The heads of the chapter are plain data in its blocks.
  Block: { dims: { heads: 2, d: [3, 8], d_head: [1, 4] } },
  Sllm: {
    dims: { n_heads: 2, d_model: [3, 6], d_head: [1, 3], n_layers: [1, 2], context_window: 6, vocab_size: [3, 8] },
  },
  ...methodKinds,
  BertSelfAttention: {},
  BertSelfOutput: { dims: { d: [3, 8] } },
  BertOutput: { dims: { d: [3, 8] } },
  BertAttention: { dims: { d: [3, 8] } },
  BertIntermediate: {},
  BertLayer: { dims: { d: [3, 8] } },
  BertEncoder: { dims: { d: [3, 6], layers: [1, 2] } },
  BertPooler: {},
  Segments: { dims: { vocab: [1, 8], d: [1, 8] } },
  BertEmbeddings: { dims: { d: [3, 8] } },
  // Nobody asks a pooler of an encoder without a head.
  BertBody: { dims: encoderDims, statics: { pooled: true } },
  BertClassifier: { dims: encoderDims },
  BertTokenClassifier: { dims: encoderDims },
  RobertaEmbeddings: { dims: encoderDims },
  RobertaClassificationHead: {},
  RobertaBody: { dims: encoderDims, statics: { pooled: true } },
  RobertaClassifier: { dims: encoderDims },
  RobertaTokenClassifier: { dims: encoderDims },
  DistilBertEmbeddings: { dims: { d: [3, 8] } },
  DistilBertAttention: {},
  DistilBertFfn: {},
  DistilBertBlock: { dims: { d: [3, 8] } },
  DistilBertTransformer: { dims: { d: [3, 6], layers: [1, 2] } },
  DistilBertBody: { dims: encoderDims },
  DistilBertClassifier: { dims: encoderDims },
  DistilBertTokenClassifier: { dims: encoderDims },
}

const rows = Object.entries(kindTable).map(([tag, options]) => [tag, all[tag]!, options] as const)

test('every kind is in the table', () => {
  expect(Object.keys(all).filter((tag) => !(tag in kindTable))).toEqual([])
  expect(Object.keys(kindTable).filter((tag) => !(tag in all))).toEqual([])
})

describe.each(rows)('laws of kinds: %s', (tag, kind, options) => {
  const runs = nodeSamples(kind, options).map((s): KindRun => ({
    ...s,
    kind,
    kinds: all,
    key: key(s.seed),
    nullDirections: [],
  }))
  test.each(kindLaws.map((law) => [law.name, law] as const))('%s', (_name, law) => {
    const result = runLaw(law, runs, ({ node, dims }) => `${JSON.stringify(dims)}\n${show(node)}`, {
      runs: runsOf(tag in encoders ? 10 : 40),
    })
    expect(result.passed, `${law.says}\n${result.why}\n${result.counterexample?.shown}`).toBe(true)
  })
})

const weights = rows
  .filter(([, kind]) => kind.role === 'weight')
  .flatMap(([tag, kind, options]) =>
    tag === 'Lora'
      ? ['alpha', 'alpha/rank', 'alpha/sqrt(rank)'].map(
          // A rank of 4 keeps alpha over its root dyadic, so that products are exact.
          (scaling) => [`Lora, ${scaling}`, kind, { dims: { rank: 4 }, statics: { alpha: 0.5, scaling } }] as const,
        )
      : [[tag, kind, options] as const],
  )

describe.each(weights)('laws of weights: %s', (_, kind, options) => {
  const runs = fc
    .record({
      sample: nodeSamples(kind, options),
      batch: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 2 }),
    })
    .map(({ sample, batch }): WeightRun => ({
      weight: sample.node as never,
      kinds: all,
      key: key(sample.seed),
      style: 'inexact' in options && options.inexact ? 'float' : sample.style,
      batch,
    }))
  test.each(weightLaws.map((law) => [law.name, law] as const))('%s', (_name, law) => {
    const result = runLaw(law, runs, ({ weight }) => show(weight))
    expect(result.passed, `${law.says}\n${result.why}\n${result.counterexample?.shown}`).toBe(true)
  })
})

test('nodes are drawn in the dimensions given', () => {
  const nodes = fc.sample(nodesOf(kinds['Linear']!, { dims: { in: 5 } }), 10) as {
    weight: { value: { shape: number[] } }
  }[]
  expect(nodes.map((n) => n.weight.value.shape[0])).toEqual(Array.from({ length: 10 }, () => 5))
})

/** A weight that is its base less a constant, which a node begins with as zeros; `broken` leaves it out where it shows. */
const lessA = (broken: boolean): AnyKind =>
  variant('Less', {
    fields: { less: buffer(['in', 'out'], allZeros), ids: buffer(['out'], (_, shape) => zeros(shape, 'int32')) },
    materialize: (w, ctx) => sub(materialize(w.base, ctx), w.less.value),
    project: (x, w, ctx) => (broken ? project(x, w.base, ctx) : sub(project(x, w.base, ctx), matmul(x, w.less.value))),
  })

test('constants that begin at zero are drawn, so that a formula without them is caught; ids are not', () => {
  const [law] = weightLaws
  const runs = (kind: AnyKind) =>
    nodeSamples(kind).map((s): WeightRun => ({
      weight: s.node as never,
      kinds: { ...all, Less: kind },
      key: key(s.seed),
      style: s.style,
      batch: [2],
    }))
  expect(runLaw(law!, runs(lessA(false)), String, { runs: 20 }).passed).toBe(true)
  expect(runLaw(law!, runs(lessA(true)), String, { runs: 20 }).passed).toBe(false)
  const [node] = fc.sample(nodesOf(lessA(false)), 1) as { ids: Constant }[]
  expect(read(node!.ids.value).every((x) => x === 0)).toBe(true)
})
