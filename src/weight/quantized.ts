import { allZeros, buffer, fixed } from '../kind/index.ts'
import type { Fields, Init, Kind } from '../kind/index.ts'
import { adopt, gatherPacked, matmulPacked, read, scalar, scope, transpose, unpack, zeros } from '../ops/index.ts'
import type { PackedMatrix, PackedScheme } from '../ops/index.ts'
import { TransformFailure } from '../tree/error.ts'
import { constant } from '../tree/leaf.ts'
import type { Constant, Form } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Packed } from '../tree/wrap.ts'
import { packInt8, packNf4, packScales } from './pack.ts'

/**
 * A weight in 4 or 8 bits: `Nf4`, `Nf4Double`, whose scales are quantised too, or `Int8`.
 *
 * Codes and blocks run over the weight as PyTorch lays it out, so that they are those of bitsandbytes: a matrix [in, out] is
 * held as [out, in], a table [rows, width] as it is.
 *
 * @source Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", §3.
 */
export interface Quantized<F extends Form = Form> extends Packed<F> {
  readonly _tag: 'Nf4' | 'Nf4Double' | 'Int8'
  /** The scale of each block or row; of `Nf4Double`, its codes. */
  readonly absmax: Constant
  /** Of `Nf4Double`: the scale of each 256 scales. */
  readonly nestedAbsmax?: Constant
  /** Of `Nf4Double`: what is added to every scale. */
  readonly offset?: Constant
}

/** How a weight is quantised. */
export interface QuantizedAs {
  /** 4 bits of NF4 (the default), or 8 bits with one scale for each output. */
  readonly scheme?: PackedScheme
  /** Of NF4: whether the scales are held in 8 bits as well. */
  readonly doubleQuant?: boolean
}

/** How a weight was quantised. */
export const schemeOf = ({ _tag }: Pick<Quantized, '_tag'>): Required<QuantizedAs> => ({
  scheme: _tag === 'Int8' ? 'int8' : 'nf4',
  doubleQuant: _tag === 'Nf4Double',
})

/** [rows, columns] in the order in which the codes run. */
const heldShape = ({ form, rows, columns }: Pick<Quantized, 'form' | 'rows' | 'columns'>) =>
  form === 'table' ? ([rows, columns] as const) : ([columns, rows] as const)

const packedOf = (w: Quantized): PackedMatrix => ({
  scheme: schemeOf(w).scheme,
  shape: heldShape(w),
  codes: w.codes.value,
  scales: [w.absmax, w.nestedAbsmax, w.offset].flatMap((leaf) => (leaf === undefined ? [] : [leaf.value])),
})

/** Whether a weight is one that `quantize` has made. */
export const isQuantized = (node: unknown): node is Quantized =>
  typeof node === 'object' &&
  node !== null &&
  '_tag' in node &&
  typeof node._tag === 'string' &&
  ['Nf4', 'Nf4Double', 'Int8'].includes(node._tag)

/** Quantises dense values [rows, columns] under a label; the tensor is only read. */
export const quantizeValues = (
  value: Tensor,
  { label, form }: { readonly label: string; readonly form: Form },
  { scheme = 'nf4', doubleQuant = false }: QuantizedAs = {},
): Quantized => {
  const [rows = 1, columns = 1] = value.shape
  const values = scope(() => read(form === 'table' ? value : transpose(value))) as Float32Array
  const leaf = (name: string, data: Float32Array | Int32Array): Constant =>
    constant(`${label}.${name}`, adopt(data, [data.length]))
  const { codes, absmax } = scheme === 'nf4' ? packNf4(values) : packInt8(values, form === 'table' ? columns : rows)
  if (!absmax.every(Number.isFinite)) notFinite(label)
  const common = { form, rows, columns, codes: { ...leaf('codes', codes), standsFor: rows * columns } }
  if (scheme === 'int8') return { _tag: 'Int8', ...common, absmax: leaf('absmax', absmax) }
  if (!doubleQuant) return { _tag: 'Nf4', ...common, absmax: leaf('absmax', absmax) }
  const nested = packScales(absmax)
  return {
    _tag: 'Nf4Double',
    ...common,
    absmax: leaf('absmax', nested.codes),
    nestedAbsmax: leaf('nestedAbsmax', nested.absmax),
    offset: constant(`${label}.offset`, scalar(nested.offset)),
  }
}

const notFinite = (label: string): never => {
  throw new TransformFailure([
    {
      _tag: 'NonFinite',
      path: label,
      expected: 'finite numbers',
      found: 'NaN or an infinity',
      hint: 'The weight was spoilt before: look where it comes from, for such a value has no code.',
    },
  ])
}

const noCodes: Init = (_, shape) => zeros(shape, 'int32')

// The shape of a packed weight is plain data; the lengths of its tensors follow from it, and are no dimensions of a model.
const common: Fields = {
  form: fixed('matrix'),
  rows: fixed(0),
  columns: fixed(0),
  codes: buffer(['words'], noCodes),
}

const kindOf = (tag: Quantized['_tag'], scales: Fields): Kind<Quantized, 'weight'> => ({
  tag,
  role: 'weight',
  fields: { ...common, ...scales },
  ops: {
    project: (x, w) => matmulPacked(x, packedOf(w), { transpose: w.form !== 'table' }),
    projectT: (x, w) => matmulPacked(x, packedOf(w), { transpose: w.form === 'table' }),
    lookup: (ids, w) => gatherPacked(packedOf(w), ids, w.form === 'table' ? 0 : 1),
    shape: ({ rows, columns }) => [rows, columns],
    materialize: (w) => (w.form === 'table' ? unpack(packedOf(w)) : transpose(unpack(packedOf(w)))),
  },
})

/** A weight in NF4, with a float32 scale for each block of 64. */
export const Nf4Kind: Kind<Quantized, 'weight'> = kindOf('Nf4', { absmax: buffer(['blocks'], allZeros) })

/** A weight in NF4 whose scales are quantised too: 8 bits for each block of 64, and a float32 for each 256 of those. */
export const Nf4DoubleKind: Kind<Quantized, 'weight'> = kindOf('Nf4Double', {
  absmax: buffer(['blocks'], noCodes),
  nestedAbsmax: buffer(['nested'], allZeros),
  offset: buffer([], allZeros),
})

/** A weight in 8 bits, with a float32 scale for each output, or for each row of a table. */
export const Int8Kind: Kind<Quantized, 'weight'> = kindOf('Int8', { absmax: buffer(['channels'], allZeros) })
