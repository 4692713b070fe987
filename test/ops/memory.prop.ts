import { fc, test } from '@fast-check/vitest'
import { expect } from 'vitest'
import type { Tensor } from '../../src/ops/index.ts'
import { memory, reachable, release, scalar, scope } from '../../src/ops/index.ts'

/** A nest of containers whose leaves say: a new tensor, one from outside, or none. */
interface Nest {
  readonly leaf: 'new' | 'lost' | 'outside' | 'none'
  readonly container: 'record' | 'array' | 'map' | 'set' | 'scope'
  readonly children: readonly Nest[]
}

const nestOf = (children: fc.Arbitrary<readonly Nest[]>): fc.Arbitrary<Nest> =>
  fc.record({
    leaf: fc.constantFrom('new', 'lost', 'outside', 'none'),
    container: fc.constantFrom('record', 'array', 'map', 'set', 'scope'),
    children,
  })

const nest = [1, 2, 3].reduce((inner) => nestOf(fc.array(inner, { maxLength: 3 })), nestOf(fc.constant([])))

const build = ({ leaf, container, children }: Nest, outside: Tensor): unknown => {
  const own = leaf === 'new' ? scalar(1) : leaf === 'outside' ? outside : (leaf === 'lost' && scalar(2), null)
  const parts = (): readonly unknown[] => [own, ...children.map((child) => build(child, outside))]
  if (container === 'scope') return scope(parts)
  if (container === 'record') return Object.fromEntries(parts().map((part, i) => [`c${i}`, part]))
  if (container === 'map') return new Map(parts().map((part, i) => [i, part]))
  return container === 'set' ? new Set(parts()) : parts()
}

const count = (n: Nest): number => Number(n.leaf === 'new') + n.children.reduce((total, c) => total + count(c), 0)

test.prop([nest])('live after a scope = live before + reachable from the result', (n) => {
  const outside = scalar(0)
  const before = memory().tensors
  const result = scope(() => build(n, outside))
  expect(memory().tensors - before).toBe(count(n))
  expect(reachable(result).filter((t) => t !== outside).length).toBe(count(n))
  release(result, { keep: outside })
  expect(memory().tensors).toBe(before)
  expect(outside.isDisposed).toBe(false)
  release(outside, { keep: [] })
})

test.prop([nest, nest])('release frees what is reachable from old and not from keep', (old, keep) => {
  const outside = scalar(0)
  const [first, second] = scope(() => [build(old, outside), build(keep, outside)])
  const mixed = [first, second]
  release(mixed, { keep: second })
  expect(reachable(second).every((t) => !t.isDisposed)).toBe(true)
  expect(
    reachable(first)
      .filter((t) => !t.isDisposed)
      .every((t) => reachable(second).includes(t)),
  ).toBe(true)
  release([mixed, outside], { keep: [] })
})
