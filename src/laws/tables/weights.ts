import { lookup, materialize, project, projectT, shapeOf } from '../../kind/index.ts'
import type { Ctx, Weight } from '../../kind/index.ts'
import { context } from '../../nn/index.ts'
import type { Kinds } from '../../kind/index.ts'
import { gather, matmul, memory, scope } from '../../ops/index.ts'
import { fold } from '../../tree/key.ts'
import type { Key } from '../../tree/key.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { all, holds, fails, verdict } from '../law.ts'
import type { Equality, Law, Verdict } from '../law.ts'
import { difference, digests, drawn, drawnIds } from '../values.ts'
import type { Style } from '../values.ts'

/** What one run of a weight law is given. */
export interface WeightRun {
  readonly weight: Weight
  readonly kinds: Kinds
  readonly key: Key
  readonly style: Style
  /** Inputs to multiply with; more than one axis before the last is legal. */
  readonly batch: readonly number[]
}

// On dyadic values sums of products are exact, whatever their order; on floats they differ by rounding.
const tolerances: Readonly<Record<Style, number>> = { dyadic: 0, float: 1e-5 }

const same = (a: Tensor, b: Tensor, style: Style, what: string): Verdict => {
  const found = difference(a, b, tolerances[style])
  return found === undefined ? holds : fails(`${what}, ${found}`)
}

const law = (
  name: string,
  says: string,
  equality: Equality,
  check: (run: WeightRun, ctx: Ctx) => Verdict,
): Law<WeightRun> => ({
  name,
  says,
  equality,
  check: (run) => check(run, context({ kinds: run.kinds })),
})

const projectIsMatmul = law(
  'projectIsMatmul',
  'project(x, w) = x · materialize(w).',
  'exact',
  ({ weight, key, style, batch }, ctx) => {
    const x = drawn(fold(key, 'x'), [...batch, shapeOf(weight, ctx)[0] ?? 1], style)
    return same(matmul(x, materialize(weight, ctx)), project(x, weight, ctx), style, 'x · W')
  },
)

const projectTIsMatmul = law(
  'projectTIsMatmul',
  'projectT(x, w) = x · materialize(w)ᵀ.',
  'exact',
  ({ weight, key, style, batch }, ctx) => {
    const x = drawn(fold(key, 'x'), [...batch, shapeOf(weight, ctx)[1] ?? 1], style)
    return same(matmul(x, materialize(weight, ctx), { transposeB: true }), projectT(x, weight, ctx), style, 'x · Wᵀ')
  },
)

const lookupIsGather = law(
  'lookupIsGather',
  'lookup(ids, w) = the rows of materialize(w).',
  'exact',
  ({ weight, key, style, batch }, ctx) => {
    const ids = drawnIds(fold(key, 'ids'), batch, shapeOf(weight, ctx)[0] ?? 1)
    return same(gather(materialize(weight, ctx), ids), lookup(ids, weight, ctx), style, 'a row')
  },
)

const shapeIsShape = law('shapeIsShape', 'shape(w) is the shape of materialize(w).', 'exact', ({ weight }, ctx) => {
  const [says, is] = [shapeOf(weight, ctx).join('×'), materialize(weight, ctx).shape.join('×')]
  return verdict(says === is, `it says ${says} and is ${is}`)
})

const operationsArePure = law(
  'operationsArePure',
  'Its operations change no value, free no tensor of the weight, and keep none.',
  'bitwise',
  ({ weight, key, style }, ctx) => {
    const [before, live] = [digests(weight), memory().tensors]
    scope(() => {
      const [rows = 1, columns = 1] = shapeOf(weight, ctx)
      project(drawn(fold(key, 'x'), [2, rows], style), weight, ctx)
      projectT(drawn(fold(key, 'y'), [2, columns], style), weight, ctx)
      materialize(weight, ctx)
      return null
    })
    const kept = memory().tensors - live
    return all(
      () => verdict(kept === 0, `${kept} tensors more are alive`),
      () =>
        verdict(
          [...digests(weight)].every(([path, d]) => before.get(path) === d),
          'a value has changed',
        ),
    )
  },
)

/** Every law of weights: whatever represents a matrix behaves as that matrix. */
export const weightLaws: readonly Law<WeightRun>[] = [
  projectIsMatmul,
  projectTIsMatmul,
  lookupIsGather,
  shapeIsShape,
  operationsArePure,
]
