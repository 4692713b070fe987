import {
  byRow,
  combineAdapters,
  detach,
  leaves,
  mapLeaves,
  merge,
  mixed,
  padRank,
  places,
  relabel,
  replaceAt,
  showPath,
  sllm,
  wear,
  wearEach,
  withValue,
} from '../../src/index.ts'
import type { Adapter, AdapterPart, Term } from '../../src/index.ts'
import { add, slice } from '../../src/ops/index.ts'
import { manyLaws, ownKinds } from '../laws/many/index.ts'
import type { Hands } from '../laws/many/index.ts'
import { isLora } from './broken.ts'
import type { Fault, LoraNode, Writable } from './broken.ts'

const right = manyLaws()
const combine = combineAdapters.knowing(ownKinds)
const asItIs = (model: unknown): unknown => model

/** The library with one of its functions broken, against the law that this function has to obey. */
const fault = (name: string, source: string, law: keyof typeof right, hands: Partial<Hands>): Fault => ({
  name,
  source,
  law: right[law],
  on: sllm,
  broken: { transform: asItIs, kinds: ownKinds, law: manyLaws(hands)[law] },
  twin: { transform: asItIs, kinds: ownKinds },
})

const withLoras = (adapter: Adapter, change: (node: LoraNode, path: string) => unknown): Adapter => ({
  ...adapter,
  parts: adapter.parts.map((part): AdapterPart => ({
    ...part,
    node: replaceAt(
      part.node,
      [...places(part.node)]
        .filter((p) => isLora(p.node))
        .map((p) => ({ route: p.route, value: change(p.node as LoraNode, showPath(part.path)) })),
    ),
  })),
})

/** What was put on before decides what alpha is read as. */
const remembering = (): Hands['wear'] => {
  const before = new Map<string, number>()
  return (adapter) => {
    const kept = withLoras(adapter, (node, path) => ({ ...node, alpha: before.get(path) ?? node.alpha }))
    withLoras(adapter, (node, path) => before.set(path, node.alpha))
    return wear(kept)
  }
}

const intoBase: Hands['wear'] = (adapter) => (base) => {
  const worn = wear(adapter)(base)
  const { out_head } = detach(worn) as Writable
  ;(base as Writable).out_head = out_head
  return worn
}

const copying: Hands['wearEach'] = (base, adapters) => {
  const models = wearEach(base, adapters) as Readonly<Record<string, unknown>>
  const own = new Set(Object.values(adapters).flatMap((a) => leaves(a).map((l) => l.value)))
  return Object.fromEntries(
    Object.entries(models).map(([name, model]) => [
      name,
      mapLeaves(model, (leaf) =>
        leaf._tag === 'Param' && !own.has(leaf.value) ? withValue(leaf, add(leaf.value, 0)) : leaf,
      ),
    ]),
  )
}

const nameBehind: Hands['wearEach'] = (base, adapters) =>
  Object.fromEntries(
    Object.entries(adapters).map(([name, a]) => [
      name,
      wear({ ...a, parts: relabel(a.parts, (label) => `${name}.${label}.${name}`) })(base),
    ]),
  )

const shifted: Hands['mixed'] = (apply) => (models, names, input, ctx) =>
  mixed(apply)(models, [...names.slice(1), names[0]!], input, ctx)

/** Rows stay in the order of their groups. */
const grouped: Hands['mixed'] = (apply) => (models, names, input, ctx) =>
  mixed(apply)(models, names.toSorted(), input, ctx)

const weights =
  (f: (weight: number) => number): Hands['combine'] =>
  (terms, options) =>
    combine(
      terms.map(([adapter, weight]): Term => [adapter, f(weight)]),
      options,
    )

const firstOnly: Hands['combine'] = (terms, options) => {
  const known = new Set(terms[0]![0].parts.map(({ path }) => showPath(path)))
  const cut = ([adapter, weight]: Term): Term => [
    { ...adapter, parts: adapter.parts.filter(({ path }) => known.has(showPath(path)) && !path.includes('Wq')) },
    weight,
  ]
  return combine(terms.map(cut), options)
}

