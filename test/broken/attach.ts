import {
  attach,
  fold,
  initialise,
  key,
  lora,
  materialize,
  matrix,
  param,
  replaceAt,
  set,
  targeted,
  variant,
  vector,
  allOnes,
} from '../../src/index.ts'
import type { Key, Param } from '../../src/index.ts'
import { LoraKind, isParam, leafPlaces, mapLeaves, withValue } from '../../src/index.ts'
import {
  batchIndependent,
  countsAdd,
  deterministic,
  deterministicForKey,
  detachRestores,
  doesNotMutate,
  everyTrainableHasGradient,
  hitsOrRefuses,
  keepsTies,
  leaksNothing,
  preservesOutputs,
  secondAttachRefused,
  touchesOnly,
} from '../../src/laws/index.ts'
import { add, matmul, mean, mul, sub, uniform, zeros } from '../../src/ops/index.ts'
import { Neighbours, elementsOf, onNet } from './broken.ts'
import type { Fault, LoraNode, Writable } from './broken.ts'

const onFc1 = lora({ at: '**.fc1', rank: 2 })
const everywhere = lora({ at: '**', rank: 2 })

/** LoRA of some rank put around each matrix by its path, without looking at anything else. */
const wrapBy =
  (rankOf: (path: string) => number | undefined) =>
  (model: unknown): unknown =>
    replaceAt(
      model,
      leafPlaces(model).flatMap(({ node, path, route }) => {
        const rank = isParam(node) && node.form === 'matrix' ? rankOf(path.join('.')) : undefined
        if (rank === undefined) return []
        const [rows = 1, columns = 1] = node.value.shape
        const fresh = initialise(LoraKind, { in: rows, out: columns, rank }, key(0), {}, node.label)
        return [{ route, value: { ...(fresh as LoraNode), base: node } }]
      }),
    )

const wrapWhere = (passes: (path: string) => boolean): ((model: unknown) => unknown) =>
  wrapBy((path) => (passes(path) ? 2 : undefined))

const randomB = (model: never): unknown =>
  mapLeaves(onFc1(model), (leaf) =>
    isParam(leaf) && leaf.label.endsWith('.b')
      ? withValue(leaf, uniform(key(leaf.label), leaf.value.shape, 0.1, 1))
      : leaf,
  )

const writesRecord = (model: Writable): unknown => {
  model.fc1.weight = (onFc1(model as never) as Writable).fc1.weight
  return model
}

/** As methods do that take the principal part of a weight out of it, into the adapter. */
const writesElements = (model: Writable): unknown => {
  const after = onFc1(model as never)
  const elements = elementsOf(model.fc1.weight.value)
  elements.forEach((x, i) => (elements[i] = x / 2))
  return after
}

/** A rank of 5 for what a pattern names, 2 for the rest. */
const withRanks = (fits: (path: string) => boolean): ((model: unknown) => unknown) =>
  wrapBy((path) => (fits(path) ? 5 : 2))

const fc2Rank5 = countsAdd((model) =>
  leafPlaces(model)
    .filter((p) => isParam(p.node) && p.node.form === 'matrix')
    .reduce((n, p) => n + (p.path[0] === 'fc2' ? 5 : 2) * (p.node.value.shape[0]! + p.node.value.shape[1]!), 0),
)

/** One draw for all: the key is not told where it is used. */
const oneKeyForAll =
  (k: Key) =>
  (model: never): unknown =>
    mapLeaves(everywhere(model), (leaf) =>
      isParam(leaf) && leaf.label.endsWith('.a')
        ? withValue(leaf, uniform(fold(k, 'a'), leaf.value.shape, -1, 1))
        : leaf,
    )

const keyed = deterministicForKey((k) => lora({ at: '**', rank: 4, key: k }))
const wide = { dims: { in: 4, hidden: 4, out: 4 } }

const HalfDead = variant('HalfDead', {
  fields: { scale: vector('out', allOnes), second: matrix('in', 'out') },
  materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
})
const Alive = variant('Alive', {
  fields: { scale: vector('out', allOnes), second: matrix('in', 'out', (_, shape) => zeros(shape)) },
  materialize: (w, ctx) => add(mul(materialize(w.base, ctx), w.scale.value), w.second.value),
})

const OverBatch = variant('OverBatch', {
  fields: { scale: vector('out', allOnes) },
  materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
  project: (x, w, ctx) =>
    matmul(sub(x, mean(x, { axes: 0, keepDims: true })), mul(materialize(w.base, ctx), w.scale.value)),
})
const PerRow = variant('PerRow', {
  fields: { scale: vector('out', allOnes) },
  materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
})

const leaky = (model: never): unknown => {
  uniform(key(7), [2], 0, 1)
  return onFc1(model)
}

const clocked = (() => {
  let calls = 0
  return (model: never): unknown => lora({ at: '**.fc1', rank: 2, key: key((calls += 1)) })(model)
})()

// One place of a tie is wrapped, whatever else stands there too.
const oneAlias = wrapWhere((path) => path === 'fc1.weight')

const labelled = (p: Param): Param => param(p.form, `${p.label}.copy`, p.value)

