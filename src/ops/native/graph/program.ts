import type { GraphNode } from '../../record.ts'
import { emitter, programText } from '../machine.ts'
import type { Value } from '../machine.ts'
import type { Out } from './builder.ts'
import { along } from './fuse.ts'
import type { Along } from './fuse.ts'
import { instructions } from './instructions.ts'
import type { Writer } from './write.ts'

/** The numbers by which the kernel knows how an input goes along with the result. */
const kinds: Readonly<Record<Along, number>> = { full: 0, scalar: 1, row: 2, column: 3 }

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
  const lines: string[] = []
  const emit = emitter(lines)
  const values = new Map<number, Value>()
  const valueOf = (id: number): Value => {
    const known = values.get(id)
    if (known !== undefined) return known
    const value = `i${inputs.push(w.cast(outs.get(id)!, 'float32')) - 1}`
    values.set(id, value)
    return value
  }
  for (const { id, name, inputs: operands, attrs } of nodes) {
    values.set(id, instructions[name]!.write(emit, operands.map(valueOf), attrs))
  }
  const results = wanted.map(({ id }) => values.get(id)!)
  const found = w.nodes(
    'EspalierElementwise',
    inputs,
    {
      N: { i: inputs.length },
      outputs: { i: results.length },
      program: { s: new TextEncoder().encode(programText(lines, results)) },
      kinds: { list: { i: inputs.map((input) => kinds[along(input.shape, shape)!]) } },
      shape: { list: { i: shape } },
    },
    results.map(() => ({ shape, dtype: 'float32' })),
  )
  return found.map((out, i) => (wanted[i]!.spec.dtype === 'bool' ? w.cast(out, 'bool') : out))
}
