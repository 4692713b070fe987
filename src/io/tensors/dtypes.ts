import { fromHalves, toHalves } from '../../ops/index.ts'
import type { Half } from '../../ops/index.ts'

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

const halves: Readonly<Partial<Record<StoredDType, Half>>> = { BF16: 'bf16', F16: 'f16' }

/** What kind of half a dtype is, if it is one. */
export const halfOf = (dtype: StoredDType): Half | undefined => halves[dtype]

/** Halves as float32, bit for bit what the standard says; `null` for what is no half. */
export const widen = ({ dtype, data }: StoredTensor): Float32Array | null => {
  const half = halfOf(dtype)
  return half === undefined ? null : fromHalves(data as Uint16Array, half)
}

/** Float32 numbers as halves of a file: to nearest, ties to even. */
export const narrow = (values: Float32Array, dtype: 'BF16' | 'F16'): Uint16Array =>
  toHalves(values, dtype === 'BF16' ? 'bf16' : 'f16')

const notFinite: Readonly<Partial<Record<StoredDType, (x: number) => boolean>>> = {
  BF16: (x) => (x & 0x7f80) === 0x7f80,
  F16: (x) => (x & 0x7c00) === 0x7c00,
  F32: (x) => !Number.isFinite(x),
  F64: (x) => !Number.isFinite(x),
}

/** How many numbers of a tensor are NaN or an infinity: a file may hold them, a model is spoilt by one. */
export const nonFinite = ({ dtype, data }: StoredTensor): number => {
  const isWrong = notFinite[dtype]
  let count = 0
  if (isWrong) for (let i = 0; i < data.length; i++) if (isWrong(Number(data[i]))) count++
  return count
}
