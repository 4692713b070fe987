import { expect, test } from 'vitest'
import type { Op, Tensor } from '../../src/ops/index.ts'
import {
  add,
  apply,
  gradients,
  item,
  memory,
  mul,
  release,
  scalar,
  scope,
  sum,
  tanh,
  tensor,
  toArray,
  vjp,
  zeros,
} from '../../src/ops/index.ts'

const cube = (x: Tensor): Tensor => mul(mul(x, x), x)
const gradient = (f: (x: Tensor) => Tensor) => (x: Tensor) => gradients(() => f(x), [x]).grads[0]!

const passThrough: Op = {
  name: 'passThrough',
  infer: ([x]) => x!,
  reference: ([x]) => x!.data,
}
const through = (x: Tensor, vjpRule: Op['vjp']): Tensor =>
  apply(vjpRule === undefined ? passThrough : { ...passThrough, vjp: vjpRule }, [x], {})

test('x³ has the derivatives 3x², 6x, 6 and 0', () => {
  const derivatives = [cube]
  for (let i = 0; i < 4; i += 1) derivatives.push(gradient(derivatives[i]!))
  scope(() => {
    const x = scalar(2)
    expect(derivatives.slice(0, 4).map((f) => item(f(x)))).toEqual([8, 12, 12, 6])
    expect(gradients(() => derivatives[3]!(x), [x]).grads).toEqual([null])
  })
})

test('an inner derivative does not mix with the outer one: d/dx x · d/dy (x + y) is 1', () => {
  scope(() => {
    const x = scalar(3)
    const y = scalar(5)
    const f = (): Tensor => mul(x, gradients(() => add(x, y), [y]).grads[0]!)
    expect(item(gradients(f, [x]).grads[0]!)).toBe(1)
    // The inner function closes over the outer variable: d/dx x · d/dy (x · y) is 2x.
    const g = (): Tensor => mul(x, gradients(() => mul(x, y), [y]).grads[0]!)
    expect(item(gradients(g, [x]).grads[0]!)).toBe(6)
  })
})

test('the same tensor given twice has its gradient twice, under two handles', () => {
  scope(() => {
    const x = scalar(3)
    const [a, b] = gradients(() => mul(x, x), [x, x]).grads
    expect([item(a!), item(b!)]).toEqual([6, 6])
    release(a, { keep: [] })
    expect(item(b!)).toBe(6)
  })
})

test('value and gradient are handles of their own even when f returns a variable', () => {
  const x = scalar(3)
  const before = memory().tensors
  const { value, grads } = gradients(() => x, [x])
  expect(memory().tensors - before).toBe(2)
  release([value, grads], { keep: [] })
  expect(item(x)).toBe(3)
  const dy = scalar(7)
  const second = vjp(() => x, [x], dy)
  release(second, { keep: [] })
  expect([item(x), item(dy)]).toEqual([3, 7])
  release([x, dy], { keep: [] })
})

test('what no variable enters is not recorded: a frozen op without a derivative does no harm', () => {
  scope(() => {
    const frozen = scalar(2)
    const x = scalar(5)
    const { grads } = gradients(() => mul(through(frozen, undefined), x), [x])
    expect(item(grads[0]!)).toBe(2)
    let asked: readonly boolean[] = []
    const watched = (y: Tensor): Tensor => through(y, ({ dy, needs }) => ((asked = needs), [dy]))
    gradients(() => mul(watched(x), watched(frozen)), [x])
    expect(asked).toEqual([true])
  })
})

test('an op without a derivative that a gradient reaches is named', () => {
  scope(() => {
    const x = scalar(1)
    expect(() => gradients(() => through(x, undefined), [x])).toThrow(/NoGradient at passThrough/)
  })
})

test('a rule whose gradient has another shape than the input is named', () => {
  scope(() => {
    const x = scalar(1)
    expect(() => gradients(() => through(x, () => [zeros([2])]), [x])).toThrow(
      /GradientMismatch at passThrough, input 0/,
    )
  })
})

test('functions and variables that have no gradient are refused', () => {
  scope(() => {
    const x = tensor([1, 2])
    expect(() => gradients(() => mul(x, x), [x])).toThrow(/NotScalar[\s\S]*shape \[2\][\s\S]*vjp/)
    expect(() => vjp(() => x, [x], scalar(1))).toThrow(/ShapeMismatch at vjp/)
    expect(() => gradients(() => sum(x), [scalar(1, 'int32')])).toThrow(/NotDifferentiable at variable 0/)
    expect(() => gradients((() => 3) as never, [x])).toThrow(/NotATensor at gradients/)
    expect(() => gradients((async () => sum(x)) as never, [x])).toThrow(/a promise/)
    expect(() => gradients(() => scope(() => void 0) as never, [x])).toThrow(/NotATensor/)
    const gone = scalar(1)
    release(gone, { keep: [] })
    expect(() => gradients(() => sum(x), [x, gone])).toThrow(/DisposedTensor at variable 1/)
    expect(() => gradients(() => mul(sum(x), gone), [x])).toThrow(/DisposedTensor at mul, input 1/)
  })
})

test('a throw in f, in a rule or in a nested pass leaks nothing, and the next pass is sound', () => {
  const x = scalar(2)
  const before = memory()
  const fails = (): never => {
    throw new Error('on purpose')
  }
  expect(() => gradients(() => (cube(x), scope(fails)), [x])).toThrow('on purpose')
  expect(() => gradients(() => cube(through(cube(x), fails)), [x])).toThrow('on purpose')
  expect(() => gradients(() => gradients(() => cube(through(x, fails)), [x]).value, [x])).toThrow('on purpose')
  expect(memory()).toEqual(before)
  const { value, grads } = gradients(() => cube(x), [x])
  expect([item(value), item(grads[0]!)]).toEqual([8, 12])
  release([x, value, grads], { keep: [] })
})

test('the backward pass needs no more memory than the forward pass has taken', () => {
  const size = 1000
  const peak: number[] = []
  const watch = (x: Tensor): Tensor =>
    through(x, ({ dy }) => {
      peak.push(memory().bytes)
      return [mul(dy, 1)]
    })
  scope(() => {
    const x = tensor(new Float32Array(size))
    const start = memory().bytes
    let forward = 0
    gradients(() => {
      let y = x
      for (let i = 0; i < 40; i += 1) y = watch(tanh(y))
      forward = memory().bytes - start
      return sum(y)
    }, [x])
    const early = Math.max(...peak) - start
    expect(early).toBeLessThan(forward + 5 * 4 * size)
    // Towards the end nearly everything is free again.
    expect(peak.at(-1)! - start).toBeLessThan(forward / 5)
  })
})

test('gradients of matrices have their shapes, and nothing of a caller is freed', () => {
  scope(() => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ])
    const { grads } = gradients(() => sum(mul(x, x)), [x])
    expect(toArray(grads[0]!)).toEqual([
      [2, 4],
      [6, 8],
    ])
    expect(x.isDisposed).toBe(false)
  })
})
