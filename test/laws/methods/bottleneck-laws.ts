import { BottleneckKind, bottleneck, context, equal, initialise, isParam, layer } from '../../../src/index.ts'
import type { Adapted, AdapterAverage, Bottleneck, Layer, Linear, Tensor } from '../../../src/index.ts'
import { all, fails, holds, numeric, perturbed, structural, verdict } from '../../../src/laws/index.ts'
import type { TransformLaw, Trial, Verdict } from '../../../src/laws/index.ts'
import { inputOf, outputOf } from '../../../src/laws/trial.ts'
import { difference, drawn, rowsOf } from '../../../src/laws/values.ts'
import { concat, tensor } from '../../../src/ops/index.ts'
import { fold, words } from '../../../src/tree/key.ts'

/*
 * What bottlenecks are beyond what every adapter is: where they stand, in plain numbers, and the algebra of compositions. The
 * functions that a law is about are given to it, so that a wrong one can be tried.
 */

type Row = readonly number[]

const affine = (x: Row, { weight, bias }: Linear): Row => {
  const rows = isParam(weight) ? rowsOf(weight.value) : []
  const [shift = []] = bias === null ? [] : rowsOf(bias.value)
  return (rows[0] ?? []).map((_, j) => x.reduce((n, v, i) => n + v * rows[i]![j]!, 0) + (shift[j] ?? 0))
}

/** s·Up(relu(Down h)), with nothing of the library's own arithmetic. */
const change = (h: Row, { down, up, scaling, scale }: Bottleneck): Row => {
  const factor = scaling * (scale === null ? 1 : rowsOf(scale.value)[0]![0]!)
  const narrow = affine(h, down).map((v) => Math.max(0, v))
  return affine(narrow, up).map((v) => factor * v)
}

/** In a model of one linear layer `fc`: y + δ(y) behind it, y + δ(x) beside it. */
export const standsWhereItSays: TransformLaw = numeric({
  name: 'standsWhereItSays',
  says: 'Behind a layer it gives y + s·Up(f(Down y)), beside it y + s·Up(f(Down x)).',
  equality: 'tolerance',
  check: (trial) => {
    const tuned = perturbed(trial.transform(trial.model), fold(trial.key, 'tuned'), trial)
    const { base, adapter, mode } = (tuned as { readonly fc: Adapted<Linear> }).fc
    const x = inputOf(trial) as Tensor
    const want = rowsOf(x).map((row) => {
      const y = affine(row, base)
      const added = change(mode === 'sequential' ? y : row, adapter)
      return y.map((v, i) => v + added[i]!)
    })
    const found = difference(tensor(want.map((r) => [...r])), outputOf(trial, tuned), 1e-4)
    return verdict(found === undefined, `by the formula, an output ${found}`)
  },
})

const WIDTH = 3

/** Three adapters of one width, none of them zero. */
const three = ({ key, style }: Trial): readonly [Bottleneck, Bottleneck, Bottleneck] => {
  const one = (name: string): Bottleneck =>
    perturbed(
      initialise(BottleneckKind, { in: WIDTH, width: 2, out: WIDTH }, key, { name }, name) as Bottleneck,
      fold(key, name),
      { style },
    )
  return [one('a'), one('b'), one('c')]
}

const run = (node: Layer, x: Tensor): Tensor => layer(node, x, context())
const inputs = ({ key, style }: Trial, salt = 'x'): Tensor => drawn(fold(key, salt), [2, WIDTH], style)

const sameOutputs = (a: Layer, b: Layer, trial: Trial, what: string): Verdict => {
  const found = difference(run(a, inputs(trial)), run(b, inputs(trial)), 1e-5)
  return verdict(found === undefined, `${what}: an output ${found}`)
}

type Stacks = (...parts: readonly [Layer, ...Layer[]]) => Layer

const fresh = (one: Bottleneck): Bottleneck => {
  const zero = initialise(
    BottleneckKind,
    { in: WIDTH, width: 2, out: WIDTH },
    { _tag: 'Key', hi: 0, lo: 0 },
    {},
    'zero',
  )
  return { ...one, up: (zero as Bottleneck).up }
}

