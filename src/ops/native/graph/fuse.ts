import type { TensorSpec } from '../../../tree/tensor.ts'
import { sizeOf } from '../../shape-rules.ts'
import type { Shape } from '../../shape-rules.ts'
import type { Graph, GraphNode } from '../../record.ts'
import { instructions } from './instructions.ts'

/** Nodes that are run in one pass over their elements, or one node by itself; in the order to run them. */
export interface Step {
  readonly nodes: readonly GraphNode[]
  readonly fused: boolean
}

/** How the elements of an operand go along with those of a result; undefined where one pass cannot follow them. */
export type Along = 'full' | 'scalar' | 'row' | 'column'

const trimmed = (shape: Shape): Shape => shape.slice(shape.findIndex((length) => length !== 1))

/** How an operand goes along with a result of a shape that it broadcasts to. */
export const along = (operand: Shape, result: Shape): Along | undefined => {
  const size = sizeOf(operand)
  if (size === sizeOf(result)) return 'full'
  if (size === 1) return 'scalar'
  const inner = trimmed(operand)
  if (inner.every((length, i) => length === result.at(i - inner.length))) return 'row'
  const padded = [...Array<number>(result.length - operand.length).fill(1), ...operand]
  const split = padded.findLastIndex((length) => length !== 1) + 1
  return padded.slice(0, split).every((length, i) => length === result[i]) ? 'column' : undefined
}

/** What is known of each value of a graph, by its number. */
export const specsOf = ({ inputs, captures, nodes }: Graph): ReadonlyMap<number, TensorSpec> =>
  new Map<number, TensorSpec>([
    ...inputs.map(({ id, spec }): [number, TensorSpec] => [id, spec]),
    ...captures.map(({ id, tensor }): [number, TensorSpec] => [id, tensor]),
    ...nodes.map(({ id, spec }): [number, TensorSpec] => [id, spec]),
  ])

/**
 * Puts together what can be computed in one pass: ops on single elements, of one shape, that use one another.
 *
 * Two of them are in one step only if no other op lies on a way between them. Each node gets a level, one more than that of
 * an input that is no such op or has another shape; on equal levels there is no such way.
 */
export const steps = (graph: Graph): readonly Step[] => {
  const { nodes } = graph
  const specs = specsOf(graph)
  const light = new Map<number, GraphNode>()
  for (const node of nodes) if (isLight(node, specs)) light.set(node.id, node)
  const level = new Map<number, number>()
  const leader = new Map<number, number>()
  const find = (id: number): number => {
    let at = id
    while (leader.get(at) !== undefined && leader.get(at) !== at) at = leader.get(at)!
    return at
  }
  for (const node of nodes) {
    const own = light.has(node.id)
    const joins = (id: number): boolean => light.has(id) && (!own || sameSize(specs.get(id)!, node.spec))
    level.set(node.id, Math.max(0, ...node.inputs.map((id) => (level.get(id) ?? -1) + (joins(id) ? 0 : 1))))
    leader.set(node.id, node.id)
    if (!own) continue
    for (const id of node.inputs)
      if (joins(id) && level.get(id) === level.get(node.id)) leader.set(find(id), find(node.id))
  }
  const groups = new Map<number, GraphNode[]>()
  for (const node of nodes) groups.set(find(node.id), [...(groups.get(find(node.id)) ?? []), node])
  const rank = (step: Step): number => 2 * level.get(step.nodes[0]!.id)! + (light.has(step.nodes[0]!.id) ? 0 : 1)
  return [...groups.values()]
    .map((group): Step => ({ nodes: group, fused: pays(group) && group.every(({ id }) => light.has(id)) }))
    .toSorted((a, b) => rank(a) - rank(b))
}

const sameSize = (a: TensorSpec, b: TensorSpec): boolean => String(a.shape) === String(b.shape)

/** One cheap op alone is TensorFlow's own pass as well. */
const pays = (group: readonly GraphNode[]): boolean => group.length > 1 || instructions[group[0]!.name]?.heavy === true

const isLight = ({ name, inputs, spec }: GraphNode, specs: ReadonlyMap<number, TensorSpec>): boolean => {
  const rule = Object.hasOwn(instructions, name) ? instructions[name] : undefined
  if (rule === undefined) return false
  const result = spec.dtype === 'float32' || (spec.dtype === 'bool' && rule.answers === true)
  return (
    result &&
    sizeOf(spec.shape) > 0 &&
    inputs.every((id, i) => {
      const operand = specs.get(id)!
      const float = operand.dtype === 'float32' || (operand.dtype === 'bool' && rule.asks === true && i === 0)
      return float && along(operand.shape, spec.shape) !== undefined
    })
  )
}
