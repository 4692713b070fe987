import { afterOp, constantOp, fillOp, identityOp } from '../../basic.ts'
import { allOps } from '../../defs/all.ts'
import type { NodeAttr, NodeWriter, Op } from '../../op.ts'
import type { Graph, GraphNode } from '../../record.ts'
import type { Prepare } from '../../compile/executable.ts'
import { instructions } from './instructions.ts'
import { hasNativeKernels, ownNodeOf } from '../custom.ts'
import { draft } from './builder.ts'
import type { Draft, Out } from './builder.ts'
import { sizeOf } from '../../shape-rules.ts'
import { specsOf, steps } from './fuse.ts'
import { stockRules } from './network-rules.ts'
import { writeProgram } from './program.ts'
import type { Attr } from './proto.ts'
import type { Rule } from './rules.ts'
import { writer } from './write.ts'

/** A graph of TensorFlow for one of ours. */
export interface Lowered extends Pick<Draft, 'written' | 'feeds'> {
  /** What to feed for the inputs and captures, in their order; undefined for one that nothing depends on. */
  readonly inputs: readonly (Out | undefined)[]
  readonly captures: readonly Out[]
  readonly outputs: readonly Out[]
}

// By identity: an op of a user may have the name of one of ours.
const ours: ReadonlySet<Op> = new Set<Op>([
  ...(allOps as unknown as readonly Op[]),
  identityOp,
  afterOp,
  fillOp as never,
  constantOp as never,
])

/** The op of a graph that has no node, if there is one. */
export const withoutNode = (graph: Graph): string | undefined => {
  const specs = specsOf(graph)
  return graph.nodes.find(
    ({ op, inputs, attrs }) =>
      !hasNode(
        op,
        inputs.map((id) => specs.get(id)!),
        attrs,
      ),
  )?.name
}

const ruleOf = (op: Op): Rule | undefined =>
  ours.has(op) && Object.hasOwn(stockRules, op.name) ? stockRules[op.name] : undefined

/** Whether a graph has a node for the op: one of ours, or those of a rule. */
export const hasNode: Prepare['hasNode'] = (op, inputs, attrs) =>
  ruleOf(op) !== undefined ||
  // Kernels of ours are not asked what to do without elements.
  (inputs.every(({ shape }) => sizeOf(shape) > 0) &&
    ((hasNativeKernels() && ours.has(op) && Object.hasOwn(instructions, op.name)) ||
      ownNodeOf(op, inputs, attrs) !== undefined))

/** Writes a recorded function as a graph of TensorFlow; every op of it must have a rule. */
export const lower = (graph: Graph): Lowered => {
  const target = draft()
  const w = writer(target)
  const outs = new Map<number, Out>()
  const used = new Set([...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs])
  const inputs = graph.inputs.map(({ id, spec }) => {
    if (!used.has(id)) return undefined
    outs.set(id, w.input(spec))
    return outs.get(id)
  })
  const captures = graph.captures.map(({ id, tensor }) => {
    outs.set(id, w.input(tensor))
    return outs.get(id)!
  })
  const nodes: NodeWriter<Out> = {
    node: (name, inputs, attrs, output) =>
      w.node(
        name,
        inputs,
        Object.fromEntries(Object.entries(attrs).map(([key, value]) => [key, attrOf(value)])),
        output,
      ),
    cast: w.cast,
    reshape: w.reshape,
    floats: (data) => w.constant(data, [data.length], 'float32'),
  }
  const write = ({ id, op, inputs: operands, attrs, spec }: GraphNode): void => {
    const given = operands.map((operand) => outs.get(operand)!)
    const own = given.some(({ shape }) => shape.includes(0)) ? undefined : ownNodeOf(op, given, attrs)
    outs.set(
      id,
      own === undefined
        ? ruleOf(op)!(w, given, attrs, spec)
        : w.reshape(own.write(nodes, given, attrs, spec), spec.shape),
    )
  }
  const outside = usersOf(graph)
  for (const { nodes, fused } of hasNativeKernels()
    ? steps(graph)
    : graph.nodes.map((node) => ({ nodes: [node], fused: false }))) {
    if (!fused) nodes.forEach(write)
    else {
      const inside = new Set(nodes.map(({ id }) => id))
      const wanted = nodes.filter(({ id }) => outside(id, inside))
      writeProgram(w, nodes, outs, wanted).forEach((out, i) => outs.set(wanted[i]!.id, out))
    }
  }
  // What is fed cannot be fetched as it is.
  const isFed = new Set([...inputs, ...captures, ...target.feeds.map(({ out }) => out)])
  const outputs = graph.outputs.map((id) => {
    const out = outs.get(id)!
    return isFed.has(out) ? w.unary('Identity', out) : out
  })
  return { written: target.written, feeds: target.feeds, inputs, captures, outputs }
}

/** Tells whether a value is used by a node that is none of those, or is a result. */
const usersOf = ({ nodes, outputs }: Graph): ((id: number, but: ReadonlySet<number>) => boolean) => {
  const users = new Map<number, number[]>()
  for (const { id, inputs } of nodes) for (const input of inputs) users.set(input, [...(users.get(input) ?? []), id])
  const results = new Set(outputs)
  return (id, but) => results.has(id) || (users.get(id) ?? []).some((user) => !but.has(user))
}

const attrOf = (value: NodeAttr): Attr => {
  if (typeof value === 'string') return { s: new TextEncoder().encode(value) }
  if (typeof value === 'boolean') return { b: value }
  if (typeof value === 'number') return { i: value }
  return 'float' in value ? { f: value.float } : { list: { i: value } }
}
