import type { DType, TensorSpec } from '../../../tree/tensor.ts'
import type { Data } from '../../op.ts'
import { sizeOf } from '../../shape-rules.ts'
import { dataTypes, shapeProto, tensorAttr } from './proto.ts'
import type { Attr, NodeDef } from './proto.ts'

/** An output of a node of a TensorFlow graph, and what is known of it. */
export interface Out extends TensorSpec {
  /** `node:output`, as TensorFlow names it. */
  readonly name: string
}

/** Elements that are too many to lie in a graph: whoever runs it feeds them. */
export interface Feed {
  readonly out: Out
  readonly data: Data
}

/** Writes a TensorFlow graph node by node; a node that is there already is not written again. */
export interface Builder {
  readonly input: (spec: TensorSpec) => Out
  readonly constant: (data: Data, shape: readonly number[], dtype: DType) => Out
  readonly node: (op: string, inputs: readonly Out[], attrs: Attrs, output: TensorSpec) => Out
  readonly nodes: (op: string, inputs: readonly Out[], attrs: Attrs, outputs: readonly TensorSpec[]) => readonly Out[]
}

export type Attrs = Readonly<Record<string, Attr>>

/** A builder, and what it has written. */
export interface Draft extends Builder {
  readonly written: readonly NodeDef[]
  readonly feeds: readonly Feed[]
}

// A kilobyte: room for shapes, axes and scalars; whatever has the size of a batch is fed.
const mostElements = 256

/** An empty graph. */
export const draft = (): Draft => {
  const written: NodeDef[] = []
  const feeds: Feed[] = []
  const known = new Map<string, readonly Out[]>()
  const write = (op: string, input: readonly Out[], attr: Attrs, outputs: readonly TensorSpec[]): readonly Out[] => {
    const name = `n${written.length}`
    written.push({ name, op, input: input.map((out) => out.name), attr })
    return outputs.map(({ shape, dtype }, i) => ({ name: `${name}:${i}`, shape, dtype }))
  }
  const once = (key: string, make: () => readonly Out[]): readonly Out[] => {
    const outs = known.get(key) ?? make()
    known.set(key, outs)
    return outs
  }
  const input = ({ shape, dtype }: TensorSpec): Out =>
    write('Placeholder', [], { dtype: { type: dataTypes[dtype] }, shape: { shape: shapeProto(shape) } }, [
      { shape, dtype },
    ])[0]!
  const nodes: Builder['nodes'] = (op, inputs, attrs, outputs) =>
    once(JSON.stringify([op, inputs.map(({ name }) => name), attrs]), () => write(op, inputs, attrs, outputs))
  return {
    written,
    feeds,
    input,
    nodes,
    node: (op, inputs, attrs, output) => nodes(op, inputs, attrs, [output])[0]!,
    constant: (data, shape, dtype) => {
      if (sizeOf(shape) > mostElements) {
        const out = input({ shape, dtype })
        feeds.push({ out, data })
        return out
      }
      const attrs = { dtype: { type: dataTypes[dtype] }, value: tensorAttr(data, shape, dtype) }
      // The bytes, so that 0 and -0 stay apart.
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      return once(JSON.stringify([dtype, shape, [...bytes]]), () => write('Const', [], attrs, [{ shape, dtype }]))[0]!
    },
  }
}
