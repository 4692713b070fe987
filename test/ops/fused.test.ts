import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Tensor } from '../../src/ops/index.ts'
import {
  add,
  attention,
  compile,
  crossEntropyRows,
  dropout,
  engine,
  gradients,
  headLoss,
  matmul,
  mul,
  normal,
  ones,
  read,
  record,
  replay,
  softmax,
  sum,
  tensor,
  zeros,
} from '../../src/ops/index.ts'
import { key } from '../../src/tree/key.ts'
import { distance } from './op-laws.ts'

const named = (f: () => Tensor, xs: readonly Tensor[]): readonly string[] =>
  record(() => gradients(f, xs).grads.filter((grad) => grad !== null)).nodes.map(({ name }) => name)

const identity = (n: number): Tensor =>
  tensor(
    Float32Array.from({ length: n * n }, (_, i) => +(i % (n + 1) === 0)),
    [n, n],
  )

describe.each(['js', 'wasm'] as const)('%s', (name) => {
  beforeAll(() => engine({ prefer: name, quiet: true }))
  afterAll(() => engine({ prefer: 'js', quiet: true }))

  test('attention drops what dropout of the same key and seed drops', () => {
    const [q, k] = [normal(key(1), [2, 4, 5, 3]), normal(key(2), [2, 2, 7, 3])]
    // With values that are the columns of the identity, what is read are the weights themselves.
    const v = tensor(
      Float32Array.from({ length: 4 * 49 }, (_, i) => +((i % 49) % 8 === 0)),
      [2, 2, 7, 7],
    )
    const drop = { rate: 0.5, key: key('mask'), seed: tensor([3, -4], [2], 'int32') }
    const dropped = read(dropout(ones([2, 4, 5, 7]), drop))
    const weights = read(attention(q, k, v, { drop }))
    expect([...weights].map((w) => w > 0)).toEqual([...dropped].map((x) => x > 0))
    expect(distance(weights, read(mul(attention(q, k, v), tensor(dropped, [2, 4, 5, 7]))))).toBeLessThan(1e-6)
  })

  test('each head reads by the keys and values of its group', () => {
    const [q, k, v] = [normal(key(1), [1, 4, 2, 3]), normal(key(2), [1, 2, 3, 3]), normal(key(3), [1, 2, 3, 2])]
    const scores = (head: number, group: number): Tensor => {
      const rows = tensor(read(q).slice(head * 6, head * 6 + 6), [2, 3])
      const keys = tensor(read(k).slice(group * 9, group * 9 + 9), [3, 3])
      const values = tensor(read(v).slice(group * 6, group * 6 + 6), [3, 2])
      return matmul(softmax(matmul(rows, keys, { transposeB: true })), values)
    }
    const expected = [0, 0, 1, 1].flatMap((group, head) => [...read(scores(head, group))])
    expect(distance(read(attention(q, k, v, { scale: 1 })), expected)).toBeLessThan(1e-6)
  })

  test('the losses of many rows are those of their logits, and so is the gradient; rows without a label are not read', () => {
    const [rows, d, classes] = [1100, 3, 5]
    const labels = tensor(
      Int32Array.from({ length: rows }, (_, i) => (i % 3 === 0 ? -100 : i % classes)),
      [rows],
    )
    const [hidden, weight, bias] = [normal(key(1), [rows, d]), normal(key(2), [classes, d]), normal(key(3), [classes])]
    const fused = gradients(() => sum(mul(headLoss(hidden, weight, bias, labels, { transpose: true }), 0.5)), [hidden])
    const logits = (): Tensor => matmul(hidden, weight, { transposeB: true })
    const plain = gradients(() => sum(mul(crossEntropyRows(add(logits(), bias), labels), 0.5)), [hidden])
    expect(distance(read(fused.value), read(plain.value))).toBeLessThan(1e-5)
    expect(distance(read(fused.grads[0]!), read(plain.grads[0]!))).toBeLessThan(1e-5)

    const holes = tensor(
      Float32Array.from(read(hidden), (x, i) => (Math.floor(i / d) % 3 === 0 ? NaN : x)),
      [rows, d],
    )
    expect(
      distance(
        read(headLoss(holes, weight, bias, labels, { transpose: true })),
        read(headLoss(hidden, weight, bias, labels, { transpose: true })),
      ),
    ).toBe(0)
  })

  test('without any label all losses are 0, and so is the gradient', () => {
    const hidden = normal(key(1), [3, 2])
    const none = tensor([-100, -100, -100], [3], 'int32')
    const { value, grads } = gradients(() => sum(headLoss(hidden, identity(2), null, none)), [hidden])
    expect([...read(value)]).toEqual([0])
    expect([...read(grads[0]!)]).toEqual([0, 0, 0, 0, 0, 0])
  })

  test('a label that is no class is refused', () => {
    const labels = tensor([2], [1], 'int32')
    expect(() => headLoss(ones([1, 2]), identity(2), null, labels)).toThrow(/labels from 0 to 1 .*2 at position 0/s)
  })
})

