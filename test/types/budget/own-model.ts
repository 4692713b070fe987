// A model of a user's own, and a variant of theirs.
import {
  allOnes,
  attach,
  define,
  freeze,
  layer,
  linear,
  lora,
  materialize,
  pipe,
  variant,
  vector,
} from '../../../src/index.ts'
import type { Key } from '../../../src/index.ts'
import { mul, relu } from '../../../src/ops/index.ts'

declare const key: Key
const Net = define('Net', { fc1: linear('in', 'hidden'), fc2: linear('hidden', 'out') }, (n, x, ctx) =>
  layer(n.fc2, relu(layer(n.fc1, x, ctx)), ctx),
)
const Scaled = variant('Scaled', {
  fields: { scale: vector('out', allOnes) },
  materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
})
export const net: unknown = pipe(
  Net.init({ in: 4, hidden: 8, out: 2 }, key),
  freeze,
  lora({ at: '**.fc1', rank: 2 }),
  attach(Scaled)({ at: '**.fc2' }),
)
