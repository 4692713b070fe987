import { describe, expect, test } from 'vitest'
import { freeze } from '../../src/index.ts'
import { div, item, log, memory, mul, release, scalar, sum, tensor, toArray } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { key, param, withStatus } from '../../src/tree/index.ts'
import type { EspalierError } from '../../src/tree/index.ts'
import { adamw, sgd, start, step, valueAndGrad } from '../../src/train/index.ts'
import type { LossCtx } from '../../src/train/index.ts'

const net = () => ({
  w: param('matrix', 'w', tensor([[1, 2]])),
  b: param('vector', 'b', tensor([3])),
  frozen: withStatus(param('vector', 'c', tensor([5])), 'frozen'),
})
type Net = ReturnType<typeof net>
const square = (m: Net, x: Tensor): Tensor =>
  sum(mul(mul(m.w.value, m.w.value), mul(mul(m.b.value, m.frozen.value), x)))

const issuesOf = (f: () => unknown): EspalierError['issues'] => {
  try {
    f()
  } catch (error) {
    return (error as EspalierError).issues
  }
  throw new Error('nothing was thrown')
}

describe('valueAndGrad', () => {
  test('gives the loss and the gradients of what is trainable', () => {
    const { value, grads } = valueAndGrad(square)(net(), scalar(1))
    expect(item(value)).toBe(75)
    expect(toArray(grads['w']!)).toEqual([[30, 60]])
    expect(toArray(grads['b']!)).toEqual([25])
    expect(Object.keys(grads)).toEqual(['w', 'b'])
  })

  test('refuses a model without anything to train, whatever its type says', () => {
    const frozen = freeze(net()) as unknown as Net
    const [issue] = issuesOf(() => valueAndGrad(square)(frozen, scalar(1)))
    expect(issue).toMatchObject({ _tag: 'NothingTrainable', found: 'frozen ones only' })
  })

  test('lists the labels that no gradient reaches', () => {
    const [issue] = issuesOf(() => valueAndGrad((m: Net) => sum(m.frozen.value))(net(), null))
    expect(issue).toMatchObject({ _tag: 'UnreachedParameter', found: 'no gradient reaches w, b' })
  })

  test('gives zeros there instead if asked to', () => {
    const { grads } = valueAndGrad((m: Net) => sum(m.b.value), { unreached: 'zero' })(net(), null)
    expect(toArray(grads['w']!)).toEqual([[0, 0]])
    expect(toArray(grads['b']!)).toEqual([1])
  })

  test('a loss that reads a model from outside reaches nothing', () => {
    const outside = net()
    const [issue] = issuesOf(() => valueAndGrad<Net, null>(() => sum(outside.w.value))(outside, null))
    expect(issue).toMatchObject({ _tag: 'UnreachedParameter', hint: expect.stringContaining('the loss is given') })
  })

  test.each([
    ['NaN', () => log(scalar(-1))],
    ['Infinity', () => div(scalar(1), 0)],
  ])('refuses a loss of %s', (found, bad) => {
    const [issue] = issuesOf(() => valueAndGrad((m: Net) => mul(sum(m.b.value), bad()))(net(), null))
    expect(issue).toMatchObject({ _tag: 'NonFiniteLoss', found })
  })

  test('refuses a loss that is no scalar', () => {
    const [issue] = issuesOf(() => valueAndGrad((m: Net) => m.w.value)(net(), null))
    expect(issue!._tag).toBe('NotScalar')
  })

  test('frees everything when it fails', () => {
    const model = net()
    const before = memory().tensors
    const failing: readonly [string, (m: Net) => Tensor][] = [
      ['NotScalar', (m) => m.w.value],
      ['NonFiniteLoss', (m) => log(mul(sum(m.b.value), -1))],
      ['UnreachedParameter', (m) => sum(m.w.value)],
    ]
    for (const [tag, loss] of failing) expect(() => valueAndGrad(loss)(model, null)).toThrow(tag)
    expect(memory().tensors).toBe(before)
    release(model, { keep: [] })
  })
})

describe('step', () => {
  test('gives the loss a context whose key stays and whose seed counts', () => {
    const seen: (LossCtx & { readonly words: unknown })[] = []
    const by = sgd({ rate: 0.1 })
    const advance = step(by, (m: Net, x: Tensor, ctx) => {
      seen.push({ ...ctx, words: toArray(ctx.seed!) })
      return square(m, x)
    })
    const first = start(net(), by, { key: key(1) })
    advance(advance(first, scalar(1e-3)), scalar(1e-3))
    expect(seen.map(({ train, words }) => [train, words])).toEqual([
      [true, [0, 0]],
      [true, [1, 0]],
    ])
    expect(seen[0]!.key).toEqual(seen[1]!.key)
    expect(seen[0]!.key).not.toEqual(key(1))
  })

  test('decay reaches no frozen weight, and the given model stays', () => {
    const model = net()
    const by = adamw({ rate: 0.5, weightDecay: 0.5 })
    const after = step(by, square)(start(model, by, { key: key(0) }), scalar(1))
    expect(after.model.frozen).toBe(model.frozen)
    expect(toArray(model.w.value)).toEqual([[1, 2]])
    expect(toArray(after.model.w.value)).not.toEqual([[1, 2]])
    expect(item(after.count)).toBe(1)
    expect(item(after.loss!)).toBe(75)
  })
})
