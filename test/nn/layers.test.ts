import { describe, expect, test } from 'vitest'
import {
  AttentionKind,
  context,
  define,
  embed,
  embedding,
  initialise,
  key,
  layer,
  linear,
  norm,
  positions,
} from '../../src/index.ts'
import type { Attention, Embedding, Layer, Linear, Positions } from '../../src/index.ts'
import { ones, slice, tensor, zeros } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { brief, data, idsOf, issuesOf, loud } from '../support.ts'

const ctx = context()
const one = <F extends object>(fields: F) =>
  define(`One`, fields as never, (_: unknown, x: Tensor) => x).init as never as (
    dims: Readonly<Record<string, number>>,
    k: ReturnType<typeof key>,
  ) => { readonly [K in keyof F]: Layer }

test('linear is x·W + b over the last axis, with or without b', () => {
  const { l, bare } = one({ l: linear('i', 'o'), bare: linear('i', 'o', { bias: false }) })(
    { i: 2, o: 3 },
    key(0),
  ) as never as {
    l: Linear
    bare: Linear
  }
  const full = loud(l, (label) => label.endsWith('bias'))
  const w = data((full.weight as never as { value: Tensor }).value)
  const b = data(full.bias!.value)
  data(layer(full, tensor([[1, 2]]), ctx)).forEach((v, j) => expect(v).toBeCloseTo(w[j]! + 2 * w[3 + j]! + b[j]!, 5))
  expect(layer(full, ones([4, 5, 2]), ctx).shape).toEqual([4, 5, 3])
  expect(bare.bias).toBeNull()
  expect(data(layer(bare, zeros([1, 2]), ctx))).toEqual([0, 0, 0])
})

test('norm has mean 0 and variance 1 before its scale and shift', () => {
  const { n } = one({ n: norm('d') })({ d: 4 }, key(0))
  const y = data(layer(n, tensor([[1, 2, 3, 10]]), ctx))
  expect(y.reduce((a, b) => a + b)).toBeCloseTo(0, 5)
  expect(y.reduce((a, b) => a + b * b, 0) / 4).toBeCloseTo(1, 4)
  const flat = data(layer(n, tensor([[5, 5, 5, 5]]), ctx))
  expect(flat).toEqual([0, 0, 0, 0])
})

describe('embedding and positions', () => {
  const nodes = one({ e: embedding('v', 'd'), p: positions('n', 'd') })({ v: 5, d: 3, n: 4 }, key(0)) as never as {
    e: Embedding
    p: Positions
  }

  test('an id is its row, the mask goes through', () => {
    const mask = ones([1, 2])
    const out = embed(nodes.e, { ids: idsOf([[4, 0]]), mask }, ctx)
    const table = data((nodes.e.weight as never as { value: Tensor }).value)
    expect(data(out.hidden)).toEqual([...table.slice(12), ...table.slice(0, 3)])
    expect(out.mask).toBe(mask)
  })

  test('a position is its row, for each sequence of a batch', () => {
    const rows = data(nodes.p.weight.value).slice(0, 6)
    expect(data(layer(nodes.p, zeros([2, 2, 3]), ctx))).toEqual([...rows, ...rows])
    expect(brief(issuesOf(() => layer(nodes.p, zeros([1, 5, 3]), ctx)))).toEqual(['ContextOverflow p.weight'])
    const [beyond] = issuesOf(() => layer(nodes.p, zeros([1, 2, 3]), { ...ctx, positions: idsOf([[0, 4]]) }))
    expect(beyond).toMatchObject({ _tag: 'ContextOverflow', path: 'p.weight', found: expect.stringContaining('is 4,') })
    const many = { ...ctx, positions: idsOf([[0, 1, 2]]) }
    expect(brief(issuesOf(() => layer(nodes.p, zeros([1, 2, 3]), many)))).toEqual(['ShapeMismatch positions'])
  })
})

describe('attention', () => {
  const attention = initialise(AttentionKind, { d: 4, heads: 2, d_head: 3 }, key(0), { heads: 2 }) as Attention<Linear>

  test('of the only position it may see is that position’s value', () => {
    const x = tensor([
      [
        [1, 2, 3, 4],
        [4, 3, 2, 1],
      ],
    ])
    const own = layer(attention, x, {
      ...ctx,
      mask: tensor([
        [
          [
            [1, 0],
            [0, 1],
          ],
        ],
      ]),
    })
    const through = layer(attention.projection_out, layer(attention.Wv, x, ctx), ctx)
    data(own).forEach((v, i) => expect(v).toBeCloseTo(data(through)[i]!, 5))
  })

  test('without a mask every position sees every other', () => {
    const [a, b] = [
      [
        [1, 2, 3, 4],
        [4, 3, 2, 1],
      ],
      [
        [1, 2, 3, 4],
        [0, 3, 2, 1],
      ],
    ].map((x) => data(slice(layer(attention, tensor([x]), ctx), [0, 0, 0], [1, 1, 4])))
    expect(a).not.toEqual(b)
  })

  test('a width that the heads do not divide is refused', () => {
    expect(brief(issuesOf(() => layer({ ...attention, heads: 4 } as Layer, ones([1, 2, 4]), ctx)))).toEqual([
      'ShapeMismatch heads',
    ])
  })
})
