/** Element types of the format, in the order in which its reference implementation ranks them. */
const ranked = [
  'BOOL',
  'U8',
  'I8',
  'F8_E5M2',
  'F8_E4M3',
  'F8_E8M0',
  'I16',
  'U16',
  'F16',
  'BF16',
  'I32',
  'U32',
  'F32',
  'C64',
  'F64',
  'I64',
  'U64',
] as const

/** The name of an element type in a safetensors file. */
export type StoredDType = (typeof ranked)[number]

/** Elements as they lie in the file; halves and eighths as their bits. */
export type StoredData =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array

/** A tensor of a safetensors file: its elements in row-major order. */
export interface StoredTensor {
  readonly dtype: StoredDType
  readonly shape: readonly number[]
  readonly data: StoredData
}

type Maker = new (buffer: ArrayBuffer) => StoredData

const arrays: Readonly<Record<StoredDType, readonly [bytes: number, make: Maker]>> = {
  BOOL: [1, Uint8Array],
  U8: [1, Uint8Array],
  I8: [1, Int8Array],
  F8_E5M2: [1, Uint8Array],
  F8_E4M3: [1, Uint8Array],
  F8_E8M0: [1, Uint8Array],
  I16: [2, Int16Array],
  U16: [2, Uint16Array],
  F16: [2, Uint16Array],
  BF16: [2, Uint16Array],
  I32: [4, Int32Array],
  U32: [4, Uint32Array],
  F32: [4, Float32Array],
  C64: [8, Float32Array],
  F64: [8, Float64Array],
  I64: [8, BigInt64Array],
  U64: [8, BigUint64Array],
}

export const isStoredDType = (name: unknown): name is StoredDType =>
  typeof name === 'string' && Object.hasOwn(arrays, name)

/** Bytes of one element. */
export const bytesOf = (dtype: StoredDType): number => arrays[dtype][0]

/** Widest first, as the reference writes them. */
export const rankOf = (dtype: StoredDType): number => ranked.indexOf(dtype)

/** The bytes of a tensor as the typed array of its dtype, without copying. */
export const viewAs = (dtype: StoredDType, buffer: ArrayBuffer): StoredData => new arrays[dtype][1](buffer)

/** Whether a typed array is the one that a dtype calls for. */
export const fitsDType = (dtype: StoredDType, data: StoredData): boolean => data instanceof arrays[dtype][1]

/** Halves as float32, bit for bit what the standard says; `null` for what is no half. */
export const widen = ({ dtype, data }: StoredTensor): Float32Array | null => {
  if (dtype !== 'F16' && dtype !== 'BF16') return null
  const bits = new Uint32Array(data.length)
  const floats = new Float32Array(bits.buffer)
  for (let i = 0; i < data.length; i++) {
    const half = (data as Uint16Array)[i]!
    const [sign, exponent, fraction] = [(half & 0x8000) << 16, (half >> 10) & 31, half & 1023]
    // A bfloat16 is the upper half of a float32; a float16 has a narrower exponent, and subnormals of its own.
    if (dtype === 'BF16') bits[i] = half << 16
    else if (exponent === 0) floats[i] = (sign === 0 ? 1 : -1) * fraction * 2 ** -24
    else bits[i] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13)
  }
  return floats
}
