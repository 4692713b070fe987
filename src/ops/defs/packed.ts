import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import type { Array_, Data, NodeWriter, Op, OwnNode } from '../op.ts'
import { tf, type TfKernel } from '../tf.ts'
import { matmulPackedWasm, unpackWasm } from '../wasm/packed.ts'
import {
  BLOCK,
  codesPerWord,
  decodeInto,
  decoder,
  dynamicMap,
  isHalf,
  NESTED_BLOCK,
  nf4Map,
  type PackedAttrs,
} from '../codebooks.ts'
import { define } from './define.ts'
import { fresh, type Loop, onHeap } from './heap.ts'
import { matmulOp } from './matmul.ts'
import { describe, mismatch, requireFloat, requireInt, requireRange, sizeOf } from '../shape-rules.ts'

/**
 * A matrix held in 4, 8 or 16 bits: how it is coded, its [rows, columns] as they are held, the codes in int32 words from the
 * lowest byte up, and the scales.
 *
 * NF4 takes the numbers in row-major order in blocks of 64, two codes a byte with the first in the upper half, and one
 * float32 scale a block; or three scales: those of the blocks in 8 bits (four to an int32), a float32 for each 256 of them,
 * and their common offset, a scalar. int8 has one float32 scale a row; bf16 and f16 have none.
 */
export interface PackedMatrix extends PackedAttrs {
  readonly codes: Tensor
  readonly scales: readonly Tensor[]
}

const words = (codes: number, perWord: number): number => Math.ceil(codes / perWord)

/** The lengths that the tensors of a packed matrix must have, codes first. */
const lengthsOf = ({ scheme, shape }: PackedAttrs, nested: boolean): readonly number[] => {
  const codes = words(sizeOf(shape), codesPerWord[scheme])
  if (isHalf(scheme)) return [codes]
  if (scheme === 'int8') return [codes, shape[0]]
  const blocks = Math.ceil(sizeOf(shape) / BLOCK)
  return nested ? [codes, words(blocks, 4), Math.ceil(blocks / NESTED_BLOCK), 1] : [codes, blocks]
}

const requirePacked = (name: string, attrs: PackedAttrs, parts: readonly TensorSpec[]): void => {
  const nested = parts.length > 2
  parts.forEach((part, i) => {
    if (i === 0 || (nested && i === 1)) requireInt(name, i === 0 ? 'codes' : 'scales', part)
    else requireFloat(name, 'scales', part)
  })
  const [expected, found] = [lengthsOf(attrs, nested), parts.map(({ shape }) => sizeOf(shape))]
  if (String(expected) !== String(found))
    mismatch(
      name,
      `tensors of ${expected.join(', ')} elements for ${attrs.scheme} of [${attrs.shape.join(', ')}]`,
      found.join(', '),
      'The shape is the one in which the weight is held.',
    )
}

const partsOf = ({ codes, scales }: PackedMatrix): readonly Tensor[] => [codes, ...scales]
const attrsOf = ({ scheme, shape }: PackedMatrix): PackedAttrs => ({ scheme, shape: [shape[0], shape[1]] })

const unpackLoop: Loop<PackedAttrs> = ({ attrs }, out, ...parts) => decodeInto(attrs, parts, out as Float32Array)

/** The dense matrix on the native engine without kernels of ours: the codes are copied out of TensorFlow, decoded, copied in. */
const unpackNative: TfKernel<PackedAttrs> = ({ attrs }, ...parts) => {
  const out = new Float32Array(sizeOf(attrs.shape))
  decodeInto(attrs, parts.map(seen), out)
  return tf.engine().makeTensor(out, [...attrs.shape], 'float32')
}

const seen = (part: tf.Tensor): Array_ => ({ shape: part.shape, data: part.dataSync<'int32'>() })

