import { constantOp, fillOp, identityOp } from '../../basic.ts'
import { allOps } from '../../defs/all.ts'
import type { Op } from '../../op.ts'
import type { Graph } from '../../record.ts'
import { draft } from './builder.ts'
import type { Draft, Out } from './builder.ts'
import { stockRules } from './network-rules.ts'
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
  fillOp as never,
  constantOp as never,
])

/** The op of a graph that has no rule, if there is one. */
export const unruled = ({ nodes }: Graph): string | undefined => nodes.find(({ op }) => ruleOf(op) === undefined)?.name

const ruleOf = (op: Op): Rule | undefined =>
  ours.has(op) && Object.hasOwn(stockRules, op.name) ? stockRules[op.name] : undefined

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
  for (const { id, op, inputs: operands, attrs, spec } of graph.nodes)
    outs.set(
      id,
      ruleOf(op)!(
        w,
        operands.map((operand) => outs.get(operand)!),
        attrs,
        spec,
      ),
    )
  // What is fed cannot be fetched as it is.
  const isFed = new Set([...inputs, ...captures, ...target.feeds.map(({ out }) => out)])
  const outputs = graph.outputs.map((id) => {
    const out = outs.get(id)!
    return isFed.has(out) ? w.unary('Identity', out) : out
  })
  return { written: target.written, feeds: target.feeds, inputs, captures, outputs }
}
