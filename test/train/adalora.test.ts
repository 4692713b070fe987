import { describe, expect, test } from 'vitest'
import {
  adalora,
  adaloraSchedule,
  adamw,
  define,
  freeze,
  get,
  key,
  layer,
  linear,
  lora,
  merge,
  orthogonality,
  pipe,
  sgd,
  start,
  step,
  trainableOf,
  valueAndGrad,
  withValues,
} from '../../src/index.ts'
import type { AdaLoraOptions, Labelled, Tensor } from '../../src/index.ts'
import { add, item, mul, normal, read, record, sub, square, mean, tensor } from '../../src/ops/index.ts'
import { truncatedSvd } from '../../src/transform/svd.ts'
import { issuesOf } from '../support.ts'

const Net = define('Net', { up: linear('in', 'hidden'), down: linear('hidden', 'out') }, (n, x, ctx) =>
  layer(n.down, layer(n.up, x, ctx), ctx),
)
const net = pipe(Net.init({ in: 6, hidden: 7, out: 5 }, key(0)), freeze, adalora({ at: '**', rank: 4, key: key(1) }))
type Model = typeof net

const values = (all: Labelled): Record<string, number[]> =>
  Object.fromEntries(Object.entries(all).map(([label, t]) => [label, [...read(t)]]))
const params: Labelled = Object.fromEntries(
  Object.entries(trainableOf(net)).map(([label, p]) => [label, normal(key(label), p.value.shape)]),
)
const weights = ['up.weight', 'down.weight']

/** The algorithm of the paper in plain numbers, with a sort. */
const naive = (
  options: Required<AdaLoraOptions>,
  grads: readonly Labelled[],
  rate: number,
): readonly (readonly number[])[] => {
  const p = values(params)
  const zero = (): Record<string, number[]> =>
    Object.fromEntries(Object.entries(p).map(([l, x]) => [l, x.map(() => 0)]))
  const [sensitivity, swing] = [zero(), zero()]
  let kept = Array.from({ length: 8 }, () => 1)
  return grads.map((given, i) => {
    const count = i + 1
    const g = values(given)
    const importance = zero()
    for (const [label, all] of Object.entries(p))
      all.forEach((x, j) => {
        const now = Math.abs(x * g[label]![j]!)
        const s = (sensitivity[label]![j] = options.beta1 * sensitivity[label]![j]! + (1 - options.beta1) * now)
        const u = (swing[label]![j] = options.beta2 * swing[label]![j]! + (1 - options.beta2) * Math.abs(now - s))
        importance[label]![j] = s * u
      })
    const scores = weights.flatMap((w) =>
      [0, 1, 2, 3].map((k) => {
        const [a, b] = [importance[`${w}.a`]!, importance[`${w}.b`]!]
        const column = a.filter((_, j) => j % 4 === k)
        const row = b.slice((k * b.length) / 4, ((k + 1) * b.length) / 4)
        const average = (all: readonly number[]): number => all.reduce((n, x) => n + x, 0) / all.length
        return importance[`${w}.e`]![k]! + average(column) + average(row)
      }),
    )
    const end = options.total - options.final
    const left = 1 - Math.min(1, Math.max(0, (count - options.warmup) / (end - options.warmup)))
    const most = options.targetRank * 2 + (8 - options.targetRank * 2) * left ** 3
    const due = count > options.warmup && count % options.every === 0
    if ((due && count < end) || count === end) {
      const order = scores.map((s, k) => [s, k] as const).toSorted((x, y) => y[0] - x[0])
      kept = scores.map((_, k) => (order.findIndex(([, at]) => at === k) < most ? 1 : 0))
    }
    for (const [label, all] of Object.entries(p)) all.forEach((x, j) => (all[j] = x - rate * g[label]![j]!))
    if (due || count >= end)
      weights.forEach((w, n) => kept.slice(4 * n, 4 * n + 4).forEach((k, j) => (p[`${w}.e`]![j]! *= k)))
    return [...kept, ...weights.flatMap((w) => p[`${w}.e`]!)]
  })
}

const ran = (options: AdaLoraOptions, grads: readonly Labelled[], rate: number): readonly (readonly number[])[] => {
  const optimiser = adaloraSchedule(options)(sgd({ rate }))
  let [p, state] = [params, optimiser.init(params)]
  return grads.map((g) => {
    const after = optimiser.update(g, state, p)
    p = Object.fromEntries(Object.entries(p).map(([label, x]) => [label, add(x, after.updates[label]!)]))
    state = after.state
    return [...read(state.kept), ...weights.flatMap((w) => [...read(p[`${w}.e`]!)])]
  })
}