/** Cuts the factors to the rank that was asked for, whatever they hold. */
const cut: Hands['combine'] = (terms, options) => {
  if (options.how !== 'svd') return combine(terms, options)
  return withLoras(combine(terms, { how: 'cat' }), (node) => {
    const [a, b] = [node.a.value, node.b.value]
    const rank = Math.min(options.rank, a.shape[1]!)
    return {
      ...node,
      a: withValue(node.a, slice(a, [0, 0], [a.shape[0]!, rank])),
      b: withValue(node.b, slice(b, [0, 0], [rank, b.shape[1]!])),
    }
  })
}

/** alpha/√rank is taken for alpha/rank. */
const rankTwice = (adapter: Adapter): Adapter =>
  withLoras(adapter, (node) =>
    (node as Writable).scaling === 'alpha/sqrt(rank)' ? { ...node, scaling: 'alpha/rank' } : node,
  )

export const manyFaults: readonly Fault[] = [
  fault(
    'the weighted sums of A and of B are called the weighted sum',
    'PEFT, add_weighted_adapter "linear": off by 0.85 of the sum as measured',
    'combineIsSum',
    {
      combine: (terms, options) => combine(terms, options.how === 'cat' ? { how: 'linear_factors' } : options),
    },
  ),
  fault(
    'combining forgets that alpha is divided by the root of the rank',
    'PEFT, add_weighted_adapter with rsLoRA: off by 0.195 as measured (issues 3761, 3449)',
    'combineIsSum',
    {
      combine: (terms, options) =>
        combine(
          terms.map(([adapter, w]): Term => [rankTwice(adapter), w]),
          options,
        ),
    },
  ),
  fault(
    'a weight of −1 adds the adapter',
    'PEFT, add_weighted_adapter: the root of the weight goes into A and B (issue 3004)',
    'combineOne',
    { combine: weights(Math.abs) },
  ),
  fault(
    'a place that not all adapters have is left out',
    'scripts that go through the keys of the first file',
    'combineIsSum',
    { combine: firstOnly },
  ),
  fault('a rank is reached by cutting the factors', 'A and B sliced to the rank instead of approximated', 'svdIsBest', {
    combine: cut,
  }),
  fault(
    'what was worn before decides the scaling',
    'PEFT, hotswap with a rank pattern: the old scaling stays, 2.0 for 4.0 as measured (issue 3738)',
    'switchingIsClean',
    { wear: remembering() },
  ),
  fault(
    'a head trained in full is written into the base',
    'PEFT: the base is rewired in place, so that two models are one (issues 932, 940, 2295)',
    'switchingIsClean',
    { wear: intoBase },
  ),
  fault(
    'putting on merges, so that taking off gives another base',
    'PEFT: an adapter deleted while merged stays in the base for good (issue 3498)',
    'detachGivesBase',
    { wear: (adapter) => (base) => merge.knowing(ownKinds)(wear(adapter)(base)) },
  ),
  fault('every adapter has a copy of the base', 'PEFT: copies nobody needs (issue 2220)', 'baseOnce', {
    wearEach: copying,
  }),
  fault(
    'the name of an adapter ends up in the labels of its weights',
    'PEFT, SHADOW: the name of the adapter is in the saved file',
    'namesChangeNothing',
    { wearEach: nameBehind },
  ),
  fault(
    'a row of a mixed batch gets the adapter of its neighbour',
    'serving loops whose list of names is out of step with the rows by one',
    'mixedRowIsItsOwn',
    { mixed: shifted },
  ),
  fault(
    'one name for the change, another for the weight it is beside',
    'serving kernels that index the factors of all adapters with the rows of another layout',
    'byRowIsMixed',
    { byRow: ({ fr, de }) => byRow.knowing(ownKinds)({ fr: de!, de: fr! }) },
  ),
  fault(
    'rows of a mixed batch come back in the order of their groups',
    'serving loops that sort requests by adapter and forget to sort back',
    'mixedRowIsItsOwn',
    { mixed: grouped },
  ),
  fault(
    'a padded adapter has its alpha divided by the new rank',
    'factors padded to one shape for hot swapping while alpha and the scaling stay what they were',
    'paddingChangesNothing',
    {
      padRank: (adapter, rank) => {
        const scaling = new Map<string, LoraNode>()
        withLoras(adapter, (node, path) => scaling.set(path, node))
        return withLoras(padRank(adapter, rank), (node, path) => {
          const { alpha, scaling: how } = scaling.get(path) as Writable
          return { ...node, alpha: alpha as number, scaling: how as string }
        })
      },
    },
  ),
]
