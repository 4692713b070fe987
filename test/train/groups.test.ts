import { describe, expect, test } from 'vitest'
import {
  adamw,
  byLabel,
  dora,
  freeze,
  key,
  leaves,
  lora,
  loraPlus,
  pipe,
  scaleByRate,
  sgd,
  start,
  step,
  sllm,
  valueAndGrad,
} from '../../src/index.ts'
import type { Labelled } from '../../src/index.ts'
import { mul, normal, read, scalar, sum, tensor } from '../../src/ops/index.ts'
import { idsOf, issuesOf, tinySllm } from '../support.ts'

const params: Labelled = { 'fc.weight': tensor([1, 2]), 'fc.bias': tensor([3]), norm: tensor([4]) }
const byEnd = (label: string): 'biases' | 'rest' => (label.endsWith('bias') ? 'biases' : 'rest')
const numbers = (all: Labelled): Record<string, number[]> =>
  Object.fromEntries(Object.entries(all).map(([label, t]) => [label, [...read(t)]]))

describe('byLabel', () => {
  test('each group steps by its own optimiser, in the order of the gradients', () => {
    const grouped = byLabel(byEnd, { biases: sgd({ rate: 0.5 }), rest: sgd({ rate: 2 }) })
    const { updates } = grouped.update(params, grouped.init(params), params)
    expect(numbers(updates)).toEqual({ 'fc.weight': [-2, -4], 'fc.bias': [-1.5], norm: [-8] })
    expect(Object.keys(updates)).toEqual(Object.keys(params))
  })

  test('the same optimiser in every group is that optimiser, step by step', () => {
    const make = () => adamw({ rate: 0.1, weightDecay: 0.1 })
    const [one, grouped] = [make(), byLabel(byEnd, { biases: make(), rest: make() })]
    let [a, b] = [one.init(params), grouped.init(params)]
    for (let i = 0; i < 3; i += 1) {
      const grads = Object.fromEntries(
        Object.entries(params).map(([label, p]) => [label, normal(key(`${i} ${label}`), p.shape)]),
      )
      const [x, y] = [one.update(grads, a, params), grouped.update(grads, b, params)]
      expect(numbers(y.updates)).toEqual(numbers(x.updates))
      ;[a, b] = [x.state, y.state]
    }
  })

  test('a label without a group, and a group without labels, are errors at the beginning', () => {
    const lost = byLabel(
      ((label: string) => (label === 'norm' ? 'nroms' : 'rest')) as () => 'rest',
      {
        rest: sgd({ rate: 1 }),
        norms: sgd({ rate: 1 }),
      } as { rest: ReturnType<typeof sgd> },
    )
    expect(issuesOf(() => lost.init(params))).toMatchObject([
      { _tag: 'NoGroup', path: 'norm', found: 'nroms', hint: expect.stringContaining('norms') },
      { _tag: 'EmptyGroup', path: 'norms' },
    ])
    expect(() => byLabel(byEnd, { biases: scaleByRate(1), rest: scaleByRate(1) }).init(params)).not.toThrow()
  })
})

describe('loraPlus', () => {
  const base = freeze(tinySllm())
  const loss = (model: typeof base): ReturnType<typeof scalar> => sum(mul(sllm.apply(model, idsOf([[1, 2, 3]])), 0.01))
  const stepped = (model: never, options: { readonly clip?: number }): Record<string, number> => {
    const optimiser = loraPlus(model, { rate: 1e-3, ratio: 8, weightDecay: 0, eps: 0, ...options })
    const after = step(optimiser, loss as never)(start(model, optimiser, { key: key(1) }) as never, null)
    const before = new Map(leaves(model).map((l) => [l.label, read(l.value)]))
    return Object.fromEntries(
      leaves(after.model)
        .filter((l) => (l as { status?: string }).status === 'trainable')
        .map((l) => [l.label, Math.max(...[...read(l.value)].map((x, i) => Math.abs(x - before.get(l.label)![i]!)))]),
    )
  }

  test('B moves 8 times as far as A in the first step, at which Adam moves by the rate', () => {
    const tuned = lora({ at: 'out_head', rank: 2, init: 'random' })(base)
    const moved = stepped(tuned as never, {})
    expect(moved['out_head.weight.a']).toBeCloseTo(1e-3, 5)
    expect(moved['out_head.weight.b']).toBeCloseTo(8e-3, 5)
  })

  test('clipping looks at all gradients together', () => {
    const tuned = lora({ at: 'out_head', rank: 2, init: 'random' })(base)
    const { grads } = valueAndGrad(loss as never)(tuned as never, null)
    const norm = Math.hypot(...Object.values(grads).flatMap((g) => [...read(g)]))
    const optimiser = loraPlus(tuned, { rate: 1e-3, weightDecay: 0, clip: norm / 2 })
    const { state } = optimiser.update(grads, optimiser.init(grads), grads)
    const first = (all: Labelled): number => [...read(all['out_head.weight.b']!)][0]!
    expect(first(state[1].b[1].mean)).toBeCloseTo(0.1 * 0.5 * first(grads), 6)
  })

  test('lengths of DoRA and factors of embeddings keep the rate; a schedule is multiplied', () => {
    const tuned = pipe(base, dora({ at: 'out_head', rank: 2 }), lora.embedding({ at: '**.token_embdgs', rank: 2 }))
    const optimiser = loraPlus(tuned, { rate: () => scalar(0.5), weightDecay: 0, eps: 0 })
    const run = start(tuned, optimiser, { key: key(0) })
    expect(Object.keys(run.state[1].b[1].mean)).toEqual(['out_head.weight.b'])
    expect(Object.keys(run.state[1].rest[1].mean)).toEqual([
      'embedding_block.token_embdgs.weight.a',
      'embedding_block.token_embdgs.weight.b',
      'out_head.weight.a',
      'out_head.weight.magnitude',
    ])
    const ones = Object.fromEntries(
      leaves(tuned)
        .filter((l) => (l as { status?: string }).status === 'trainable')
        .map((l) => [l.label, l.value]),
    )
    const grads = Object.fromEntries(Object.entries(ones).map(([label, t]) => [label, normal(key(label), t.shape)]))
    const { updates } = optimiser.update(grads, run.state, ones)
    expect(Math.abs([...read(updates['out_head.weight.b']!)][0]!)).toBeCloseTo(8, 4)
    expect(Math.abs([...read(updates['out_head.weight.magnitude']!)][0]!)).toBeCloseTo(0.5, 4)
  })

  test('a model without B, and a ratio that is none, are refused', () => {
    expect(issuesOf(() => loraPlus(tinySllm(), { rate: 1 }))).toMatchObject([{ _tag: 'NoMatch', path: 'loraPlus' }])
    const tuned = lora({ at: 'out_head', rank: 2 })(base)
    expect(issuesOf(() => loraPlus(freeze(tuned), { rate: 1 }))).toMatchObject([{ _tag: 'NoMatch' }])
    expect(issuesOf(() => loraPlus(tuned, { rate: 1, ratio: 0 }))).toMatchObject([{ path: 'loraPlus.ratio' }])
  })
})
