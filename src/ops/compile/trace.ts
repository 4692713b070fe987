import { EspalierError } from '../../tree/error.ts'
import { sameStructure } from '../../tree/equal.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { isPromise, reachable, scope } from '../memory.ts'
import type { Attrs } from '../op.ts'
import { recordIn } from '../record.ts'
import type { Graph, GraphNode } from '../record.ts'
import { isSymbolic } from '../symbolic.ts'
import type { Prepare } from './executable.ts'
import { layoutOf, partsOf, replaceIn } from './layout.ts'
import type { Layout } from './layout.ts'

/** A function that cannot be recorded. */
export class Refusal extends Error {}

/** What it gives, or the error that it throws. */
export const attempt = <T>(run: () => T): T | Error => {
  try {
    return run()
  } catch (error) {
    if (error instanceof Error) return error
    throw error
  }
}

/** What recording a function gives. */
export interface Traced {
  readonly graph: Graph
  readonly result: unknown
  /** The tensors of the result that the graph computes. */
  readonly found: readonly Tensor[]
  /** The arguments that it was recorded with, and the caller's that they stand for. */
  readonly stands: ReadonlyMap<object, object>
}

/** Records a function: its handles stand for the tensors of the arguments. Throws a `Refusal`, or what the function throws. */
export const trace = <A extends readonly unknown[]>(
  f: (...args: A) => unknown,
  args: A,
  layout: Layout,
  prepare: Prepare,
): Traced => {
  let result: unknown
  let found: readonly Tensor[] = []
  const stands = new Map<object, object>()
  const run = (...handles: readonly Tensor[]): readonly Tensor[] => {
    const at = new Map<object, Tensor>(layout.tensors.map((tensor, i) => [tensor, handles[i]!]))
    const copies = copiesOf(args, at)
    const inner = layoutOf(copies) as Layout
    inner.objects.forEach((copy, i) => stands.set(copy, layout.objects[i]!))
    result = f(...copies)
    if (isPromise(result)) abandon(result)
    found = reachable(result).filter((t) => !stands.has(t) && isSymbolic(t))
    requirePlain(result, found, partsOf(args))
    return found
  }
  // Shapes and dtypes alone, or the graph would hold the handles of the first call.
  const specs = layout.tensors.map(({ shape, dtype }) => ({ shape, dtype }))
  const graph = attempt(() => scope(() => recordIn(prepare.hasNode, run, specs)))
  if (graph instanceof Error) throw readsBack(graph)
  return { graph, result, found, stands }
}

const copiesOf = <A extends readonly unknown[]>(args: A, at: ReadonlyMap<object, Tensor>): A => {
  const copies = attempt(() => replaceIn(args, (x) => (at.has(x) ? { by: at.get(x) } : undefined)))
  if (copies instanceof RangeError) throw new Refusal('its arguments go round in circles, or thousands deep')
  if (copies instanceof Error) throw copies
  return copies as A
}

/** Its handles are symbolic: what it still does with them fails, and nobody is there to hear of it. */
const abandon = (promise: PromiseLike<unknown>): never => {
  promise.then(undefined, () => undefined)
  throw new Refusal('it returns a promise')
}

/** What stands in an instance of a class, or is held by a function, cannot be put there anew. */
const requirePlain = (result: unknown, tensors: readonly Tensor[], given: ReadonlySet<unknown>): void => {
  const parts = partsOf(result)
  if (tensors.some((t) => !parts.has(t))) throw new Refusal('its result holds tensors in an instance of a class')
  if ([...parts].some((x) => typeof x === 'function' && !given.has(x)))
    throw new Refusal('its result holds a function that it made')
  if (tensors.length === 0) throw new Refusal('its result holds no tensor that it computed')
}

/** Errors of the function itself are left to its run op by op, which throws them in their place. */
const readsBack = (error: Error): Error => {
  const issues = error instanceof EspalierError ? error.issues : []
  return issues.some(({ _tag }) => _tag === 'SymbolicTensor')
    ? new Refusal(`it reads a value back: ${issues[0]?.path ?? ''}`)
    : error
}

/** What tells whether a function still does the same. */
export type Seen = Pick<Traced, 'graph' | 'result'>

/** Whether a function did the same both times: the same ops on the same, and the same plain values in its result. */
export const isSame = (a: Seen, b: Seen): boolean => {
  const [before, now] = [a.graph, b.graph]
  const plain = [a, b].map(({ result }) => layoutOf(result))
  const [first, second] = plain.map((layout) => (typeof layout === 'string' ? layout : layout.signature))
  return (
    first === second &&
    before.nodes.length === now.nodes.length &&
    String(before.outputs) === String(now.outputs) &&
    before.captures.length === now.captures.length &&
    before.captures.every(({ tensor }, i) => tensor === now.captures[i]!.tensor) &&
    before.nodes.every((node, i) => isSameNode(node, now.nodes[i]!))
  )
}

const isSameNode = (a: GraphNode, b: GraphNode): boolean =>
  a.name === b.name && String(a.inputs) === String(b.inputs) && isSameAttrs(a.attrs, b.attrs)

/** Elements stand in an attr by themselves, as those of a constant do; all else is plain. */
const isSameAttrs = (a: Attrs, b: Attrs): boolean =>
  sameStructure(Object.keys(a), Object.keys(b)) &&
  Object.entries(a).every(([key, value]) =>
    ArrayBuffer.isView(value) && ArrayBuffer.isView(b[key])
      ? sameElements(value as Float32Array, b[key] as Float32Array)
      : sameStructure(value, b[key]),
  )

const sameElements = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false
  return true
}
