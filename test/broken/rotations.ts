import {
  attach,
  boft,
  hra,
  materialize,
  matrix,
  oft,
  project,
  projectT,
  trainableOf,
  variant,
  withValue,
} from '../../src/index.ts'
import { countsAdd, mergeIs, mergePreservesOutputs, staysClose } from '../../src/laws/index.ts'
import { add, div, matmul, mul, ones, square, sub, sum, transpose } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/index.ts'
import { BoftKind, boftFields } from '../../src/weight/boft.ts'
import { independent } from '../../src/weight/hra.ts'
import type { Boft } from '../../src/weight/boft.ts'
import type { Hra } from '../../src/weight/hra.ts'
import { oftFields, skewOf } from '../../src/weight/oft.ts'
import type { Oft } from '../../src/weight/oft.ts'
import { cayley, identity, rotating, timesBlocks } from '../../src/weight/rotation.ts'
import { formulas, keepsAngles } from '../laws/methods/rotations.ts'
import { Net } from './broken.ts'
import type { Fault } from './broken.ts'

const fours = { dims: { in: 4, hidden: 4, out: 4 } }
const onSquare = oft({ at: 'square', blockSize: 2 })
const blocks = { at: 'square', blocks: 2, pairs: 1 } as const

/** I + 2Q + 2Q² + 2Q³ + 2Q⁴ + Q⁵: the Cayley map as a series, broken off. */
const series = (q: Tensor): Tensor => {
  const one = add(mul(q, 0), identity(q.shape.at(-1)!))
  let [sum, power] = [one, one]
  for (let i = 1; i <= 5; i++) {
    power = matmul(power, q)
    sum = add(sum, mul(power, i < 5 ? 2 : 1))
  }
  return sum
}

const Neumann = variant('Neumann', {
  fields: oftFields,
  ...rotating<Pick<Oft, 'base' | 'v'>>((x, w, back) => timesBlocks(x, series(skewOf(w.v.value)), 1, back)),
})

const TurnedBack = variant('TurnedBack', {
  fields: oftFields,
  ...rotating<Pick<Oft, 'base' | 'v'>>((x, w, back) => timesBlocks(x, cayley(skewOf(w.v.value)), 1, !back)),
})

const turn = (x: Tensor, v: Tensor, back: boolean): Tensor => timesBlocks(x, cayley(skewOf(v)), 1, back)

/** W·R in place of R·W, which fits only where a weight is square. */
const OutputSide = variant('OutputSide', {
  fields: oftFields,
  project: (x, w, ctx) => turn(project(x, w.base, ctx), w.v.value, false),
  projectT: (x, w, ctx) => projectT(turn(x, w.v.value, true), w.base, ctx),
  materialize: (w, ctx) => turn(materialize(w.base, ctx), w.v.value, false),
})

/** x − 2·(x·U)·Uᵀ with the columns as they are. */
const LongReflection = variant('LongReflection', {
  fields: { u: matrix('in', 'rank') },
  ...rotating<Pick<Hra, 'base' | 'u'>>((x, { u }) => sub(x, mul(matmul(matmul(x, u.value), transpose(u.value)), 2))),
})

/** One reflection, which nothing undoes. */
const Unpaired = variant('Unpaired', {
  fields: { u: matrix('in', 'rank', independent) },
  ...rotating<Pick<Hra, 'base' | 'u'>>((x, { u }) => {
    const along = matmul(matmul(x, u.value), transpose(u.value))
    return sub(x, div(mul(along, 2), sum(square(u.value))))
  }),
})

const { ops } = BoftKind
const ScaleForgotten = variant('ScaleForgotten', {
  fields: boftFields,
  project: (x, w, ctx) => ops.project(x, { ...(w as never as Boft), s: withValue(w.s, ones(w.s.value.shape)) }, ctx),
  materialize: (w, ctx) => ops.materialize(w as never, ctx),
})

const turnsOnce = mergeIs({ ...formulas, TurnedBack: formulas['Oft']!, OutputSide: formulas['Oft']! }, 2e-6)

const butterfly = countsAdd((model) =>
  Object.values(trainableOf(model))
    .filter((p) => p.label === 'square.weight')
    .reduce((n, { value: { shape } }) => n + 2 * (shape[0]! / 2) * 4 + shape[1]!, 0),
)

export const rotationFaults: readonly Fault[] = [
  {
    name: 'the Cayley map is a series that is broken off',
    source: 'PEFT, use_cayley_neumann, on by default: RᵀR is off by 1e-4 where σ = 0.01, by 0.52 where σ = 0.1',
    law: keepsAngles,
    on: Net,
    options: fours,
    broken: { transform: attach(Neumann)(blocks), kinds: { Neumann } },
    twin: { transform: onSquare },
  },
  {
    name: 'the rotation is turned the other way',
    source:
      'PEFT: use_cayley_neumann true and false are each other transposed, so that flipping it inverts a saved adapter',
    law: turnsOnce,
    on: Net,
    options: fours,
    broken: { transform: attach(TurnedBack)(blocks), kinds: { TurnedBack } },
    twin: { transform: onSquare },
  },
  {
    name: 'the outputs are rotated in place of the inputs, which only fits square weights',
    source: 'PEFT and the OFT paper write W as out×in and in×out: R·W and W·R both fit a square one',
    law: turnsOnce,
    on: Net,
    options: fours,
    broken: { transform: attach(OutputSide)(blocks), kinds: { OutputSide } },
    twin: { transform: onSquare },
  },
  {
    name: 'a direction of reflection is used at whatever length it has',
    source: 'Householder reflections as often written, I − 2uuᵀ, for u of length 1 without saying so',
    law: keepsAngles,
    on: Net,
    broken: { transform: attach(LongReflection)({ at: 'square', rank: 1 }), kinds: { LongReflection } },
    twin: { transform: hra({ at: 'square', rank: 2 }) },
  },
  {
    name: 'an odd number of reflections, one of which nothing undoes',
    source: 'PEFT, HRA: an odd r is taken with a warning and begins at random, so that a fresh adapter changes outputs',
    law: staysClose,
    on: Net,
    options: { declare: { init: 'close' } },
    broken: { transform: attach(Unpaired)({ at: 'square', rank: 1 }), kinds: { Unpaired } },
    twin: { transform: hra({ at: 'square', rank: 2 }) },
  },
  {
    name: 'the scale of the outputs is merged, and not run',
    source: 'PEFT: forward and merge of a method are two pieces of code (OFT is tested to 1e-2 only)',
    law: mergePreservesOutputs,
    on: Net,
    options: fours,
    broken: {
      transform: attach(ScaleForgotten)({ at: 'square', factors: 1, blockSize: 2 }),
      kinds: { ScaleForgotten },
    },
    twin: { transform: boft({ at: 'square', blockSize: 2 }) },
  },
  {
    name: 'the number of factors is 1 whatever was asked for',
    source: 'PEFT, BOFT: without its CUDA extension boft_n_butterfly_factor is set to 1',
    law: butterfly,
    on: Net,
    options: fours,
    broken: { transform: boft({ at: 'square', blockSize: 2, factors: 1 }) },
    twin: { transform: boft({ at: 'square', blockSize: 2, factors: 2 }) },
  },
]
