import { embed, initialise, layer, outputOf as joined, project, runModel, shapeIssues } from '../../kind/index.ts'
import type { AnyKind, Ctx, Dims, Kinds } from '../../kind/index.ts'
import { context } from '../../nn/index.ts'
import { add, broadcastTo, concat, item, mul, read, sum } from '../../ops/index.ts'
import { valueAndGrad } from '../../train/index.ts'
import { equal } from '../../transform/index.ts'
import { fold } from '../../tree/key.ts'
import type { Key } from '../../tree/key.ts'
import { isConstant, isParam, param, withValue } from '../../tree/leaf.ts'
import type { Param } from '../../tree/leaf.ts'
import { trainableOf } from '../../tree/partition.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { leafPlaces, leaves, mapLeaves, replaceAt, showPath } from '../../tree/walk.ts'
import { all, every, fails, holds, vacuous, verdict } from '../law.ts'
import type { Equality, Law, Verdict } from '../law.ts'
import { difference, digests, drawn, drawnIds, perturbed } from '../values.ts'
import type { Style } from '../values.ts'

/** What one run of a kind's law is given. */
export interface KindRun {
  readonly kind: AnyKind
  readonly node: unknown
  readonly dims: Dims
  readonly kinds: Kinds
  readonly key: Key
  readonly style: Style
  /** Labels whose gradient is zero by nature. */
  readonly nullDirections: readonly string[]
}

const law = (name: string, says: string, equality: Equality, check: (run: KindRun) => Verdict): Law<KindRun> => ({
  name,
  says,
  equality,
  check,
})

const TOLERANCE = 1e-4
const BATCH = 2

/** Hidden states or ids that fit a node, as its role and its dimensions have them. */
const inputFor = ({ kind, dims, style }: KindRun, key: Key): Tensor => {
  const length = Math.min(3, dims['length'] ?? 3)
  if (kind.role === 'embed' || kind.role === 'model')
    return drawnIds(key, [BATCH, length], dims['vocab'] ?? dims['vocab_size'] ?? 1)
  return drawn(key, [BATCH, length, dims['in'] ?? dims['d'] ?? 1], style)
}

/** A node on an input, by its role. */
const outputOf = ({ kind, kinds, dims, key }: KindRun, node: unknown, x: Tensor): Tensor => {
  const ctx: Ctx = context({ kinds })
  if (kind.role === 'output') {
    // The same for every row, so that rows can be run apart.
    const residual = drawn(fold(key, 'residual'), [1, 1, dims['d'] ?? 1], 'float')
    return joined(node as never, x, broadcastTo(residual, [...x.shape.slice(0, -1), dims['d'] ?? 1]), ctx)
  }
  if (kind.role === 'weight') return project(x, node as never, ctx)
  if (kind.role === 'model') return runModel(node as never, { ids: x }, ctx)
  return kind.role === 'embed' ? embed(node as never, { ids: x }, ctx).hidden : layer(node as never, x, ctx)
}

const initIsDeterministic = law(
  'initIsDeterministic',
  'Equal keys draw equal nodes.',
  'bitwise',
  ({ kind, dims, key }) =>
    verdict(equal(initialise(kind, dims, key), initialise(kind, dims, key)), 'two nodes of one key differ'),
)

const initFitsItself = law(
  'initFitsItself',
  'A node fits the shape check of its kind, fresh or with drawn values.',
  'exact',
  ({ kind, node, kinds }) => {
    const [issue] = kind.tag === 'Param' ? [] : shapeIssues(withoutBase(node), kind, kinds)
    return verdict(issue === undefined, `${issue?.path}: expected ${issue?.expected}, found ${issue?.found}`)
  },
)

// What a wrapper wraps is no field of its kind.
const withoutBase = (node: unknown): unknown => {
  const { base: _base, ...rest } = node as Readonly<Record<string, unknown>>
  return rest
}

const misfitsAreFound = law(
  'misfitsAreFound',
  'A parameter with an axis too many is found, and its path is named.',
  'exact',
  (run) => {
    const { kind, kinds, key } = run
    if (kind.tag === 'Param') return holds
    const node = withoutBase(run.node)
    return every(leafPlaces(node), (p) => {
      const shape = [...p.node.value.shape, 1]
      const wrong = replaceAt(node, [{ route: p.route, value: { ...p.node, value: drawn(key, shape, 'dyadic') } }])
      const found = shapeIssues(wrong, kind, kinds).some((i) => i.path === showPath(p.path))
      return verdict(found, `an axis more at ${showPath(p.path)} was not noticed`)
    })
  },
)

const runsArePure = law(
  'runsArePure',
  'Running a node changes none of its values, and twice gives the same.',
  'bitwise',
  (run) => {
    const before = digests(run.node)
    const x = inputFor(run, fold(run.key, 'x'))
    const found = difference(outputOf(run, run.node, x), outputOf(run, run.node, x))
    return all(
      () => verdict(found === undefined, `the second time, an output ${found}`),
      () =>
        verdict(
          [...digests(run.node)].every(([path, d]) => before.get(path) === d),
          'a value has changed',
        ),
    )
  },
)

