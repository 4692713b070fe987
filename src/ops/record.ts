import { fail } from '../tree/error.ts'
import type { Tensor, TensorSpec } from '../tree/tensor.ts'
import { isTensor } from '../tree/tensor.ts'
import { identity, ownHandles } from './basic.ts'
import { apply, checkOutput } from './dispatch.ts'
import { isHeld, under } from './interpreters.ts'
import type { Recorder } from './interpreters.ts'
import { isOwned, scope } from './memory.ts'
import type { Attrs, Op } from './op.ts'
import { symbolic } from './symbolic.ts'
import { asTf } from './tf.ts'

/** A value of a graph: its number, and what is known of it. */
export interface GraphValue {
  readonly id: number
  readonly spec: TensorSpec
}

/** One op of a graph; its inputs are the ids of inputs, captures or earlier nodes. */
export interface GraphNode extends GraphValue {
  readonly name: string
  readonly op: Op
  readonly inputs: readonly number[]
  readonly attrs: Attrs
}

/** A recorded function as plain data, in the order of execution. */
export interface Graph {
  readonly inputs: readonly GraphValue[]
  /** Tensors that the function used without being given them; the graph does not own them. */
  readonly captures: readonly { readonly id: number; readonly tensor: Tensor }[]
  readonly nodes: readonly GraphNode[]
  readonly outputs: readonly number[]
}

/**
 * Records a function by the shape rules of its ops: nothing is computed, no memory is taken.
 *
 * `specs` are the shapes and dtypes of its inputs; a list as result records several outputs. What no output depends on
 * is left out. Gradients inside `f` are recorded like anything else. Errors: `SymbolicTensor` when `f` reads a value back,
 * `NotATensor`, and those of the ops' shape rules.
 *
 * @example
 * ```ts
 * import { mul, record, replay, tensor, toArray } from 'espalier/ops'
 *
 * const square = record((x) => mul(x, x), { shape: [2], dtype: 'float32' })
 * square.nodes.map((node) => node.name) // => ['mul']
 * toArray(replay(square, [tensor([3, 4])])[0]!) // => [9, 16]
 * ```
 */
export const record = (
  f: (...inputs: readonly Tensor[]) => Tensor | readonly Tensor[],
  ...specs: readonly TensorSpec[]
): Graph => recordIn(() => true, f, specs)

/** Records a function in the ops that a graph has nodes for: in the place of others stand what they are composed of. @internal */
export const recordIn = (
  hasNode: (op: Op, inputs: readonly TensorSpec[], attrs: Attrs) => boolean,
  f: (...inputs: readonly Tensor[]) => Tensor | readonly Tensor[],
  specs: readonly TensorSpec[],
): Graph => {
  const ids = new Map<Tensor, number>()
  const number = (t: Tensor): number => {
    ids.set(t, ids.get(t) ?? ids.size)
    return ids.get(t)!
  }
  const handles = specs.map(({ shape, dtype }) => symbolic({ shape: [...shape], dtype }))
  const inputs = handles.map((handle, i): GraphValue => ({ id: number(handle), spec: specs[i]! }))
  const captures: { id: number; tensor: Tensor }[] = []
  const use = (tensor: Tensor): number => {
    if (!ids.has(tensor)) captures.push({ id: number(tensor), tensor })
    return number(tensor)
  }
  const nodes: GraphNode[] = []
  const recorder: Recorder = {
    record: (op: Op, taken: readonly Tensor[], attrs: Attrs, spec: TensorSpec): Tensor => {
      const { composed } = op
      if (composed !== undefined && !hasNode(op, taken, attrs))
        return under({ tapes: [], recorder }, () => {
          const whole = composed(attrs, ...taken)
          checkOutput(op, whole, spec)
          // Or a tape would take the op for a node that is its own input.
          return taken.includes(whole) ? identity(whole) : whole
        })
      const operands = taken.map(use)
      const output = symbolic(spec)
      nodes.push({ id: number(output), name: op.name, op, inputs: operands, attrs, spec })
      return output
    },
  }
  // The tapes outside are for what runs: they will see the replay.
  const result = under({ tapes: [], recorder }, () => f(...handles))
  const results: readonly Tensor[] = Array.isArray(result) ? result : [result]
  results.forEach(checkResult)
  return prune({ inputs, captures, nodes, outputs: results.map(use) })
}

/**
 * Runs a recorded function: each op again, in order, under whatever interprets ops at present.
 *
 * So a replay can be differentiated, or recorded anew. The results are new handles. Errors: `ShapeMismatch` when an
 * input is not of the shape and dtype recorded, and those of `apply`.
 *
 * @example
 * ```ts
 * import { add, item, record, replay, scalar } from 'espalier/ops'
 *
 * const number = { shape: [], dtype: 'float32' } as const
 * const graph = record((x, y) => add(x, y), number, number)
 * item(replay(graph, [scalar(1), scalar(2)])[0]!) // => 3
 * ```
 */
export const replay = (graph: Graph, inputs: readonly Tensor[]): readonly Tensor[] => {
  checkInputs(graph, inputs)
  return scope(() => {
    const values = new Map<number, Tensor>()
    graph.inputs.forEach(({ id }, i) => values.set(id, inputs[i]!))
    for (const { id, tensor } of graph.captures) values.set(id, tensor)
    const last = lastUses(graph)
    graph.nodes.forEach((node, at) => {
      values.set(
        node.id,
        apply(
          node.op,
          node.inputs.map((id) => values.get(id)!),
          node.attrs,
        ),
      )
      for (const id of new Set(node.inputs)) {
        const value = values.get(id)!
        if (last.get(id) === at && isOwned(value) && !isHeld(value)) asTf(value).dispose()
      }
    })
    const own = ownHandles()
    return graph.outputs.map((id) => own(values.get(id)!))
  })
}

const lastUses = ({ nodes, outputs }: Graph): ReadonlyMap<number, number> =>
  new Map([
    ...nodes.flatMap(({ inputs }, at) => inputs.map((id): [number, number] => [id, at])),
    ...outputs.map((id): [number, number] => [id, nodes.length]),
  ])

const prune = ({ inputs, captures, nodes, outputs }: Graph): Graph => {
  const needed = new Set(outputs)
  for (const node of nodes.toReversed()) if (needed.has(node.id)) for (const id of node.inputs) needed.add(id)
  const kept = <V extends { readonly id: number }>(values: readonly V[]): readonly V[] =>
    values.filter(({ id }) => needed.has(id))
  return { inputs, captures: kept(captures), nodes: kept(nodes), outputs }
}

const checkResult = (result: unknown, index: number): void => {
  if (isTensor(result)) return
  fail({
    _tag: 'NotATensor',
    path: `record, output ${index}`,
    expected: 'a tensor, or a list of tensors',
    found: result === null ? 'null' : typeof result,
    hint: 'A recorded function hands out tensors only; compute plain values outside of it.',
  })
}

const describe = ({ shape, dtype }: TensorSpec): string => `${dtype} of shape [${shape.join(', ')}]`

const checkInputs = ({ inputs }: Graph, given: readonly Tensor[]): void => {
  const expected = inputs.map(({ spec }) => describe(spec))
  const found = given.map((input) => (isTensor(input) ? describe(input) : typeof input))
  if (String(expected) === String(found)) return
  fail({
    _tag: 'ShapeMismatch',
    path: 'replay',
    expected: `inputs (${expected.join('; ')})`,
    found: `(${found.join('; ')})`,
    hint: 'A recording holds for the shapes it was made with: record the function again for others.',
  })
}