const splicing = targeted<unknown, 'lora'>((model) =>
  set(onFc1(model as never) as Writable, 'fc1.bias' as never, labelled((model as Writable).fc1.bias)),
)

export const attachFaults: readonly Fault[] = [
  {
    name: 'B is drawn at random, as A is',
    source: 'levanter, lora.py: both factors come from Linear.init; its own test asserts that outputs change',
    law: preservesOutputs,
    ...onNet,
    broken: { transform: randomB },
    twin: { transform: onFc1 },
  },
  {
    name: 'attach writes into the model it is given',
    source: 'PEFT, get_peft_model: the base is changed in place (issues 2295, 940, 932)',
    law: doesNotMutate,
    ...onNet,
    broken: { transform: writesRecord },
    twin: { transform: onFc1 },
  },
  {
    name: 'attach changes the values behind an unchanged reference',
    source: 'PEFT, PiSSA and OLoRA: the base loses in place what the adapter takes over',
    law: doesNotMutate,
    ...onNet,
    broken: { transform: writesElements },
    twin: { transform: onFc1 },
  },
  {
    name: 'a second attach adapts the adapter',
    source: 'PEFT: get_peft_model on a model that has an adapter goes on with a warning',
    law: secondAttachRefused,
    ...onNet,
    broken: { transform: wrapWhere((path) => path.startsWith('fc1')) },
    twin: { transform: onFc1 },
  },
  {
    name: 'an adapter on one place of a tie changes the other once merged',
    source: 'PEFT: merging into a tied embedding moves the head (issues 2018, 2777, 2864)',
    law: keepsTies,
    ...onNet,
    broken: { transform: oneAlias },
    twin: { transform: lora({ at: 'fc1', rank: 2 }) },
  },
  {
    name: 'a name is matched by its end, so that a neighbour is adapted too',
    source: 'levanter, lora.py: target lists are matched with endswith',
    law: touchesOnly('fc1'),
    on: Neighbours,
    broken: { transform: wrapWhere((path) => path.endsWith('fc1.weight')) },
    twin: { transform: lora({ at: 'fc1', rank: 2 }) },
  },
  {
    name: 'the key is not used',
    source: 'AdapterHub: initialisation draws from the global generator',
    law: keyed,
    ...onNet,
    options: wide,
    broken: { transform: everywhere, law: deterministicForKey(() => lora({ at: '**', rank: 4 })) },
    twin: { transform: everywhere },
  },
  {
    name: 'every weight draws with the same key',
    source: 'lorax, helpers.py: one generator for all convolutions, so that all A are equal',
    law: keyed,
    ...onNet,
    options: wide,
    broken: { transform: everywhere, law: deterministicForKey(oneKeyForAll) },
    twin: { transform: everywhere },
  },
  {
    name: 'a hidden counter decides what is drawn',
    source: 'FourierFT, WaveFT and UniLoRA in PEFT: positions depend on the state of a global generator',
    law: deterministic,
    ...onNet,
    broken: { transform: clocked },
    twin: { transform: onFc1 },
  },
  {
    name: 'a mistyped selection hits nothing and nothing is said',
    source: 'PEFT: one misspelt name in target_modules is passed over when another one hits (issues 1959, 3554)',
    law: hitsOrRefuses,
    ...onNet,
    broken: { transform: wrapWhere((path) => path.startsWith('cf1')) },
    twin: { transform: lora.unchecked({ at: 'cf1', rank: 2 }) },
  },
  {
    name: 'the rank of one pattern is ignored',
    source: 'PEFT: rank_pattern keys that match nothing are dropped in silence (issues 1959, 3554, 3658, 3693)',
    law: fc2Rank5,
    ...onNet,
    broken: { transform: withRanks((path) => path === '**.fc2') },
    twin: { transform: withRanks((path) => path === 'fc2.weight') },
  },
  {
    name: 'half of the trained parameters are reached by no gradient',
    source: 'PEFT: prefix tuning of encoder-decoder models trains rows that nothing attends to',
    law: everyTrainableHasGradient,
    ...onNet,
    broken: { transform: attach(HalfDead)({ at: '**.fc1' }), kinds: { HalfDead } },
    twin: { transform: attach(Alive)({ at: '**.fc1' }), kinds: { Alive } },
  },
  {
    name: 'what a row gives depends on the rest of its batch',
    source: 'PEFT, LILY: what a row gives changes with the batch it is in, by 6e-5 as measured',
    law: batchIndependent,
    ...onNet,
    broken: { transform: attach(OverBatch)({ at: '**.fc1' }), kinds: { OverBatch } },
    twin: { transform: attach(PerRow)({ at: '**.fc1' }), kinds: { PerRow } },
  },
  {
    name: 'what is drawn on the way is never freed',
    source: 'TensorFlow.js: whatever a function allocates outside of tidy stays',
    law: leaksNothing,
    ...onNet,
    broken: { transform: leaky },
    twin: { transform: onFc1 },
  },
  {
    name: 'detach gives back another leaf beside the one that was wrapped',
    source: 'PEFT, LoraConfig.bias: trained biases stay in the base, as its documentation warns',
    law: detachRestores,
    ...onNet,
    broken: { transform: splicing({ at: '**' }) },
    twin: { transform: onFc1 },
  },
]
