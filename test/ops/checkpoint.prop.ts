import { test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import {
  apply,
  checkpoint,
  gradients,
  memory,
  mul,
  normal,
  read,
  record,
  release,
  replay,
  scope,
  sum,
  tanh,
  tensor,
  vjp,
  zeros,
} from '../../src/ops/index.ts'
import type { Op, Tensor } from '../../src/ops/index.ts'
import { identityOp } from '../../src/ops/basic.ts'
import { key } from '../../src/tree/key.ts'
import { distance } from './op-laws.ts'
import { program, runOps } from './programs.ts'
import type { Program } from './programs.ts'

/** A program whose result goes on, through a checkpoint or not, so that what is behind it is not the end. */
const loss = (p: Program, xs: readonly Tensor[], kept: boolean): Tensor => {
  const first = kept ? runOps(p, xs) : checkpoint((...inputs) => runOps(p, inputs), xs)
  const second = kept ? runOps(p, xs) : checkpoint(() => runOps(p, xs), [first, ...xs])
  return mul(tanh(first), second)
}

const variables = (p: Program): Tensor[] => p.variables.map((x) => tensor(x))

const plain = (xs: readonly (Tensor | null)[]): readonly (readonly number[] | null)[] =>
  xs.map((x) => x && [...read(x)])

const agree = (found: readonly (Tensor | null)[], expected: readonly (Tensor | null)[]): void => {
  expect(found.map((x) => x === null)).toEqual(expected.map((x) => x === null))
  plain(found).forEach((x, i) => expect(distance(x ?? [], plain(expected)[i] ?? [])).toBeLessThan(1e-5))
}

describe('a checkpoint', () => {
  test.prop([program])('gives the value and the gradients of what it runs, and leaves nothing behind', (p) => {
    const xs = variables(p)
    const before = memory().tensors
    const { value, grads } = gradients(() => loss(p, xs, false), xs)
    expect(memory().tensors - before).toBe(1 + grads.filter((grad) => grad !== null).length)
    const expected = gradients(() => loss(p, xs, true), xs)
    agree([value, ...grads], [expected.value, ...expected.grads])
    release([xs, value, grads, expected], { keep: [] })
  })

  test.prop([program], { numRuns: 40 })('has the gradients of its gradients, and those of a recording', (p) => {
    scope(() => {
      const xs = variables(p)
      const slope = (kept: boolean): Tensor =>
        gradients(() => loss(p, xs, kept), xs).grads.reduce<Tensor>(
          (total, grad) => (grad === null ? total : sum(mul(grad, grad))),
          zeros([]),
        )
      agree(gradients(() => slope(false), xs).grads, gradients(() => slope(true), xs).grads)
      const specs = xs.map(({ shape, dtype }) => ({ shape, dtype }))
      const graph = record(
        (...ys) => gradients(() => loss(p, ys, false), ys).grads.map((grad, i) => grad ?? ys[i]!),
        ...specs,
      )
      const expected = gradients(() => loss(p, xs, true), xs).grads.map((grad, i) => grad ?? xs[i]!)
      agree(replay(graph, xs), expected)
    })
  })

  const block = (x: Tensor, w: Tensor): Tensor => tanh(mul(tanh(mul(tanh(mul(x, w)), w)), w))

  /** The most bytes that are there at any time, as an op in each block sees it on the way there and back. */
  const peak = (depth: number, kept: boolean): number => {
    let most = 0
    const look = (): void => void (most = Math.max(most, memory().bytes))
    const watch: Op = {
      ...identityOp,
      name: 'watch',
      reference: ([x]) => (look(), x!.data),
      vjp: ({ dy }) => (look(), [dy]),
    }
    scope(() => {
      const x = normal(key(0), [1000])
      const ws = Array.from({ length: depth }, (_, i) => normal(key(i), [1000]))
      const start = memory().bytes
      const body = (h: Tensor, w: Tensor): Tensor => apply(watch, [block(apply(watch, [h], {}), w)], {})
      vjp(
        () => ws.reduce((h, w) => (kept ? body(h, w) : checkpoint((...both) => body(both[0]!, both[1]!), [h, w])), x),
        [ws[0]!],
        x,
      )
      most -= start
    })
    return most
  }

  test('keeps one tensor a block', () => {
    const [few, many] = [peak(10, false), peak(30, false)]
    expect((many - few) / 20 / 4000).toBeLessThan(1.5)
    expect((peak(30, true) - peak(10, true)) / 20 / 4000).toBeGreaterThan(5)
  })

  test('a variable that it was not told of is refused, and so is nothing else', () => {
    const [x, w, constant] = [tensor([1, 2]), tensor([3, 4]), tensor([5, 6])]
    const before = memory().tensors
    expect(() => gradients(() => sum(checkpoint((y) => mul(y, w), [x])), [x, w])).toThrow(
      /inputs.*one that is not, in mul/s,
    )
    expect(memory().tensors).toBe(before)
    expect([...read(gradients(() => sum(checkpoint((y) => mul(y, constant), [x])), [x]).grads[0]!)]).toEqual([5, 6])
  })

  test('what gives its input back gives it a gradient', () => {
    const x = tensor([3])
    const { value, grads } = gradients(
      () =>
        sum(
          mul(
            checkpoint((y) => y, [x]),
            2,
          ),
        ),
      [x],
    )
    expect([...read(value)]).toEqual([6])
    expect([...read(grads[0]!)]).toEqual([2])
  })

  test('one tensor may be told of twice', () => {
    const x = tensor([3])
    const { grads } = gradients(() => sum(checkpoint((a, b) => mul(a, b), [x, x])), [x])
    expect([...read(grads[0]!)]).toEqual([6])
  })

  test('what is run again waits, in a recording, for the gradient that wants it', () => {
    const spec = { shape: [2], dtype: 'float32' } as const
    const { nodes } = record((x) => gradients(() => sum(checkpoint((y) => tanh(tanh(y)), [x])), [x]).grads[0]!, spec)
    const names = nodes.map(({ name }) => name)
    expect(names.slice(0, names.indexOf('tanh'))).toContain('after')
    expect(names.filter((name) => name === 'tanh')).toHaveLength(2)
  })
})
