import { fc, test } from '@fast-check/vitest'
import { expect } from 'vitest'
import { key } from '../../src/tree/index.ts'
import { dropout, item, memory, reachable, read, release, scope, sum } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { evaluateOn, fit } from '../../src/train/index.ts'
import type { FitOptions, FitRun, Fitted, Loss } from '../../src/train/index.ts'
import { batchOf, build, digest, loss, numbers, optimiser, plans, vector } from './models.ts'
import type { AnyModel } from './models.ts'

type Row = readonly number[]
type Options = FitOptions<AnyModel, Row, Tensor, unknown>

/** A loss in which the key and the step matter. */
const noisy: Loss<unknown, Tensor> = (model, batch, ctx) => {
  const value = loss(model, batch, ctx)
  return ctx.train === true ? sum(dropout(value, { rate: 0.25, key: ctx.key!, seed: ctx.seed! })) : value
}

const options: fc.Arbitrary<Options> = fc
  .record({
    data: fc.array(vector(3), { minLength: 1, maxLength: 7 }),
    batchSize: fc.integer({ min: 1, max: 4 }),
    epochs: fc.integer({ min: 1, max: 3 }),
    accumulate: fc.integer({ min: 1, max: 3 }),
    seed: fc.nat(9),
    optimiser,
  })
  .map(({ seed, accumulate, ...rest }) => {
    const steps = rest.epochs * Math.ceil(rest.data.length / rest.batchSize)
    const parts = steps % accumulate === 0 ? accumulate : 1
    return { ...rest, accumulate: parts, key: key(seed), loss: noisy, collate: batchOf, progress: false }
  })

const judge = (data: readonly Row[]) => evaluateOn({ data, collate: batchOf, loss })
const train = (model: AnyModel, given: Options): Promise<Fitted<AnyModel, unknown>> => fit(model, given)

test.prop([plans, options], { numRuns: 40 })('fit is deterministic for a key', async (leaves, given) => {
  const model = build(leaves)
  const [a, b] = [await train(model, given), await train(model, given)]
  expect(numbers(a.model)).toEqual(numbers(b.model))
  expect(a.history).toEqual(b.history)
  expect(a.history.length).toBe(given.epochs * Math.ceil(given.data.length / given.batchSize))
  release([a, b, model], { keep: [] })
})

test.prop([plans, options, fc.nat(30)], { numRuns: 60 })(
  'a run taken up again gives the weights and the history of one that was not interrupted',
  async (leaves, given, at) => {
    const model = build(leaves)
    const evaluateEvery = 1 + (at % 4)
    const evaluate = judge(given.data)
    const whole = await train(model, { ...given, evaluate, evaluateEvery })
    const steps = whole.history.filter(({ kind }) => kind === 'step').length
    const stop = new AbortController()
    const first = await train(model, {
      ...given,
      evaluate,
      evaluateEvery,
      signal: stop.signal,
      onStep: ({ step }) => (step === 1 + (at % steps) ? stop.abort() : undefined),
    })
    expect(item(first.run.count)).toBe(1 + (at % steps))
    const second = await train(model, { ...given, evaluate, evaluateEvery, resume: first })
    expect(numbers(second.run.model)).toEqual(numbers(whole.run.model))
    expect(numbers(second.run.state)).toEqual(numbers(whole.run.state))
    expect(second.history).toEqual(whole.history)
    expect(numbers(second.best?.model)).toEqual(numbers(whole.best?.model))
    expect(reachable([first, model]).every((t) => !t.isDisposed)).toBe(true)
    release([model, whole, first, second], { keep: [] })
  },
)

test.prop([plans, options, fc.boolean(), fc.nat(20)], { numRuns: 60 })(
  'fit leaves alive its result, what was given and what was asked to be kept, and nothing else',
  async (leaves, given, evaluated, at) => {
    const model = build(leaves)
    const before = digest(model)
    const alive = memory().tensors
    const kept: FitRun<AnyModel, unknown>[] = []
    const result = await train(model, {
      ...given,
      ...(evaluated ? { evaluate: judge(given.data), evaluateEvery: 1 + (at % 4) } : {}),
      onStep: ({ step, keep }) => {
        if (step % 3 === at % 3) kept.push(keep())
      },
    })
    const held = reachable([result, kept]).filter((t) => !reachable(model).includes(t))
    expect(held.every((t) => !t.isDisposed)).toBe(true)
    expect(memory().tensors - alive).toBe(held.length)
    expect(digest(model)).toBe(before)
    if (evaluated) expect(numbers(result.best!.model).flat().every(Number.isFinite)).toBe(true)
    release([result, kept], { keep: model })
    expect(memory().tensors).toBe(alive)
    release(model, { keep: [] })
  },
)

test.prop([plans, options, fc.integer({ min: 1, max: 9 })], { numRuns: 40 })(
  'a fit that fails frees what it made, except what was kept',
  async (leaves, given, at) => {
    const model = build(leaves)
    const alive = memory().tensors
    let kept: unknown
    const steps = given.epochs * Math.ceil(given.data.length / given.batchSize)
    const failing = train(model, {
      ...given,
      onStep: ({ step, keep }) => {
        if (step === 1) kept = keep()
        if (step === Math.min(at, steps)) throw new Error('enough')
      },
    })
    await expect(failing).rejects.toThrow('enough')
    const held = reachable(kept).filter((t) => !reachable(model).includes(t))
    expect(held.every((t) => !t.isDisposed)).toBe(true)
    expect(memory().tensors - alive).toBe(held.length)
    release([kept, model], { keep: [] })
  },
)

test.prop([plans, options], { numRuns: 40 })(
  'the best model is the one whose evaluation was lowest',
  async (leaves, given) => {
    const model = build(leaves)
    const evaluate = judge(given.data)
    const result = await train(model, { ...given, evaluate })
    const losses = result.history.flatMap((r) => (r.kind === 'evaluation' ? [r.metrics['loss']!] : []))
    expect(result.best!.metrics['loss']).toBe(Math.min(...losses))
    expect(scope(() => evaluate(result.best!.model))).toEqual(result.best!.metrics)
    expect(reachable(result.model).every((t) => read(t).every(Number.isFinite))).toBe(true)
    release([result, model], { keep: [] })
  },
)
