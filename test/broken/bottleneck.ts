import {
  AdaptedKind,
  BottleneckKind,
  bottleneck,
  detach,
  equal,
  freeze,
  isParam,
  key,
  layer,
  lora,
  mapLeaves,
  merge,
  norms,
  places,
  bitfit,
  targeted,
  targets,
  unfreeze,
  withStatus,
  withValue,
} from '../../src/index.ts'
import type { Adapted, AdapterAverage, AnyKind, Bottleneck, Ctx, Layer, Param, Tensor } from '../../src/index.ts'
import {
  commutesOnDisjoint,
  everyTrainableHasGradient,
  mergePreservesOutputs,
  preservesOutputs,
  secondAttachRefused,
  touchesOnly,
} from '../../src/laws/index.ts'
import type { AnyTransform } from '../../src/laws/index.ts'
import { add, gelu, mul, normal, relu, silu, tanh } from '../../src/ops/index.ts'
import { replaceAt } from '../../src/tree/walk.ts'
import {
  averageIsNormalisedOnce,
  equalityTellsThemApart,
  stackIsAMonoid,
  standsWhereItSays,
} from '../laws/methods/bottleneck-laws.ts'
import { Solo } from '../laws/methods/bottleneck.ts'
import { Net as Normed } from '../laws/row.ts'
import { onNet, onSllm } from './broken.ts'
import type { Fault, Writable } from './broken.ts'

const put = bottleneck.at({ at: '**.fc1', reduction: 2 })
const onSolo = { on: Solo } as const
const solo = (mode: 'sequential' | 'parallel') => bottleneck.at({ at: 'fc', mode, reduction: 2 })

type Node = Adapted

/** A layer with an adapter that is run in some way. */
const adaptedBy = (run: (n: Node, x: Tensor, ctx: Ctx) => Tensor): AnyKind => ({ ...AdaptedKind, ops: { layer: run } })

const right = adaptedBy((n, x, ctx) => {
  const y = layer(n.base, x, ctx)
  return add(y, layer(n.adapter, n.mode === 'sequential' ? y : x, ctx))
})

const residualTwice = adaptedBy((n, x, ctx) => {
  const y = layer(n.base, x, ctx)
  return add(y, add(y, layer(n.adapter, y, ctx)))
})

const before = adaptedBy((n, x, ctx) => layer(n.base, add(x, layer(n.adapter, x, ctx)), ctx))

const besideFedBehind = adaptedBy((n, x, ctx) => {
  const y = layer(n.base, x, ctx)
  return add(y, layer(n.adapter, y, ctx))
})

const activations = { relu, gelu, silu, tanh }

/** A bottleneck that is run in some way, from what its two layers give. */
const bottleneckBy = (finish: (y: Tensor, n: Bottleneck) => Tensor): AnyKind => ({
  ...BottleneckKind,
  ops: {
    layer: (n: Bottleneck, x: Tensor, ctx: Ctx) =>
      finish(layer(n.up, activations[n.activation](layer(n.down, x, ctx)), ctx), n),
  },
})

const scaled = (y: Tensor, n: Bottleneck): Tensor => mul(n.scale === null ? y : mul(y, n.scale.value), n.scaling)

/** Both projections drawn, as AdapterHub's default initialisation does. */
const drawnUp: AnyTransform = (model) =>
  mapLeaves(put(model), (leaf) =>
    isParam(leaf) && leaf.label.endsWith('adapter.up.weight')
      ? withValue(leaf, normal(key(leaf.label), leaf.value.shape, 0, 0.02))
      : leaf,
  )

/** The adapter of each place inside another of its own. */
const nesting: AnyTransform = (model) => {
  const at = [...places(model)].filter((p) => (p.node as { _tag?: unknown } | null)?._tag === 'Adapted')
  if (at.length === 0) return put(model)
  return replaceAt(
    model,
    at.map(({ route, node }) => {
      const again = mapLeaves((node as Node).adapter, (leaf) => ({ ...leaf, label: `${leaf.label}'` }))
      return { route, value: { _tag: 'Adapted', base: node, adapter: again, mode: 'sequential' } }
    }),
  )
}

