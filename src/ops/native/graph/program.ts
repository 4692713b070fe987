import type { GraphNode } from '../../record.ts'
import type { Out } from './builder.ts'
import { along } from './fuse.ts'
import type { Along } from './fuse.ts'
import { instructions } from './instructions.ts'
import type { Value } from './instructions.ts'
import type { Writer } from './write.ts'

/** The numbers by which the kernel knows how an input goes along with the result. */
const kinds: Readonly<Record<Along, number>> = { full: 0, scalar: 1, row: 2, column: 3 }

interface Line {
  readonly op: string
  readonly operands: readonly Value[]
}

/**
 * Writes a group of ops on single elements as one node that runs a small program on each block of elements.
 *
 * `wanted` are the nodes whose results are used outside of the group.
 */
export const writeProgram = (
  w: Writer,
  nodes: readonly GraphNode[],
  outs: ReadonlyMap<number, Out>,
  wanted: readonly GraphNode[],
): readonly Out[] => {
  const { shape } = nodes[0]!.spec
  const inputs: Out[] = []
  const lines: Line[] = []
  const values = new Map<number, Value>()
  const valueOf = (id: number): Value => {
    const known = values.get(id)
    if (known !== undefined) return known
    const value = `i${inputs.push(w.cast(outs.get(id)!, 'float32')) - 1}`
    values.set(id, value)
    return value
  }
  for (const { id, name, inputs: operands, attrs } of nodes) {
    const emit = (op: string, ...given: readonly Value[]): Value => `v${lines.push({ op, operands: given }) - 1}`
    values.set(id, instructions[name]!.write(emit, operands.map(valueOf), attrs))
  }
  const results = wanted.map(({ id }) => values.get(id)!)
  const found = w.nodes(
    'EspalierElementwise',
    inputs,
    {
      N: { i: inputs.length },
      M: { i: results.length },
      program: { s: new TextEncoder().encode(assemble(lines, results)) },
      kinds: { list: { i: inputs.map((input) => kinds[along(input.shape, shape)!]) } },
      shape: { list: { i: shape } },
    },
    results.map(() => ({ shape, dtype: 'float32' })),
  )
  return found.map((out, i) => (wanted[i]!.spec.dtype === 'bool' ? w.cast(out, 'bool') : out))
}

/** The lines with registers for their results, each free again after its last use; results are handed out as they are made. */
const assemble = (lines: readonly Line[], results: readonly Value[]): string => {
  const last = new Map<Value, number>()
  lines.forEach(({ operands }, at) => operands.forEach((operand) => last.set(operand, at)))
  const registers = new Map<Value, number>()
  const free: number[] = []
  let count = 0
  const text = (value: Value): string => (registers.has(value) ? `r${registers.get(value)}` : value)
  const handOut = (value: Value): readonly string[] =>
    results.flatMap((result, i) => (result === value ? [`o${i} = ${text(value)}`] : []))
  const body = lines.flatMap(({ op, operands }, at) => {
    const given = operands.map(text)
    for (const operand of new Set(operands))
      if (registers.has(operand) && last.get(operand) === at) free.push(registers.get(operand)!)
    const own = free.pop() ?? count++
    const value = `v${at}`
    registers.set(value, own)
    const line = `r${own} = ${op} ${given.join(' ')}`
    const handed = handOut(value)
    if (!last.has(value)) free.push(own)
    return [line, ...handed]
  })
  // What goes out as it came in has no line of its own.
  const through = [...new Set(results)].filter((value) => !value.startsWith('v')).flatMap(handOut)
  return [...body, ...through].join('; ')
}
