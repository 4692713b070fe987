import { allZeros, buffer, fixed } from '../kind/index.ts'
import type { Fields, Init, Kind } from '../kind/index.ts'
import {
  adopt,
  gatherPacked,
  isHalf,
  matmulPacked,
  read,
  scalar,
  scope,
  toHalves,
  transpose,
  unpack,
  zeros,
} from '../ops/index.ts'
import type { Half, PackedMatrix, PackedScheme } from '../ops/index.ts'
import { TransformFailure } from '../tree/error.ts'
import { constant } from '../tree/leaf.ts'
import type { Constant, Form } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Packed } from '../tree/wrap.ts'
import { packHalves, packInt8, packNf4, packScales } from './pack.ts'

/**
 * A weight in fewer bits: `Nf4`, `Nf4Double`, whose scales are quantised too, `Int8`, or the halves `Bf16` and `F16`.
 *
 * Codes and blocks run over the weight as PyTorch lays it out, so that they are those of bitsandbytes: a matrix [in, out] is
 * held as [out, in], a table [rows, width] as it is.
 *
 * @source Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", §3.
 */
export interface Quantized<F extends Form = Form> extends Packed<F> {
  readonly _tag: 'Nf4' | 'Nf4Double' | 'Int8' | 'Bf16' | 'F16'
  /** The scale of each block or row; of `Nf4Double`, its codes. Halves have none. */
  readonly absmax?: Constant
  /** Of `Nf4Double`: the scale of each 256 scales. */
  readonly nestedAbsmax?: Constant
  /** Of `Nf4Double`: what is added to every scale. */
  readonly offset?: Constant
}

/** How a weight is quantised. */
export interface QuantizedAs {
  /** 4 bits of NF4 (the default), 8 bits with one scale for each output, or each number rounded to 16 bits. */
  readonly scheme?: PackedScheme
  /** Of NF4: whether the scales are held in 8 bits as well. */
  readonly doubleQuant?: boolean
}

const schemes: Readonly<Record<Quantized['_tag'], PackedScheme>> = {
  Nf4: 'nf4',
  Nf4Double: 'nf4',
  Int8: 'int8',
  Bf16: 'bf16',
  F16: 'f16',
}

/** How a weight was quantised. */
export const schemeOf = ({ _tag }: Pick<Quantized, '_tag'>): Required<QuantizedAs> => ({
  scheme: schemes[_tag],
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
  Object.hasOwn(schemes, node._tag)

/** What a weight is made for: its label and its form. */
interface Named {
  readonly label: string
  readonly form: Form
}

const leafOf = (label: string, name: string, data: Float32Array | Int32Array): Constant =>
  constant(`${label}.${name}`, adopt(data, [data.length]))

const laidOut = (words: Int32Array, { label, form }: Named, [rows, columns]: readonly [number, number]) => ({
  form,
  rows,
  columns,
  codes: { ...leafOf(label, 'codes', words), standsFor: rows * columns },
})

/** The weight of these halves, in the order in which they are held: a matrix by its outputs, as PyTorch's layers have it. */
export const halvesAtRest = (
  codes: Uint16Array,
  half: Half,
  named: Named,
  [first, second]: readonly [number, number],
): Quantized => ({
  _tag: half === 'bf16' ? 'Bf16' : 'F16',
  ...laidOut(packHalves(codes), named, named.form === 'table' ? [first, second] : [second, first]),
})

/** Quantises dense values [rows, columns] under a label; the tensor is only read. */
export const quantizeValues = (
  value: Tensor,
  named: Named,
  { scheme = 'nf4', doubleQuant = false }: QuantizedAs = {},
): Quantized => {
  const { label, form } = named
  const [rows = 1, columns = 1] = value.shape
  const held = heldShape({ form, rows, columns })
  const values = scope(() => read(form === 'table' ? value : transpose(value))) as Float32Array
  if (isHalf(scheme)) {
    const codes = toHalves(values, scheme)
    if (!areFinite(codes, scheme)) notFinite(label, scheme)
    return halvesAtRest(codes, scheme, named, held)
  }
  const { codes, absmax } = scheme === 'nf4' ? packNf4(values) : packInt8(values, held[1])
  if (!absmax.every(Number.isFinite)) notFinite(label, scheme)
  const common = laidOut(codes, named, [rows, columns])
  if (scheme === 'int8') return { _tag: 'Int8', ...common, absmax: leafOf(label, 'absmax', absmax) }
  if (!doubleQuant) return { _tag: 'Nf4', ...common, absmax: leafOf(label, 'absmax', absmax) }
  const nested = packScales(absmax)
  return {
    _tag: 'Nf4Double',
    ...common,
    absmax: leafOf(label, 'absmax', nested.codes),
    nestedAbsmax: leafOf(label, 'nestedAbsmax', nested.absmax),
    offset: constant(`${label}.offset`, scalar(nested.offset)),
  }
}

const areFinite = (codes: Uint16Array, half: Half): boolean => {
  const exponent = half === 'bf16' ? 0x7f80 : 0x7c00
  return codes.every((code) => (code & exponent) !== exponent)
}

const notFinite = (label: string, scheme: PackedScheme): never => {
  throw new TransformFailure([
    {
      _tag: 'NonFinite',
      path: label,
      expected: scheme === 'f16' ? 'finite numbers up to 65504' : 'finite numbers',
      found: scheme === 'f16' ? 'NaN, an infinity, or a number beyond' : 'NaN or an infinity',
      hint:
        scheme === 'f16'
          ? "Take 'bf16', which has float32's range, if the weight is sound."
          : 'The weight was spoilt before: look where it comes from, for such a value has no code.',
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

/** A weight in bfloat16, each number rounded on its own. */
export const Bf16Kind: Kind<Quantized, 'weight'> = kindOf('Bf16', {})

/** A weight in float16, each number rounded on its own. */
export const F16Kind: Kind<Quantized, 'weight'> = kindOf('F16', {})