/** The node of ours of that name that reads a packed matrix after its other inputs. */
const packedNode = <V extends TensorSpec>(
  to: NodeWriter<V>,
  name: string,
  first: readonly V[],
  [codes, ...scales]: readonly V[],
  { scheme, shape }: PackedAttrs,
  own: Readonly<Record<string, boolean | number>>,
  output: TensorSpec,
): V => {
  const nested = scales.length > 1
  const maps = scheme === 'nf4' ? [nf4Map, ...(nested ? [dynamicMap] : [])] : []
  const quantised = nested ? scales.slice(0, 1) : []
  const floats = [...(nested ? scales.slice(1) : scales), ...maps.map(to.floats)]
  const attrs = { Q: quantised.length, N: floats.length, scheme, rows: shape[0], columns: shape[1], ...own }
  return to.node(name, [...first, codes!, ...quantised, ...floats], attrs, output)
}

const unpackOp: Op<PackedAttrs> = define<PackedAttrs>({
  name: 'unpack',
  infer: (attrs, ...parts) => {
    requirePacked('unpack', attrs, parts)
    return { shape: attrs.shape, dtype: 'float32' }
  },
  reference: fresh(unpackLoop),
  wasm: unpackWasm,
  native: unpackNative,
  own: { write: (to, parts, attrs, output) => packedNode(to, 'EspalierUnpack', [], parts, attrs, {}, output) },
})

/**
 * The dense [rows, columns] that a packed matrix stands for, float32, bit by bit the same on every engine.
 *
 * What is packed is a constant to every gradient. Errors: `ShapeMismatch` for tensors of other lengths than the shape needs.
 *
 * @example
 * ```ts
 * import { tensor, toArray, unpack } from 'espalier/ops'
 * const [codes, scales] = [tensor([0x0000_000f], [1], 'int32'), [tensor([2])]]
 * toArray(unpack({ scheme: 'nf4', shape: [1, 2], codes, scales })) // => [[-2, 2]]
 * ```
 * @source Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", §3.
 */
export const unpack = (matrix: PackedMatrix): Tensor => apply(unpackOp, partsOf(matrix), attrsOf(matrix))

type ProjectAttrs = PackedAttrs & { readonly transpose: boolean }

const rowsTimes = (x: tf.Tensor, dense: tf.Tensor, transposeB: boolean): tf.Tensor => {
  const flat = tf.reshape(x, [sizeOf(x.shape.slice(0, -1)), x.shape.at(-1)!])
  const width = dense.shape[transposeB ? 0 : 1]!
  return tf.reshape(tf.matMul(flat, dense, false, transposeB), [...x.shape.slice(0, -1), width])
}

/** The codes are decoded where the product reads them: no dense matrix is ever there. */
const projectNode: OwnNode<ProjectAttrs> = {
  write: (to, [x, ...parts], attrs, output) => {
    const flat = to.reshape(x!, [sizeOf(x!.shape.slice(0, -1)), x!.shape.at(-1)!])
    const rows = { shape: [flat.shape[0]!, output.shape.at(-1)!], dtype: 'float32' } as const
    const own = { transpose: attrs.transpose }
    return to.reshape(packedNode(to, 'EspalierMatMulPacked', [flat], parts, attrs, own, rows), output.shape)
  },
}

const matmulPackedOp: Op<ProjectAttrs> = define<ProjectAttrs>({
  name: 'matmulPacked',
  infer: (attrs, x, ...parts) => {
    requireFloat('matmulPacked', 'x', x)
    requirePacked('matmulPacked', attrs, parts)
    const [inputs, outputs] = attrs.transpose ? [attrs.shape[1], attrs.shape[0]] : attrs.shape
    return x.shape.length >= 2 && x.shape.at(-1) === inputs
      ? { shape: [...x.shape.slice(0, -1), outputs], dtype: 'float32' }
      : mismatch(
          'matmulPacked',
          `x of shape [..., ${inputs}], with at least two axes`,
          describe(x),
          'Did you mean transpose?',
        )
  },
  reference: ({ attrs, output }, x, ...parts) => {
    const data = new Float32Array(sizeOf(attrs.shape))
    decodeInto(attrs, parts, data)
    const factors = { transposeA: false, transposeB: attrs.transpose }
    return matmulOp.reference([x, { shape: attrs.shape, data }], factors, output)
  },
  wasm: matmulPackedWasm,
  native: ({ attrs }, x, ...parts) =>
    rowsTimes(x, unpackNative({ attrs, output: { shape: attrs.shape, dtype: 'float32' } }, ...parts), attrs.transpose),
  own: projectNode,
  // Dequantised anew: between the passes nothing dense is kept.
  vjp: ({ dy, inputs: [, ...parts], attrs }) => [
    apply(matmulPackedOp, [dy, ...parts], { ...attrs, transpose: !attrs.transpose }),
    ...parts.map(() => null),
  ],
})

