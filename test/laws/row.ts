import { define, layer, linear, norm } from '../../src/index.ts'
import type { AnyTransform, CheckOptions, Formula, TransformLaw } from '../../src/laws/index.ts'
import { relu } from '../../src/ops/index.ts'

/** A model of a user's own: two layers, a norm, a residual way round, and a square weight that shows a transposition. */
export const Net = define(
  'Net',
  {
    fc1: linear('in', 'hidden'),
    square: linear('hidden', 'hidden', { bias: false }),
    norm: norm('hidden'),
    fc2: linear('hidden', 'out'),
  },
  (n, x, ctx) => layer(n.fc2, layer(n.norm, relu(layer(n.square, layer(n.fc1, x, ctx), ctx)), ctx), ctx),
)

/** The same without a norm, in which small differences stay small. */
export const Plain = define(
  'Plain',
  { fc1: linear('in', 'hidden'), square: linear('hidden', 'hidden', { bias: false }), fc2: linear('hidden', 'out') },
  (n, x, ctx) => layer(n.fc2, relu(layer(n.square, layer(n.fc1, x, ctx), ctx)), ctx),
)

/** One line of the table: a transform and everything that it is checked against. */
export interface Row extends CheckOptions {
  readonly name: string
  /** Names of exports this row stands for. */
  readonly covers: readonly string[]
  readonly transform: AnyTransform
  /** What merging makes of each weight kind, in plain numbers, and how much rounding that may cost. */
  readonly formulas?: Readonly<Record<string, Formula>>
  readonly within?: number
  /** Laws beside those that follow from what is declared. */
  readonly also?: readonly TransformLaw[]
}
