import { fc, test } from '@fast-check/vitest'
import { expect } from 'vitest'
import { isParam, key, leafPlaces, leaves, mapLeaves, trainableOf, untie } from '../../src/tree/index.ts'
import { dropout, memory, mul, reachable, read, record, release, replay, scope, sum } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { start, step, valueAndGrad } from '../../src/train/index.ts'
import type { Loss, Run } from '../../src/train/index.ts'
import { batchOf, build, digest, loss, numbers, optimiser, plans, vector } from './models.ts'
import type { LeafPlan } from './models.ts'

const batch = fc.array(vector(3), { minLength: 1, maxLength: 3 })

/** Runs a property without keeping its tensors. */
const inScope =
  <A extends readonly unknown[]>(f: (...args: A) => void) =>
  (...args: A): void =>
    scope(() => f(...args))

test.prop([plans, batch])('the gradient has exactly the trainable labels, a tie once', (leafPlans, rows) =>
  scope(() => {
    const model = build(leafPlans)
    const { grads } = valueAndGrad(loss)(model, batchOf(rows))
    expect(Object.keys(grads).toSorted()).toEqual(Object.keys(trainableOf(model)).toSorted())
    for (const [label, param] of Object.entries(trainableOf(model)))
      expect(grads[label]!.shape).toEqual(param.value.shape)
  }),
)

test.prop([plans, batch])(
  'the gradient of a tied leaf is the sum of its places, each as a leaf of its own',
  (leafPlans, rows) =>
    scope(() => {
      const tied = build(leafPlans)
      const places = leafPlaces(tied)
      let parted: unknown = tied
      // All places but the first become leaves of their own, on the same tensors.
      for (const { path } of places) parted = untieOnce(parted, path.join('.'))
      const grads = valueAndGrad(loss)(tied, batchOf(rows)).grads
      const own = valueAndGrad(loss)(parted, batchOf(rows)).grads
      for (const label of Object.keys(grads)) {
        const at = places.flatMap(({ node }, i) => (node.label === label ? [leafPlaces(parted)[i]!.node.label] : []))
        const expected = [0, 1, 2].map((i) => [...new Set(at)].reduce((total, l) => total + read(own[l]!)[i]!, 0))
        ;[...read(grads[label]!)].forEach((g, i) => expect(g).toBeCloseTo(expected[i]!, 4))
      }
    }),
)

const untieOnce = (model: unknown, path: string): unknown => {
  try {
    return untie(model, path)
  } catch {
    return model
  }
}

test.prop([plans, batch])(
  'a gradient does not see the same tensor elsewhere: in a frozen twin, or behind the loss',
  (leafPlans, rows) =>
    scope(() => {
      const student = build(leafPlans)
      const teacher = mapLeaves(student, (leaf) => ({ ...leaf, label: `teacher.${leaf.label}`, status: 'frozen' }))
      const x = batchOf(rows)
      const apart = (model: unknown): Tensor => loss(model, x, {})
      const alone = valueAndGrad(loss)(student as unknown, x)
      const both = valueAndGrad((m: { student: unknown; teacher: unknown }) => mul(apart(m.student), apart(m.teacher)))(
        { student, teacher } as never,
        x,
      )
      const closed = valueAndGrad((m: unknown) => mul(apart(m), apart(student)))(student as unknown, x)
      const value = read(alone.value)[0]!
      for (const [label, g] of Object.entries(alone.grads))
        for (const other of [both.grads[label]!, closed.grads[label]!])
          read(other).forEach((found, i) => expect(found / (value || 1)).toBeCloseTo(read(g)[i]! * (value ? 1 : 0), 3))
    }),
)

test.prop([plans, batch, optimiser])(
  'a step keeps frozen leaves the same objects and tied places one leaf',
  (leafPlans, rows, by) =>
    scope(() => {
      const model = build(leafPlans)
      const before = digest(model)
      const next = step(by, loss)(start(model, by, { key: key(0) }), batchOf(rows)).model
      const [was, is] = [leafPlaces(model), leafPlaces(next)]
      was.forEach(({ node }, i) => {
        const kept = isParam(node) && node.status === 'frozen'
        expect(is[i]!.node === node).toBe(kept)
      })
      expect(leaves(next).length).toBe(leaves(model).length)
      expect(digest(model)).toBe(before)
    }),
)

test.prop([plans, batch, optimiser, fc.integer({ min: 1, max: 4 })])(
  'a step is pure, and the only thing it allocates is the new run',
  (leafPlans, rows, by, count) => {
    const model = build(leafPlans)
    const x = batchOf(rows)
    let run = start(model, by, { key: key(0) })
    let size: number | undefined
    for (let i = 0; i < count; i += 1) {
      const before = digest(run)
      const alive = memory().tensors
      const next = step(by, loss)(run, x)
      expect(digest(run)).toBe(before)
      const fresh = reachable(next).filter((t) => !reachable(run).includes(t))
      expect(memory().tensors - alive).toBe(fresh.length)
      release(run, { keep: [next, model] })
      // The first step adds a loss and parts from the model given; from then on nothing grows.
      if (i > 0) expect(memory().tensors).toBe(size)
      size = memory().tensors
      run = next
    }
    expect(reachable(model).every((t) => !t.isDisposed)).toBe(true)
    release([run, model, x], { keep: [] })
  },
)

test.prop([plans, batch, optimiser])(
  'a recorded step, replayed, is the step: nothing that changes from one to the next is baked in',
  inScope((leafPlans: readonly LeafPlan[], rows: readonly (readonly number[])[], by) => {
    const noisy: Loss<unknown, Tensor> = (m, x, { key: k, seed }) =>
      sum(dropout(loss(m, x, {}), { rate: 0.5, key: k!, seed: seed! }))
    const model = build(leafPlans)
    const x = batchOf(rows)
    const advance = step(by, noisy)
    let run: Run<unknown, unknown> = start(model, by, { key: key(3) }) as Run<unknown, unknown>
    const tensors = reachable(run)
    const fill = (values: readonly Tensor[]): typeof run =>
      rebuild(run, new Map(tensors.map((t, i) => [t, values[i]!]))) as typeof run
    const graph = record(
      (...values) => {
        const { loss: value, ...next } = advance(fill(values), x)
        return [...inOrder(next, run), value!]
      },
      ...tensors,
    )
    let replayed: readonly Tensor[] = tensors
    for (let i = 0; i < 4; i += 1) {
      const { loss: value, ...next } = advance(run, x)
      const results = replay(graph, replayed)
      expect(numbers(results)).toEqual(numbers([...inOrder(next, run), value!]))
      run = next
      replayed = results.slice(0, -1)
    }
  }),
  60_000,
)

/** The tensors of a value of one structure, in the order of the first one that was seen. */
const inOrder = (next: unknown, like: unknown): readonly Tensor[] => {
  const [a, b] = [reachable(next), reachable(like)]
  if (a.length !== b.length) throw new Error(`${a.length} tensors for ${b.length}`)
  return a
}

const rebuild = (x: unknown, by: ReadonlyMap<Tensor, Tensor>): unknown => {
  const seen = new Map<unknown, unknown>()
  const go = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (by.has(value as Tensor)) return by.get(value as Tensor)
    if (!seen.has(value))
      seen.set(
        value,
        Array.isArray(value) ? value.map(go) : Object.fromEntries(Object.entries(value).map(([k, v]) => [k, go(v)])),
      )
    return seen.get(value)
  }
  return go(x)
}