/**
 * x [..., rows] times a packed matrix, or x [..., columns] times its transpose.
 *
 * The kernel decodes what it multiplies, or makes the matrix dense, multiplies and frees it, and so does its derivative: no
 * dense copy lives between the passes. What is packed is a constant to every gradient. Errors: `ShapeMismatch`, `DTypeMismatch`.
 *
 * @example
 * ```ts
 * import { matmulPacked, tensor, toArray } from 'espalier/ops'
 * const matrix = { scheme: 'int8', shape: [1, 2], codes: tensor([0x0000_7f81], [1], 'int32'), scales: [tensor([0.5])] } as const
 * toArray(matmulPacked(tensor([[2]]), matrix)) // => [[-127, 127]]
 * toArray(matmulPacked(tensor([[1, 3]]), matrix, { transpose: true })) // => [[127]]
 * ```
 * @source Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", §3, equation 5.
 */
export const matmulPacked = (
  x: Tensor,
  matrix: PackedMatrix,
  { transpose = false }: { readonly transpose?: boolean } = {},
): Tensor => apply(matmulPackedOp, [x, ...partsOf(matrix)], { ...attrsOf(matrix), transpose })

type GatherAttrs = PackedAttrs & { readonly axis: 0 | 1 }

const gatherLoop: Loop<GatherAttrs> = ({ attrs }, out, ids, ...parts) => {
  const [rows, columns] = attrs.shape
  requireRange('gatherPacked', 'ids', ids.data, attrs.shape[attrs.axis])
  if (attrs.axis === 0)
    ids.data.forEach((id: number, i: number) =>
      decodeInto(attrs, parts, out as Float32Array, [id * columns, (id + 1) * columns], i * columns),
    )
  else copyColumns(ids.data, rows, columns, decoder(attrs, parts), out)
}

const copyColumns = (ids: Data, rows: number, columns: number, at: (i: number) => number, out: Data): void => {
  for (let i = 0, to = 0; i < ids.length; i++)
    for (let row = 0; row < rows; row++) out[to++] = at(row * columns + ids[i]!)
}

const gatherPackedOp = define<GatherAttrs>({
  name: 'gatherPacked',
  infer: (attrs, ids, ...parts) => {
    requireInt('gatherPacked', 'ids', ids)
    requirePacked('gatherPacked', attrs, parts)
    return { shape: [...ids.shape, attrs.shape[1 - attrs.axis]!], dtype: 'float32' }
  },
  reference: fresh(gatherLoop),
  wasm: onHeap('gatherPacked', gatherLoop),
  own: {
    write: (to, [ids, ...parts], attrs, output) =>
      packedNode(to, 'EspalierGatherPacked', [ids!], parts, attrs, { axis: attrs.axis }, output),
  },
})

/**
 * Rows (axis 0) or columns (axis 1) of a packed matrix by int32 ids of any shape; nothing else of it is dequantised.
 *
 * What is packed is a constant to every gradient. Errors: `OutOfRange` for an id outside the matrix.
 *
 * @example
 * ```ts
 * import { gatherPacked, tensor, toArray } from 'espalier/ops'
 * const [codes, scales] = [tensor([0x0000_7f0f], [1], 'int32'), [tensor([2])]]
 * const matrix = { scheme: 'nf4', shape: [2, 2], codes, scales } as const
 * toArray(gatherPacked(matrix, tensor([1], [1], 'int32'))) // => [[0, 2]]
 * toArray(gatherPacked(matrix, tensor([0], [1], 'int32'), 1)) // => [[-2, 0]]
 * ```
 */
export const gatherPacked = (matrix: PackedMatrix, ids: Tensor, axis: 0 | 1 = 0): Tensor =>
  apply(gatherPackedOp, [ids, ...partsOf(matrix)], { ...attrsOf(matrix), axis })

/** @internal */
export const packedOps: readonly Op<never>[] = [unpackOp, matmulPackedOp, gatherPackedOp]
