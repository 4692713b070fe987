import { fc, test } from '@fast-check/vitest'
import { expect } from 'vitest'
import { key } from '../../src/tree/index.ts'
import { item, mul, read, scalar, scope, tensor } from '../../src/ops/index.ts'
import {
  accumulate,
  addDecayedWeights,
  adamw,
  chain,
  clipByGlobalNorm,
  globalNorm,
  linearRate,
  scaleByAdam,
  scaleByRate,
  sgd,
  start,
  step,
  trace,
  warmupCosine,
  warmupLinear,
} from '../../src/train/index.ts'
import type { Labelled, Optimiser } from '../../src/train/index.ts'
import { batchOf, build, loss, numbers, optimiser, plans, vector } from './models.ts'

const normal = fc.double({ min: -4, max: 4, noNaN: true }).map((x) => Math.fround(Math.abs(x) < 1e-3 ? 0.25 : x))
const rows = fc.array(fc.array(normal, { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 6 })
const labelled = (values: readonly (readonly number[])[]): Labelled =>
  Object.fromEntries(values.map((row, i) => [`p${i}`, tensor(row)]))

/** The parameters after following gradients that were given beforehand. */
const follow = <S>({ init, update }: Optimiser<S>, from: readonly number[], grads: readonly (readonly number[])[]) => {
  let params: Labelled = { w: tensor(from) }
  let state = init(params)
  for (const g of grads) {
    const next = update({ w: tensor(g) }, state, params)
    state = next.state
    params = { w: tensor([...read(params['w']!)].map((p, i) => p + read(next.updates['w']!)[i]!)) }
  }
  return [...read(params['w']!)]
}

const close = (found: readonly number[], expected: readonly number[], digits = 4): void =>
  found.forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, digits))

test.prop([
  fc.array(normal, { minLength: 3, maxLength: 3 }),
  rows,
  fc.constantFrom(0, 0.01, 0.5),
  fc.constantFrom<readonly [number, number]>([0.9, 0.999], [0, 0.5], [0.5, 0]),
])('adamw is AdamW, in doubles by its textbook formula', (from, grads, weightDecay, betas) =>
  scope(() => {
    const [rate, eps] = [0.05, 1e-8]
    let [p, m, v] = [[...from], [0, 0, 0], [0, 0, 0]]
    grads.forEach((g, t) => {
      p = p.map((x) => x * (1 - rate * weightDecay))
      m = m.map((x, i) => betas[0] * x + (1 - betas[0]) * g[i]!)
      v = v.map((x, i) => betas[1] * x + (1 - betas[1]) * g[i]! ** 2)
      const [c1, c2] = [1 - betas[0] ** (t + 1), 1 - betas[1] ** (t + 1)]
      p = p.map((x, i) => x - ((rate / c1) * m[i]!) / (Math.sqrt(v[i]!) / Math.sqrt(c2) + eps))
    })
    close(follow(adamw({ rate, weightDecay, betas, eps }), from, grads), p)
  }),
)

test.prop([fc.array(normal, { minLength: 3, maxLength: 3 }), rows, fc.constantFrom(0, 0.5, 0.9), fc.boolean()])(
  'sgd is gradient descent with momentum, in doubles',
  (from, grads, momentum, nesterov) =>
    scope(() => {
      let [p, buffer] = [[...from], [0, 0, 0]]
      for (const g of grads) {
        buffer = buffer.map((b, i) => momentum * b + g[i]!)
        p = p.map((x, i) => x - 0.1 * (nesterov ? g[i]! + momentum * buffer[i]! : buffer[i]!))
      }
      close(follow(sgd({ rate: 0.1, momentum, nesterov }), from, grads), p)
    }),
)

