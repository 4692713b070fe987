import { embed, initialise, layer, project, runModel, shapeIssues } from '../../kind/index.ts'
import type { AnyKind, Ctx, Dims, Kinds } from '../../kind/index.ts'
import { context } from '../../nn/index.ts'
import { concat, mul, read, sum } from '../../ops/index.ts'
import { valueAndGrad } from '../../train/index.ts'
import { equal } from '../../transform/index.ts'
import { fold } from '../../tree/key.ts'
import type { Key } from '../../tree/key.ts'
import { isParam } from '../../tree/leaf.ts'
import { trainableOf } from '../../tree/partition.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { leafPlaces, leaves, replaceAt, showPath } from '../../tree/walk.ts'
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
const outputOf = ({ kind, kinds }: KindRun, node: unknown, x: Tensor): Tensor => {
  const ctx: Ctx = context({ kinds })
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
  labelsAreUnique,
]