export const stackIsAMonoid = (stack: Stacks = bottleneck.stack): TransformLaw =>
  structural({
    name: 'stackIsAMonoid',
    says: 'A stack of stacks is one stack, however it was bracketed; one that adds nothing is neutral.',
    equality: 'exact',
    check: (trial) => {
      const [a, b, c] = three(trial)
      return all(
        () => verdict(equal(stack(stack(a, b), c), stack(a, stack(b, c))), '(a b) c and a (b c) are two things'),
        () => verdict(equal(stack(stack(a, b), c), stack(a, b, c)), '(a b) c and a b c are two things'),
        () => sameOutputs(stack(a, fresh(b)), a, trial, 'a, then one that adds nothing'),
        () => sameOutputs(stack(fresh(b), a), a, trial, 'one that adds nothing, then a'),
        () => sameOutputs(stack(a), a, trial, 'a alone'),
      )
    },
  })

export const equalityTellsThemApart = (same: (a: unknown, b: unknown) => boolean = equal): TransformLaw =>
  structural({
    name: 'equalityTellsThemApart',
    says: 'Compositions are equal when their parts are, all of them and in their order.',
    equality: 'exact',
    check: (trial) => {
      const [a, b, c] = three(trial)
      const { stack, average } = bottleneck
      const pairs: readonly (readonly [string, unknown, unknown, boolean])[] = [
        ['a b and a b', stack(a, b), stack(a, b), true],
        ['a and a b', stack(a), stack(a, b), false],
        ['a b and a', stack(a, b), stack(a), false],
        ['a b and b a', stack(a, b), stack(b, a), false],
        ['a b and a c', stack(a, b), stack(a, c), false],
        ['averages of other weights', average([a, b], [1, 2]), average([a, b], [1, 1]), false],
      ]
      const wrong = pairs.find(([, x, y, want]) => same(x, y) !== want)
      return wrong === undefined ? holds : fails(`${wrong[0]} are ${wrong[3] ? 'told apart' : 'taken for the same'}`)
    },
  })

type Averages = (parts: readonly [Layer, ...Layer[]], weights?: readonly number[]) => AdapterAverage

export const averageIsNormalisedOnce = (average: Averages = bottleneck.average): TransformLaw =>
  structural({
    name: 'averageIsNormalisedOnce',
    says: 'Weights are of sum 1 and stay so, bit for bit, when an average is made of them again; of one adapter it is that one.',
    equality: 'bitwise',
    check: (trial) => {
      const [a, b, c] = three(trial)
      const weights = [...words(trial.key, 3)].map((w) => (1 + (w >>> 8)) / 2 ** 24)
      const once = average([a, b, c], weights)
      const again = average([a, b, c], once.weights)
      const total = once.weights.reduce((n, w) => n + w, 0)
      return all(
        () => verdict(Math.abs(total - 1) < 1e-9, `the weights are of sum ${total}`),
        () => verdict(equal(once, again), `${once.weights.join(', ')} became ${again.weights.join(', ')}`),
        () => sameOutputs(average([a], [weights[0]!]), a, trial, 'of one'),
        () => sameOutputs(average([a, a], [weights[0]!, weights[1]!]), a, trial, 'of one and the same'),
      )
    },
  })

export const parallelIsSideBySide: TransformLaw = structural({
  name: 'parallelIsSideBySide',
  says: 'Parallel(a, b) of [x; y] is [a(x); b(y)]; so of a batch put twice it is a and b on all of it.',
  equality: 'tolerance',
  check: (trial) => {
    const [a, b] = three(trial)
    const [x, y] = [inputs(trial), inputs(trial, 'y')]
    const want = concat([run(a, x), run(b, y)], 0)
    const found = difference(want, run(bottleneck.parallel(a, b), concat([x, y], 0)), 1e-5)
    return verdict(found === undefined, `an output ${found}`)
  },
})

export const fusionOfOneIsIt: TransformLaw = structural({
  name: 'fusionOfOneIsIt',
  says: 'A fresh fusion of one adapter is that one; of adapters that add nothing it adds nothing.',
  equality: 'tolerance',
  check: (trial) => {
    const [a, b, c] = three(trial)
    return all(
      () => sameOutputs(bottleneck.fuse([a]), a, trial, 'of one'),
      () => sameOutputs(bottleneck.fuse([fresh(b), fresh(b)]), fresh(c), trial, 'of nothing'),
    )
  },
})

export const compositionLaws: readonly TransformLaw[] = [
  stackIsAMonoid(),
  equalityTellsThemApart(),
  averageIsNormalisedOnce(),
  parallelIsSideBySide,
  fusionOfOneIsIt,
]