/** LoRA on every matrix there is. */
const everyMatrix = targeted<{ readonly rank: number }, 'lora'>((model, { at, rank }) => {
  const found = targets<Param>(model, at, {
    verdict: (node) => (isParam(node) && node.form === 'matrix' ? 'take' : 'into'),
    wants: 'a matrix',
  })
  const one = found.map(({ node, route }) => {
    const single = lora.unchecked({ at: 'w', rank })({ w: node }) as { readonly w: unknown }
    return { route, value: single.w }
  })
  return replaceAt(model, one)
})

const zipEqual = (a: Writable, b: Writable): boolean => {
  const parts = (x: Writable): readonly unknown[] => (x._tag.startsWith('Adapter') ? [x.base, ...x.others] : [x])
  const pairs = parts(a).flatMap((p, i) => (i < parts(b).length ? [[p, parts(b)[i]]] : []))
  return a._tag === b._tag && equal(a.weights, b.weights) && pairs.every(([p, q]) => equal(p, q))
}

const nested = (...parts: readonly [Layer, ...Layer[]]): Layer =>
  ({ _tag: 'AdapterStack', base: parts[0], others: parts.slice(1) }) as Layer

const dividedAgain = (
  parts: readonly [Layer, ...Layer[]],
  weights: readonly number[] = parts.map(() => 1),
): AdapterAverage => {
  const total = weights.reduce((n, w) => n + w, 0)
  return {
    _tag: 'AdapterAverage',
    base: parts[0],
    others: parts.slice(1),
    weights: weights.map((w) => w / total),
  }
}

const asGiven = (
  parts: readonly [Layer, ...Layer[]],
  weights: readonly number[] = parts.map(() => 1),
): AdapterAverage => ({
  _tag: 'AdapterAverage',
  base: parts[0],
  others: parts.slice(1),
  weights,
})

/** Whatever has "bias" or no second axis. */
const everyVector: AnyTransform = (model) =>
  mapLeaves(model, (leaf) => (isParam(leaf) && leaf.value.shape.length === 1 ? withStatus(leaf, 'trainable') : leaf))

