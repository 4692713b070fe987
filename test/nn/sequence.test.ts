import { expect, test } from 'vitest'
import { throughBlocks } from '../../src/kind/index.ts'
import type { Ctx, Kind, KeysValues, Layer } from '../../src/kind/index.ts'
import { context } from '../../src/nn/index.ts'
import { exp, gradients, item, memory, mul, ones, scope, sum } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'

interface Busy {
  readonly _tag: 'Busy'
}

const counts: number[] = []
const BusyKind = {
  tag: 'Busy',
  role: 'layer',
  fields: {},
  ops: {
    layer: (_: Busy, x: Tensor, env: Ctx) => {
      counts.push(memory().tensors)
      const seen = mul(x, 2)
      env.keep?.({ keys: x, values: x }, { keys: seen, values: seen })
      return mul(exp(mul(x, 0)), mul(x, x))
    },
  },
} as unknown as Kind<Busy, 'layer'>

const blocks = (n: number): readonly Layer[] => Array.from({ length: n }, () => ({ _tag: 'Busy' }))
const ctx = context({}, { Busy: BusyKind })

test('a model holds what one block has made, not what all have', () => {
  scope(() => {
    const x = ones([1, 2, 3])
    counts.length = 0
    throughBlocks(blocks(5), x, ctx)
    expect(counts.slice(1).map((n, i) => n - counts[i]!)).toEqual([1, 1, 1, 1])
  })
})

test('what a cache keeps outlives its block, and gradients see what blocks have made', () => {
  scope(() => {
    const x = mul(ones([1, 2, 3]), 3)
    const kept: KeysValues[] = []
    throughBlocks(blocks(2), x, { ...ctx, keep: (_, seen) => void kept.push(seen) })
    expect(kept.map(({ keys }) => item(sum(keys)))).toEqual([6 * 2 * 3, 6 * 2 * 9])
    const { grads } = gradients(() => sum(throughBlocks(blocks(2), x, ctx)), [x])
    // Of the fourth power.
    expect(item(sum(grads[0]!))).toBeCloseTo(6 * 4 * 27, 3)
  })
})