const gradsOf = (seed: number, steps: number): readonly Labelled[] =>
  Array.from({ length: steps }, (_, i) =>
    Object.fromEntries(
      Object.entries(params).map(([label, p]) => [label, normal(key(`${seed} ${i} ${label}`), p.shape)]),
    ),
  )

describe('the schedule', () => {
  test.each([
    [{ targetRank: 2, total: 20, warmup: 4, final: 6, every: 1, beta1: 0.85, beta2: 0.85 }],
    [{ targetRank: 1, total: 16, warmup: 0, final: 0, every: 3, beta1: 0.5, beta2: 0.9 }],
    [{ targetRank: 3, total: 20, warmup: 9, final: 10, every: 5, beta1: 0, beta2: 0 }],
  ])('prunes what the algorithm in plain numbers prunes, at the same steps: %o', (options) => {
    for (const seed of [1, 2, 3, 4]) {
      const grads = gradsOf(seed, options.total + 3)
      const [want, found] = [naive(options, grads, 0.03), ran(options, grads, 0.03)]
      want.forEach((row, i) => {
        expect(found[i]!.slice(0, 8), `kept after ${i + 1} updates`).toEqual(row.slice(0, 8))
        row.slice(8).forEach((x, j) => {
          // What is pruned is zero exactly, the rest is as near as two ways of rounding.
          expect(Math.abs(found[i]![8 + j]! - x)).toBeLessThanOrEqual(x === 0 ? 0 : 1e-4)
        })
      })
    }
  })

  test('keeps all at first, fewer and fewer, and the target at the end', () => {
    const kept = ran({ targetRank: 2, total: 30, warmup: 5, final: 10 }, gradsOf(7, 34), 0.01).map((row) =>
      row.slice(0, 8).reduce((n, k) => n + k, 0),
    )
    expect(kept.slice(0, 5)).toEqual([8, 8, 8, 8, 8])
    expect(kept).toEqual(kept.toSorted((a, b) => b - a))
    expect(kept.slice(19)).toEqual(kept.slice(19).map(() => 4))
  })

  test('reads no value back, so that a step can be recorded', () => {
    const optimiser = adaloraSchedule({ targetRank: 2, total: 9 })(sgd({ rate: 0.1 }))
    const state = optimiser.init(params)
    const [labels, specs] = [Object.keys(params), Object.values(params).map(({ shape, dtype }) => ({ shape, dtype }))]
    const graph = record(
      (...grads) => {
        const all = Object.fromEntries(labels.map((label, i) => [label, grads[i]!]))
        return Object.values(optimiser.update(all, state, params).updates)
      },
      ...specs,
    )
    expect(graph.outputs).toHaveLength(labels.length)
  })

  test('of equal directions the first are kept, never more than the budget', () => {
    const zeros = Array.from({ length: 6 }, () =>
      Object.fromEntries(Object.entries(params).map(([label, p]) => [label, mul(p, 0)])),
    )
    const last = ran({ targetRank: 1, total: 6 }, zeros, 0.1).at(-1)!
    expect(last.slice(0, 8)).toEqual([1, 1, 0, 0, 0, 0, 0, 0])
  })

  test('settings that are none, and a model without triplets, are refused', () => {
    const bad = (options: AdaLoraOptions) => issuesOf(() => adaloraSchedule(options)).map((i) => i.path)
    expect(bad({ targetRank: 0, total: 9 })).toEqual(['adaloraSchedule.targetRank'])
    expect(bad({ targetRank: 1, total: 9, warmup: 5, final: 4 })).toEqual(['adaloraSchedule.total'])
    expect(bad({ targetRank: 1, total: 9, every: 0.5 })).toEqual(['adaloraSchedule.every'])
    expect(bad({ targetRank: 1, total: 9, beta2: 1 })).toEqual(['adaloraSchedule.beta2'])
    const optimiser = adaloraSchedule({ targetRank: 5, total: 9 })(sgd({ rate: 1 }))
    expect(issuesOf(() => optimiser.init(params))).toMatchObject([{ path: 'adaloraSchedule.targetRank', found: '5' }])
    const plain = lora({ at: '**', rank: 2 })(freeze(Net.init({ in: 2, hidden: 2, out: 2 }, key(0))))
    const other = Object.fromEntries(Object.entries(trainableOf(plain)).map(([label, p]) => [label, p.value]))
    expect(issuesOf(() => adaloraSchedule({ targetRank: 1, total: 9 })(sgd({ rate: 1 })).init(other))).toMatchObject([
      { _tag: 'NoMatch' },
    ])
  })
})