test.prop([rows, fc.double({ min: 0.01, max: 20, noNaN: true })])(
  'clipping gives at most the norm, keeps the direction, and leaves small gradients bitwise alone',
  (values, norm) =>
    scope(() => {
      const grads = labelled(values)
      const { updates } = clipByGlobalNorm(norm).update(grads, {}, grads)
      const [before, after] = [item(globalNorm(grads)), item(globalNorm(updates))]
      expect(after).toBeLessThanOrEqual(Math.max(norm, 0) * (1 + 1e-5))
      if (before <= norm * (1 - 1e-6)) expect(numbers(updates)).toEqual(numbers(grads))
      else
        close(
          numbers(updates).flat(),
          numbers(grads)
            .flat()
            .map((g) => (g * norm) / before),
        )
      expect(before).toBeCloseTo(Math.hypot(...values.flat()), 3)
    }),
)

const part: fc.Arbitrary<Optimiser<unknown>> = fc.constantFrom(
  ...([
    clipByGlobalNorm(1),
    scaleByAdam(),
    trace({ momentum: 0.5 }),
    addDecayedWeights(0.25),
    scaleByRate(linearRate({ from: 1, to: 0, steps: 3 })),
    accumulate(2, trace({ momentum: 0.5 })),
  ] as readonly unknown[] as readonly Optimiser<unknown>[]),
)

test.prop([part, part, part, rows])('chain is associative', (a, b, c, grads) =>
  scope(() => {
    const from = [1, -2, 3]
    const left = follow(chain(chain(a, b), c), from, grads)
    expect(follow(chain(a, chain(b, c)), from, grads)).toEqual(left)
    expect(follow(chain(a, b, c), from, grads)).toEqual(left)
    expect(follow(chain(a, b, c, chain()), from, grads)).toEqual(left)
  }),
)

test.prop([plans, fc.integer({ min: 1, max: 4 }), fc.array(vector(3), { minLength: 8, maxLength: 8 }), optimiser])(
  'n accumulated micro-batches are one big batch, and nothing moves before the n-th',
  (leafPlans, n, all, by) =>
    scope(() => {
      const model = build(leafPlans)
      const summed = accumulate(n, by)
      let small = start(model, summed, { key: key(0) })
      let big = start(model, by, { key: key(0) })
      const size = Math.floor(all.length / n / 2)
      for (let update = 0; update < 2; update += 1) {
        const mine = all.slice(update * n * size, (update + 1) * n * size)
        big = step(by, loss)(big, batchOf(mine))
        for (let i = 0; i < n; i += 1) {
          const before = numbers(small.model)
          small = step(summed, loss)(small, batchOf(mine.slice(i * size, (i + 1) * size)))
          if (i < n - 1) close(numbers(small.model).flat(), before.flat(), 12)
        }
      }
      close(numbers(small.model).flat(), numbers(big.model).flat(), 3)
    }),
)

test.prop([
  fc.integer({ min: 0, max: 20 }),
  fc.integer({ min: 1, max: 100 }),
  fc.integer({ min: 0, max: 150 }),
  fc.double({ min: 0.1, max: 2, noNaN: true }),
  fc.double({ min: 0, max: 0.1, noNaN: true }),
])('schedules are their formulas in doubles', (warmup, after, count, peak, end) =>
  scope(() => {
    const total = warmup + after
    const done = Math.min(1, (count - warmup) / after)
    const at = (fall: number): number => (count < warmup ? (peak * count) / warmup : peak + (end - peak) * fall)
    const now = scalar(count, 'int32')
    expect(item(warmupLinear({ peak, warmup, total, end })(now))).toBeCloseTo(at(done), 4)
    expect(item(warmupCosine({ peak, warmup, total, end })(now))).toBeCloseTo(at((1 - Math.cos(Math.PI * done)) / 2), 4)
    const line = linearRate({ from: peak, to: end, steps: after })
    expect(item(line(now))).toBeCloseTo(peak + (end - peak) * Math.min(1, count / after), 4)
  }),
)

test.prop([rows])('what is frozen by `decays` is not decayed, and everything else is', (values) =>
  scope(() => {
    const params = labelled(values)
    const zero = Object.fromEntries(Object.entries(params).map(([label, p]) => [label, mul(p, 0)]))
    const { updates } = addDecayedWeights(0.5, { decays: (label) => label !== 'p0' }).update(zero, {}, params)
    values.forEach((row, i) => close([...read(updates[`p${i}`]!)], i === 0 ? row.map(() => 0) : row.map((x) => x / 2)))
  }),
)