describe('what is done for a gradient', () => {
  const q = normal(key(1), [1, 1, 2, 3])
  const hidden = normal(key(1), [4, 2])
  const labels = tensor([0, 1, -100, 1], [4], 'int32')

  test('a mask that is a variable gets none, and the slopes are not computed for it', () => {
    const mask = ones([2, 2])
    expect(named(() => sum(attention(q, q, q, { mask })), [mask])).not.toContain('attentionSlope')
    expect(named(() => sum(attention(q, q, q, { mask })), [q])).toContain('attentionSlope')
  })

  test('with a frozen head no logits are there; a head that learns has them', () => {
    const weight = identity(2)
    const loss = (): Tensor => sum(headLoss(hidden, weight, null, labels))
    expect(named(loss, [hidden])).toEqual(expect.arrayContaining(['headLoss', 'headSlope']))
    expect(named(loss, [hidden])).not.toContain('matmul')
    expect(named(loss, [hidden, weight])).not.toContain('headLoss')
    const slopes = record(() => headLoss(hidden, weight, null, labels)).nodes.map(({ attrs }) => attrs['slope'])
    expect(slopes).toEqual([false])
  })

  test('a loss recorded without a gradient has the right one in a replay', () => {
    const weight = normal(key(2), [2, 3])
    const spec = (shape: readonly number[]) => ({ shape, dtype: 'float32' }) as const
    const graph = record((h, w) => headLoss(h, w, null, labels), spec([4, 2]), spec([2, 3]))
    expect(graph.nodes.map(({ name }) => name)).toEqual(['headLoss'])
    const plain = gradients(() => sum(crossEntropyRows(matmul(hidden, weight), labels)), [hidden, weight])
    const both = gradients(() => sum(replay(graph, [hidden, weight])[0]!), [hidden, weight])
    const one = gradients(() => sum(replay(graph, [hidden, weight])[0]!), [hidden])
    for (const i of [0, 1]) expect(distance(read(both.grads[i]!), read(plain.grads[i]!))).toBeLessThan(1e-6)
    expect(distance(read(one.grads[0]!), read(plain.grads[0]!))).toBeLessThan(1e-6)
  })

  test('a loss recorded with the gradient of a frozen head can still be differentiated by that head', () => {
    const weight = normal(key(2), [2, 3])
    const spec = (shape: readonly number[]) => ({ shape, dtype: 'float32' }) as const
    const both = (losses: (h: Tensor, w: Tensor) => Tensor) => (h: Tensor, w: Tensor) => {
      const { value, grads } = gradients(() => sum(mul(losses(h, w), losses(h, w))), [h])
      return add(value, sum(mul(grads[0]!, grads[0]!)))
    }
    const graph = record(
      both((h, w) => headLoss(h, w, null, labels)),
      spec([4, 2]),
      spec([2, 3]),
    )
    const plain = both((h, w) => crossEntropyRows(matmul(h, w), labels))
    const expected = gradients(() => plain(hidden, weight), [hidden, weight])
    const found = gradients(() => replay(graph, [hidden, weight])[0]!, [hidden, weight])
    for (const i of [0, 1]) expect(distance(read(found.grads[i]!), read(expected.grads[i]!))).toBeLessThan(1e-5)
  })
})

describe('what does not fit', () => {
  const q = zeros([1, 4, 2, 3])
  test.each([
    [
      'groups that do not divide the heads',
      () => attention(q, zeros([1, 3, 2, 3]), zeros([1, 3, 2, 3])),
      /groups dividing heads/,
    ],
    ['keys of another width', () => attention(q, zeros([1, 4, 2, 5]), zeros([1, 4, 2, 5])), /k float32 \[1, 4, 2, 5\]/],
    ['fewer values than keys', () => attention(q, q, zeros([1, 4, 1, 3])), /v float32 \[1, 4, 1, 3\]/],
    ['a mask of other keys', () => attention(q, q, q, { mask: ones([2, 3]) }), /broadcasts to \[1, 4, 2, 2\]/],
    ['a rate of 1', () => attention(q, q, q, { drop: { rate: 1, key: key(0) } }), /less than 1/],
    [
      'a weight that is turned',
      () => headLoss(zeros([2, 3]), zeros([5, 3]), null, zeros([2], 'int32')),
      /mean transpose: true/,
    ],
    ['labels of another count', () => headLoss(zeros([2, 3]), zeros([3, 5]), null, zeros([3], 'int32')), /int32 \[3\]/],
  ])('%s', (_, f, message) => {
    expect(f).toThrow(message)
  })
})

describe('a NaN in attention', () => {
  afterAll(() => engine({ prefer: 'js', quiet: true }))

  test.each(['js', 'wasm', 'native'] as const)(
    '%s: makes NaN of the rows that see it, and of no other',
    async (name) => {
      if (
        !(await engine({ prefer: name, quiet: true }).then(
          () => true,
          () => name !== 'native',
        ))
      )
        return
      const shape = [1, 1, 3, 2]
      const good = tensor([1, 2, 3, 4, 5, 6], shape)
      const spoilt = (at: number) =>
        tensor(
          [1, 2, 3, 4, 5, 6].map((x, i) => (i === at ? NaN : x)),
          shape,
        )
      const causal = tensor([1, 0, 0, 1, 1, 0, 1, 1, 1], [3, 3])
      const rows = (q: Tensor, k: Tensor, v: Tensor): readonly string[] => {
        const all = [attention, compile(attention)].map((f) => f(q, k, v, { mask: causal }))
        return all.map((output) => [...read(output)].map((x) => (Number.isNaN(x) ? '?' : '.')).join(''))
      }
      expect(rows(spoilt(2), good, good)).toEqual(['..??..', '..??..'])
      expect(rows(good, spoilt(2), good)).toEqual(['..????', '..????'])
      expect(rows(good, good, spoilt(5))).toEqual([expect.stringMatching(/\?$/), expect.stringMatching(/\?$/)])
    },
  )
})