describe('training', () => {
  const target = normal(key(8), [6, 5])
  const loss = (model: Model, x: Tensor): Tensor =>
    add(mean(square(sub(Net.apply(model, x), tensorTimes(x, target)))), mul(orthogonality(model), 0.1))
  const tensorTimes = (x: Tensor, w: Tensor): Tensor => {
    const [a, b] = [read(x), read(w)]
    return tensor(
      Float32Array.from({ length: x.shape[0]! * 5 }, (_, i) => {
        let total = 0
        for (let k = 0; k < 6; k += 1) total += a[Math.floor(i / 5) * 6 + k]! * b[k * 5 + (i % 5)]!
        return total
      }),
      [x.shape[0]!, 5],
    )
  }
  const optimiser = adaloraSchedule({ targetRank: 2, total: 12, final: 4 })(adamw({ rate: 0.05 }))
  const batch = (i: number): Tensor => normal(key(100 + i), [8, 6])
  const advance = step(optimiser, loss)

  test('the rank of each change is at most what is kept of it (law 31), and the loss falls', () => {
    let run = start(net, optimiser, { key: key(0) })
    const first = item(loss(net, batch(0)))
    for (let i = 0; i < 12; i += 1) run = advance(run, batch(i))
    expect(item(loss(run.model, batch(0)))).toBeLessThan(first)
    const [kept, merged] = [[...read(run.state.kept)], merge(run.model)]
    expect(kept.reduce((n, k) => n + k, 0)).toBe(4)
    for (const [n, name] of (['up', 'down'] as const).entries()) {
      const change = sub(get(merged, `${name}.weight`).value, get(net, `${name}.weight`).base.value)
      const [rows, columns] = change.shape as [number, number]
      const { s } = truncatedSvd(rows, columns, read(change) as Float32Array, Math.min(rows, columns))
      const rank = [...s].filter((x) => x > 1e-5).length
      expect(rank).toBe(kept.slice(4 * n, 4 * n + 4).filter((k) => k === 1).length)
    }
  })

  test('a run that is taken up again from its state goes on bit for bit', () => {
    let run = start(net, optimiser, { key: key(0) })
    for (let i = 0; i < 5; i += 1) run = advance(run, batch(i))
    const copy = (x: unknown): unknown =>
      typeof x !== 'object' || x === null
        ? x
        : 'dtype' in x
          ? tensor(read(x as Tensor).slice(), [...(x as Tensor).shape], (x as Tensor).dtype)
          : Array.isArray(x)
            ? x.map(copy)
            : Object.fromEntries(Object.entries(x).map(([k, v]) => [k, copy(v)]))
    const again = advance({ ...run, state: copy(run.state) as typeof run.state }, batch(5))
    const on = advance(run, batch(5))
    expect(values(valuesOf(again.model))).toEqual(values(valuesOf(on.model)))
    expect([...read(again.state.kept)]).toEqual([...read(on.state.kept)])
  })

  const valuesOf = (model: Model): Labelled =>
    Object.fromEntries(Object.entries(trainableOf(model)).map(([label, p]) => [label, p.value]))
})

describe('orthogonality', () => {
  test('is ‖AᵀA − I‖² + ‖BBᵀ − I‖², and zero for orthonormal factors', () => {
    const eye = (rows: number, columns: number): Tensor =>
      tensor(
        Float32Array.from({ length: rows * columns }, (_, i) => (Math.floor(i / columns) === i % columns ? 1 : 0)),
        [rows, columns],
      )
    const orthonormal = withValues(net, {
      'up.weight.a': eye(6, 4),
      'up.weight.b': eye(4, 7),
      'down.weight.a': eye(7, 4),
      'down.weight.b': eye(4, 5),
    })
    expect(item(orthogonality(orthonormal))).toBe(0)
    const doubled = withValues(orthonormal, { 'up.weight.a': mul(eye(6, 4), 2) })
    // AᵀA is then 4·I, so four threes squared.
    expect(item(orthogonality(doubled))).toBe(36)
    expect(item(orthogonality(Net.init({ in: 2, hidden: 2, out: 2 }, key(0))))).toBe(0)
  })

  test('its gradient is that of the formula: 4·A·(AᵀA − I)', () => {
    const { grads } = valueAndGrad((m: Model) => orthogonality(m), { unreached: 'zero' })(net, null)
    const a = [...read(get(net, 'up.weight').a.value)]
    const gram = [0, 1, 2, 3].map((i) =>
      [0, 1, 2, 3].map((j) => {
        let total = i === j ? -1 : 0
        for (let r = 0; r < 6; r += 1) total += a[4 * r + i]! * a[4 * r + j]!
        return total
      }),
    )
    const want = a.map((_, at) => 4 * gram.reduce((n, row, k) => n + a[4 * Math.floor(at / 4) + k]! * row[at % 4]!, 0))
    ;[...read(grads['up.weight.a']!)].forEach((x, i) => expect(x).toBeCloseTo(want[i]!, 5))
  })
})