export const bottleneckFaults: readonly Fault[] = [
  {
    name: 'the residual is counted twice: the adapter gives h + δ(h), and its layer adds h again',
    source: 'AdapterHub keeps residuals in three places (original_ln_before, residual_before_ln, the layer’s own)',
    law: preservesOutputs,
    ...onNet,
    broken: { transform: put, kinds: { Adapted: residualTwice } },
    twin: { transform: put, kinds: { Adapted: right } },
  },
  {
    name: 'the up-projection is drawn, so that a fresh adapter changes the model',
    source: 'AdapterHub’s default init_weights "bert": N(0, 0.02) on both projections, 0.02 off at once',
    law: preservesOutputs,
    ...onNet,
    broken: { transform: drawnUp },
    twin: { transform: put },
  },
  {
    name: 'the adapter stands before its layer instead of behind it',
    source: 'a hook before the forward pass instead of after it: fresh, it changes nothing, and shapes fit',
    law: standsWhereItSays,
    ...onSolo,
    broken: { transform: solo('sequential'), kinds: { Adapted: before } },
    twin: { transform: solo('sequential'), kinds: { Adapted: right } },
  },
  {
    name: 'a parallel adapter is given the output of the layer it stands beside',
    source: 'one forward for both kinds of placement: a fresh one changes nothing either way',
    law: standsWhereItSays,
    ...onSolo,
    broken: { transform: solo('parallel'), kinds: { Adapted: besideFedBehind } },
    twin: { transform: solo('parallel'), kinds: { Adapted: right } },
  },
  {
    name: 'the learned scaling is a number that nothing reads',
    source: 'a `scaling` parameter that is registered and not used in the forward pass',
    law: everyTrainableHasGradient,
    ...onNet,
    broken: {
      transform: bottleneck.at({ at: '**.fc1', reduction: 2, scaling: 'learned' }),
      kinds: { Bottleneck: bottleneckBy((y) => y) },
    },
    twin: {
      transform: bottleneck.at({ at: '**.fc1', reduction: 2, scaling: 'learned' }),
      kinds: { Bottleneck: bottleneckBy(scaled) },
    },
  },
  {
    name: 'the fixed scaling is forgotten',
    source: 'par_bn without its factor of 4: fresh, it changes nothing',
    law: standsWhereItSays,
    ...onSolo,
    broken: { transform: solo('parallel'), kinds: { Bottleneck: bottleneckBy((y) => y) } },
    twin: { transform: solo('parallel'), kinds: { Bottleneck: bottleneckBy(scaled) } },
  },
  {
    name: 'merging drops the adapters in silence',
    source: 'AdapterHub: merge_adapter on a bottleneck raises nothing and merges nothing; here it even takes it off',
    law: mergePreservesOutputs,
    ...onNet,
    options: { declare: { merge: 'exact' } },
    broken: { transform: put, using: { merge: (m: unknown) => detach(merge(m)) } },
    twin: { transform: put },
  },
  {
    name: 'a second adapter nests inside the first in silence',
    source: 'a wrapper that wraps whatever stands there, adapted or not',
    law: secondAttachRefused,
    ...onNet,
    broken: { transform: nesting },
    twin: { transform: put },
  },
  {
    name: '"all linear layers" takes the matrices of adapters as well',
    source: 'PEFT’s all-linear goes by class: whatever is a Linear is taken, so that the order of two methods shows',
    law: commutesOnDisjoint(lora({ at: '**', rank: 1 })),
    ...onNet,
    broken: { transform: put, law: commutesOnDisjoint(everyMatrix.unchecked({ at: '**', rank: 1 })) },
    twin: { transform: put },
  },
  {
    name: 'Stack("a") equals Stack("a", "b")',
    source: 'AdapterHub composition.py: equality by zip, which stops at the shorter one [M]',
    law: equalityTellsThemApart(),
    ...onSolo,
    broken: { transform: freeze, law: equalityTellsThemApart(zipEqual) },
    twin: { transform: freeze },
  },
  {
    name: 'a stack of stacks is another stack',
    source: 'AdapterHub composition.py: nesting has a table of what is allowed, and no algebra',
    law: stackIsAMonoid(),
    ...onSolo,
    broken: { transform: freeze, law: stackIsAMonoid(nested) },
    twin: { transform: freeze },
  },
  {
    name: 'an average is normalised again whenever it is read',
    source: 'AdapterHub: from_dict(to_dict(x)) of an Average divides by the sum a second time [M]',
    law: averageIsNormalisedOnce(),
    ...onSolo,
    broken: { transform: freeze, law: averageIsNormalisedOnce(dividedAgain) },
    twin: { transform: freeze },
  },
  {
    name: 'an average has the weights it was given, of whatever sum',
    source: 'AdapterHub: normalize_weights=False is lost on the way, so that one average means two things',
    law: averageIsNormalisedOnce(),
    ...onSolo,
    broken: { transform: freeze, law: averageIsNormalisedOnce(asGiven) },
    twin: { transform: freeze },
  },
  {
    name: 'BitFit trains every vector, the scales of norms among them',
    source: 'biases chosen by their number of axes instead of by what they are',
    law: touchesOnly(['**.bias', '**.shift']),
    on: Normed,
    options: { given: freeze },
    broken: { transform: everyVector },
    twin: { transform: bitfit() },
  },
  {
    name: 'norms are found by a name that a linear layer has',
    source: 'the chapter’s `ln_1` is a linear layer; Hugging Face’s GPT-2 calls a norm so',
    law: touchesOnly({ kind: 'LayerNorm' }),
    ...onSllm,
    options: { given: freeze },
    broken: {
      transform: unfreeze.only.unchecked({ at: ['**.ln_1', '**.ln1', '**.ln2', '**.final_norm'] }) as AnyTransform,
    },
    twin: { transform: norms() },
  },
]
