import { expect, test } from 'vitest'
import type { Tensor, TensorSpec } from '../../src/ops/index.ts'
import {
  add,
  exp,
  gradients,
  item,
  memory,
  mul,
  read,
  record,
  release,
  replay,
  scalar,
  scope,
  sum,
  tanh,
  tensor,
  toArray,
  toTf,
  zeros,
} from '../../src/ops/index.ts'

const vector: TensorSpec = { shape: [2], dtype: 'float32' }
const names = (graph: ReturnType<typeof record>): readonly string[] => graph.nodes.map((node) => node.name)

test('a recording is plain data, in order, and takes no memory', () => {
  const before = memory()
  const graph = record((x, y) => sum(mul(tanh(x), y)), vector, { shape: [1000, 1], dtype: 'float32' })
  expect(memory()).toEqual(before)
  expect(names(graph)).toEqual(['tanh', 'mul', 'sum'])
  expect(graph.nodes[1]!.spec).toEqual({ shape: [1000, 2], dtype: 'float32' })
  expect(graph.nodes[1]!.inputs).toEqual([graph.nodes[0]!.id, graph.inputs[1]!.id])
  expect(graph.captures).toEqual([])
})

test("what no output needs is left out; outside tensors are captures, and stay their owner's", () => {
  const outside = tensor([10, 20])
  const unused = tensor([1, 1])
  const graph = record((x) => {
    exp(add(x, unused))
    return add(x, outside)
  }, vector)
  expect(names(graph)).toEqual(['add'])
  expect(graph.captures.map(({ tensor: t }) => t)).toEqual([outside])
  scope(() => expect(toArray(replay(graph, [tensor([1, 2])])[0]!)).toEqual([11, 22]))
  expect(outside.isDisposed).toBe(false)
})

test('tensors made inside are constants of the graph', () => {
  const graph = record((x) => mul(x, add(tensor([1, 2]), scalar(1))), vector)
  expect(names(graph)).toEqual(['constant', 'fill', 'add', 'mul'])
  scope(() => expect(toArray(replay(graph, [tensor([1, 1])])[0]!)).toEqual([2, 3]))
})

test('reading a value back while recording is refused, and a symbolic tensor is of no use outside', () => {
  expect(() => record((x) => mul(x, scalar(item(sum(x)))), vector)).toThrow(/SymbolicTensor at read/)
  expect(() => record((x) => (toTf(x), x), vector)).toThrow(/SymbolicTensor at toTf/)
  let stolen: Tensor = zeros([])
  record((x) => (stolen = mul(x, x)), vector)
  expect(() => mul(scalar(1), stolen)).toThrow(/SymbolicTensor at mul, input 1/)
  expect(() => record((() => 3) as never, vector)).toThrow(/NotATensor at record, output 0/)
})

test('a throw while recording leaves nothing behind: the next op runs', () => {
  const fails = (): never => {
    throw new Error('on purpose')
  }
  expect(() => record(fails)).toThrow('on purpose')
  scope(() => expect(item(mul(scalar(2), scalar(3)))).toBe(6))
})

test('scope, release and gradients work on symbolic tensors', () => {
  const graph = record((x) => {
    const squared = scope(() => mul(x, x))
    const { value, grads } = gradients(() => sum(mul(squared, x)), [x])
    release(squared, { keep: [] })
    return [value, grads[0]!]
  }, vector)
  scope(() => {
    const [value, gradient] = replay(graph, [tensor([1, 2])])
    // `squared` was computed outside of the differentiated function, and is a constant to it.
    expect([item(value!), toArray(gradient!)]).toEqual([9, [1, 4]])
  })
})

test('a replay can be differentiated and recorded again', () => {
  const graph = record((x) => sum(mul(x, x)), vector)
  const again = record((x) => replay(graph, [x]), vector)
  expect(names(again)).toEqual(names(graph))
  scope(() => {
    const x = tensor([3, 4])
    expect(toArray(gradients(() => replay(graph, [x])[0]!, [x]).grads[0]!)).toEqual([6, 8])
  })
})

test('recording inside a differentiated function leaves its tape alone', () => {
  scope(() => {
    const x = tensor([3, 4])
    const f = (): Tensor =>
      replay(
        record((y) => sum(mul(x, y)), vector),
        [x],
      )[0]!
    expect(toArray(gradients(f, [x]).grads[0]!)).toEqual([6, 8])
  })
})

test('a replay frees what is in between, and hands out handles of its own', () => {
  const x = tensor([1, 2])
  const graph = record((y) => [y, y, mul(exp(y), y)], vector)
  const before = memory().tensors
  const results = replay(graph, [x])
  expect([memory().tensors - before, new Set([x, ...results]).size]).toEqual([3, 4])
  release(results, { keep: [] })
  expect([...read(x)]).toEqual([1, 2])
  release(x, { keep: [] })
})

test('inputs of another shape, dtype or number are refused', () => {
  const graph = record((x) => x, vector)
  scope(() => {
    expect(() => replay(graph, [zeros([3])])).toThrow(
      /ShapeMismatch at replay[\s\S]*float32 of shape \[2\][\s\S]*\[3\]/,
    )
    expect(() => replay(graph, [zeros([2], 'int32')])).toThrow(/ShapeMismatch/)
    expect(() => replay(graph, [])).toThrow(/ShapeMismatch/)
  })
})