const runsRowByRow = law('runsRowByRow', 'f(concat xs) = concat f(xs) along the batch.', 'tolerance', (run) => {
  const [a, b] = [inputFor(run, fold(run.key, 'a')), inputFor(run, fold(run.key, 'b'))]
  const apart = concat([outputOf(run, run.node, a), outputOf(run, run.node, b)], 0)
  const found = difference(apart, outputOf(run, run.node, concat([a, b], 0)), TOLERANCE)
  return verdict(found === undefined, `run together, an output ${found}`)
})

const points = 16

const everyFieldMatters = law(
  'everyFieldMatters',
  'No trainable parameter has a zero gradient at a generic point.',
  'exact',
  (run) => {
    const trainable = Object.keys(trainableOf(run.node))
    const waiting = new Set(trainable.filter((label) => !run.nullDirections.includes(label)))
    // A kind of constants alone has nothing to train by nature.
    if (leaves(run.node).every(isConstant)) return holds
    if (waiting.size === 0) return vacuous('nothing to train')
    for (let i = 0; i < points && waiting.size > 0; i += 1) {
      const x = inputFor(run, fold(run.key, i))
      const loss = (node: unknown): Tensor => {
        const y = outputOf(run, node, x)
        return sum(mul(y, drawn(run.key, y.shape, 'float')))
      }
      const node = perturbed(run.node, fold(run.key, i), { style: 'float' })
      const { grads } = valueAndGrad<unknown, null>(loss, { unreached: 'zero' })(node, null)
      for (const [label, g] of Object.entries(grads)) if (read(g).some((v) => v !== 0)) waiting.delete(label)
    }
    return waiting.size === 0 ? holds : fails(`no gradient at ${points} points: ${[...waiting].join(', ')}`)
  },
)

/** The slope of the loss along one leaf's direction, by central differences of several widths: a kink may spoil some. */
const slopes = (loss: (tree: unknown) => Tensor, tree: unknown, label: string, direction: Tensor): readonly number[] =>
  [2 ** -5, 2 ** -7, 2 ** -9].map((h) => {
    const at = (step: number): number =>
      item(
        loss(
          mapLeaves(tree, (leaf) =>
            isParam(leaf) && leaf.label === label ? withValue(leaf, add(leaf.value, mul(direction, step))) : leaf,
          ),
        ),
      )
    return (at(h) - at(-h)) / (2 * h)
  })

// Float32 leaves three digits of a slope over so small a step.
const SLOPE = 2e-2

/** Which trainable leaves have, at one point, a gradient that finite differences do not bear out, and how. */
const misjudged = (run: KindRun, point: number): ReadonlyMap<string, string> => {
  const key = fold(run.key, point)
  const ids = run.kind.role === 'embed' || run.kind.role === 'model'
  const x = inputFor({ ...run, style: 'float' }, key)
  const node = perturbed(run.node, fold(key, 'at'), { style: 'float' })
  const tree = ids ? { node } : { node, x: param('vector', '~x', x) }
  const loss = (t: unknown): Tensor => {
    const { node: n, x: input } = t as { readonly node: unknown; readonly x?: Param }
    const y = outputOf(run, n, input?.value ?? x)
    return sum(mul(y, drawn(key, y.shape, 'float')))
  }
  const { value, grads } = valueAndGrad<unknown, null>(loss, { unreached: 'zero' })(tree, null)
  const scale = Math.max(1, Math.abs(item(value)))
  return new Map(
    Object.entries(trainableOf(tree)).flatMap(([label, leaf]): (readonly [string, string])[] => {
      const direction = drawn(fold(key, `along ${label}`), leaf.value.shape, 'float')
      const slope = item(sum(mul(grads[label]!, direction)))
      const found = slopes(loss, tree, label, direction)
      const close = found.some((s) => Math.abs(s - slope) <= SLOPE * Math.max(scale, Math.abs(slope)))
      return close ? [] : [[label, `the gradient says ${slope} and differences say ${found.join(', ')}`]]
    }),
  )
}

const gradientIsSlope = law(
  'gradientIsSlope',
  'The gradient of each trainable parameter, and of the input, is what finite differences say.',
  'tolerance',
  (run) => {
    // Beside a kink or a near singularity differences say nothing: most points must agree, and a wrong rule fails at all.
    const first = misjudged(run, 0)
    if (first.size === 0) return holds
    const others = [1, 2, 3, 4].map((point) => misjudged(run, point))
    return every([...first], ([label, why]) =>
      verdict(others.filter((o) => o.has(label)).length < 2, `along ${label}, ${why}`),
    )
  },
)

const labelsAreUnique = law(
  'labelsAreUnique',
  'Each parameter of a fresh node has a label of its own.',
  'exact',
  ({ node }) => {
    const labels = leaves(node)
      .filter(isParam)
      .map((l) => l.label)
    return verdict(new Set(labels).size === labels.length, labels.join(', '))
  },
)

/** Every law of kinds: what is derived from fields fits, and what runs is pure. */
export const kindLaws: readonly Law<KindRun>[] = [
  initIsDeterministic,
  initFitsItself,
  misfitsAreFound,
  runsArePure,
  runsRowByRow,
  everyFieldMatters,
  gradientIsSlope,
  labelsAreUnique,
]
