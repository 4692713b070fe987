import protobuf from 'protobufjs/light.js'
import type { Data } from '../../op.ts'
import type { DType } from '../../../tree/tensor.ts'

/** An attribute of a TensorFlow node, by the field of `AttrValue` that holds it. */
export interface Attr {
  readonly type?: number
  readonly i?: number
  readonly f?: number
  readonly b?: boolean
  readonly s?: Uint8Array
  readonly tensor?: { readonly dtype: number; readonly tensorShape: ShapeProto; readonly tensorContent: Uint8Array }
  readonly shape?: ShapeProto
  readonly list?: { readonly i?: readonly number[]; readonly f?: readonly number[]; readonly type?: readonly number[] }
}

interface ShapeProto {
  readonly dim: readonly { readonly size: number }[]
}

/** One node of a TensorFlow graph. */
export interface NodeDef {
  readonly name: string
  readonly op: string
  readonly input: readonly string[]
  readonly attr: Readonly<Record<string, Attr>>
}

/** The numbers of TensorFlow's `DataType`. */
export const dataTypes: Readonly<Record<DType, number>> = { float32: 1, int32: 3, bool: 10 }

export const shapeProto = (shape: readonly number[]): ShapeProto => ({ dim: shape.map((size) => ({ size })) })

/** The attribute that holds the elements of a constant. */
export const tensorAttr = (data: Data, shape: readonly number[], dtype: DType): Attr => ({
  tensor: {
    dtype: dataTypes[dtype],
    tensorShape: shapeProto(shape),
    tensorContent: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  },
})

const field = (id: number, type: string, rule?: 'repeated'): object => ({ id, type, ...(rule && { rule }) })

/** The part of TensorFlow's messages that a graph for inference needs, by the numbers of their fields. */
const root = protobuf.Root.fromJSON({
  nested: {
    Dim: { fields: { size: field(1, 'int64') } },
    Shape: { fields: { dim: field(2, 'Dim', 'repeated') } },
    Tensor: {
      fields: { dtype: field(1, 'int32'), tensorShape: field(2, 'Shape'), tensorContent: field(4, 'bytes') },
    },
    List: {
      fields: {
        i: field(3, 'int64', 'repeated'),
        f: field(4, 'float', 'repeated'),
        type: field(6, 'int32', 'repeated'),
      },
    },
    Attr: {
      // Without presence protobuf leaves out what is 0, which TensorFlow then takes for an attribute without a value.
      oneofs: { value: { oneof: ['list', 's', 'i', 'f', 'b', 'type', 'shape', 'tensor'] } },
      fields: {
        list: field(1, 'List'),
        s: field(2, 'bytes'),
        i: field(3, 'int64'),
        f: field(4, 'float'),
        b: field(5, 'bool'),
        type: field(6, 'int32'),
        shape: field(7, 'Shape'),
        tensor: field(8, 'Tensor'),
      },
    },
    Node: {
      fields: {
        name: field(1, 'string'),
        op: field(2, 'string'),
        input: field(3, 'string', 'repeated'),
        attr: { keyType: 'string', ...field(5, 'Attr') },
      },
    },
    Versions: { fields: { producer: field(1, 'int32') } },
    Graph: { fields: { node: field(1, 'Node', 'repeated'), versions: field(4, 'Versions') } },
    Info: { fields: { tags: field(4, 'string', 'repeated') } },
    MetaGraph: { fields: { info: field(1, 'Info'), graph: field(2, 'Graph') } },
    SavedModel: { fields: { schemaVersion: field(1, 'int64'), metaGraphs: field(2, 'MetaGraph', 'repeated') } },
  },
} as protobuf.INamespace)

const savedModel = root.lookupType('SavedModel')

/** The tag by which a saved graph is loaded. */
export const graphTag = 'serve'

// The version of graphs that TensorFlow 2.12 writes.
const producer = 1395

/**
 * The bytes of a `saved_model.pb` that holds one graph.
 *
 * @source tensorflow/core/protobuf/saved_model.proto and the messages that it names.
 */
export const encodeSavedModel = (node: readonly NodeDef[]): Uint8Array =>
  savedModel
    .encode({
      schemaVersion: 1,
      metaGraphs: [{ info: { tags: [graphTag] }, graph: { node, versions: { producer } } }],
    })
    .finish()
