import { afterEach, expect, test, vi } from 'vitest'
import { limitWasmHeap } from '../../src/ops/budget.ts'
import { identity } from '../../src/ops/basic.ts'
import type { Tensor } from '../../src/ops/index.ts'
import {
  add,
  currentEngine,
  engine,
  gradients,
  item,
  matmul,
  memory,
  mul,
  read,
  release,
  scalar,
  scope,
  sum,
  tanh,
  tensor,
  toArray,
  zeros,
} from '../../src/ops/index.ts'

/** d²/dx² Σ tanh(x·x)·x at 0.5, by gradients of gradients, with everything else freed. */
const secondDerivative = (): number => {
  const live = memory()
  const result = scope(() => {
    const x = tensor([[0.5]])
    const slope = (): Tensor => sum(gradients(() => sum(mul(tanh(matmul(x, x)), x)), [x]).grads[0]!)
    return item(gradients(slope, [x]).grads[0]!)
  })
  expect(memory()).toEqual(live)
  return result
}

afterEach(() => {
  limitWasmHeap()
  vi.restoreAllMocks()
})

const said = (): readonly string[][] => {
  const spy = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  return spy.mock.calls as string[][]
}

// The order of these tests matters: they are the life of one process.
test('before engine() everything runs in plain JavaScript', () => {
  expect(currentEngine()).toBe('js')
  scope(() => expect(toArray(matmul(tensor([[1, 2]]), tensor([[3], [4]])))).toEqual([[11]]))
})

const early = {
  float: tensor([
    [1.5, -0],
    [Number.NaN, 4],
  ]),
  int: tensor([1, -2, 2 ** 31 - 1], [3], 'int32'),
  bool: tensor([1, 0], [2], 'bool'),
  empty: zeros([0, 3]),
  scalar: scalar(7),
}
// f = x·t with t = tanh(x²): f' = t + 2x²u, f'' = 6xu − 8x³tu, where u = 1 − t².
const t = Math.tanh(0.25)
const expected = (3 - t) * (1 - t * t)
const alias = identity(early.float)
const elements = (): readonly unknown[] => [...Object.values(early), alias].map((t) => [t.dtype, t.shape, read(t)])
const before = elements()

test('engine() says in one line what it took; a second call changes nothing and says nothing', async () => {
  const lines = said()
  const [first, second] = await Promise.all([engine({ prefer: 'wasm' }), engine()])
  expect(first).toEqual(second)
  expect(currentEngine()).toBe('wasm')
  expect(lines.length).toBe(1)
  expect(lines[0]!.join('')).toMatch(/^espalier: WASM engine[^\n]*$/)
})

test('tensors made before the engine was chosen keep their elements, and its ops take them', () => {
  const live = memory()
  scope(() => {
    expect([toArray(add(early.int, early.int)), item(mul(early.scalar, early.scalar))]).toEqual([[2, -4, -2], 49])
    expect(toArray(matmul(alias, tensor([[1], [0]])))).toEqual([[1.5], [Number.NaN]])
    expect(secondDerivative()).toBeCloseTo(expected, 5)
    expect([toArray(mul(early.empty, early.empty)), item(sum(early.empty))]).toEqual([[], 0])
    expect(read(identity(early.bool))).toEqual(new Uint8Array([1, 0]))
  })
  expect(elements()).toEqual(before)
  expect(memory()).toEqual(live)
})

test('the WASM heap is never written past its end: the next result is refused, what is there stays', () => {
  const x = zeros([1000])
  limitWasmHeap(1_000_000)
  const live = memory()
  expect(() => zeros([400_000])).toThrow(/OutOfMemory at fill[\s\S]*1600000 bytes/)
  expect(memory()).toEqual(live)
  limitWasmHeap()
  expect(item(sum(scope(() => add(x, zeros([400_000, 1]).shape.length))))).toBe(2000)
  release(x, { keep: [] })
})

test('back in plain JavaScript the same tensors are still there', async () => {
  await engine({ prefer: 'js', quiet: true })
  expect(currentEngine()).toBe('js')
  scope(() => expect(item(mul(early.scalar, early.scalar))).toBe(49))
  expect(secondDerivative()).toBeCloseTo(expected, 5)
  expect(elements()).toEqual(before)
})

test('the native engine takes them too, where it is installed, and otherwise the error says why not', async () => {
  const outcome = await engine({ prefer: 'native', quiet: true }).then(
    ({ name }) => name,
    (error: Error) => error.message,
  )
  expect(outcome).toMatch(/^native$|^EngineUnavailable at engine: expected the native engine, found [^.]{10}/)
  expect(currentEngine()).toBe(outcome === 'native' ? 'native' : 'js')
  scope(() => {
    expect(toArray(matmul(alias, tensor([[1], [0]])))).toEqual([[1.5], [Number.NaN]])
    expect([toArray(mul(early.empty, early.empty)), item(sum(early.empty))]).toEqual([[], 0])
  })
  expect(secondDerivative()).toBeCloseTo(expected, 5)
  expect(elements()).toEqual(before)
})
