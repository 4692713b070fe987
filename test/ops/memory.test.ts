import { expect, test } from 'vitest'
import { memory, mul, reachable, release, scalar, scope, sum, gradients, item, zeros } from '../../src/ops/index.ts'

test('a scope keeps what its result holds, in records, arrays, Maps and Sets, and frees the rest', () => {
  const before = memory()
  const kept = scope(() => {
    zeros([10])
    const inner = scope(() => {
      zeros([20])
      return new Map([['a', { list: [scalar(1), null, 'text'] }]])
    })
    return { inner, set: new Set([scalar(2)]), pair: [scalar(3), () => zeros([1])] as const }
  })
  expect(memory().tensors - before.tensors).toBe(3)
  expect(reachable(kept).map(item)).toEqual([1, 2, 3])
  release(kept, { keep: [] })
  expect(memory()).toEqual(before)
})

test('a scope that throws frees everything it made, and nothing else', () => {
  const outside = scalar(1)
  const before = memory()
  const fails = (): never => {
    scalar(2)
    scope(() => scalar(3))
    throw new Error('on purpose')
  }
  expect(() => scope(fails)).toThrow('on purpose')
  expect(memory()).toEqual(before)
  expect(item(outside)).toBe(1)
  release(outside, { keep: [] })
})

test('a promise as result is refused, and what was made before it is freed', async () => {
  const before = memory()
  let waited: Promise<unknown> = Promise.resolve()
  const later = (): unknown => (waited = (async () => zeros([2]))())
  expect(() => scope(later)).toThrow(/AsyncScope/)
  await waited
  expect(memory()).toEqual(before)
})

test('release leaves what is kept, and what others share by another handle', () => {
  const shared = scalar(4)
  const old = { shared, twice: [scalar(5), shared] }
  release(old, { keep: { now: [shared] } })
  expect(item(shared)).toBe(4)
  expect(old.twice[0]!.isDisposed).toBe(true)
  release(old, { keep: [] })
  release(old, { keep: [] })
  expect(shared.isDisposed).toBe(true)
})

test('reachable does not follow cycles for ever, nor fall over deep data', () => {
  const loop: Record<string, unknown> = { t: scalar(1) }
  loop['self'] = [loop]
  let deep: unknown = loop['t']
  for (let i = 0; i < 100_000; i += 1) deep = { deep }
  expect(reachable([loop, deep])).toEqual([loop['t']])
  release(loop, { keep: [] })
})

test('a scope inside a differentiated function frees only what the backward pass does not need', () => {
  const x = scalar(3)
  const before = memory()
  let inside = 0
  const result = gradients(() => {
    const y = scope(() => {
      zeros([100])
      return mul(mul(x, x), x)
    })
    inside = memory().bytes - before.bytes
    return sum(y)
  }, [x])
  expect(inside).toBe(8)
  expect(item(result.grads[0]!)).toBe(27)
  release(result, { keep: [] })
  expect(memory()).toEqual(before)
  release(x, { keep: [] })
})
