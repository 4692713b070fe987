import type { FileHandle } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { adopt, read } from '../../ops/index.ts'
import type { Issue } from '../../tree/error.ts'
import { isTensor } from '../../tree/tensor.ts'
import type { DType, Tensor } from '../../tree/tensor.ts'
import { bytesOf, fitsDType, halfOf, isStoredDType, viewAs, widen } from './dtypes.ts'
import type { StoredDType, StoredTensor } from './dtypes.ts'
import { commit, readBytes, withFile } from '../files.ts'
import type { Sink } from '../files.ts'
import { entryOf, layOut, longestHeader, parseHeader } from './header.ts'
import type { Placeable, SafetensorsHeader, StoredEntry } from './header.ts'
import { describe, inFile, io, issue, issuesOf, refuse, reject } from '../issues.ts'
import type { Io, Issues } from '../issues.ts'

/** Tensors by name, and the notes that stand beside them. */
export interface Safetensors {
  readonly tensors: ReadonlyMap<string, StoredTensor>
  readonly metadata: Readonly<Record<string, string>>
}

const dtypes: Readonly<Record<DType, StoredDType>> = { float32: 'F32', int32: 'I32', bool: 'BOOL' }

/** The name a file has for a dtype of ours. */
export const storedDType = (dtype: DType): StoredDType => dtypes[dtype]

// The format is little-endian, and so is every machine that Node is commonly built for.
const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

const requireHost = (path: string): void => {
  if (!isLittleEndian)
    reject(
      'UnsupportedHost',
      path,
      'a little-endian machine',
      'a big-endian one',
      'Use another machine for files of tensors.',
    )
}

/** A file that was opened: its header, where the tensors begin, and the header's own bytes. */
interface Opened {
  readonly header: SafetensorsHeader
  readonly start: number
  readonly head: Uint8Array
}

/** Reads the header of an open file. @internal */
export const openHeader = async (file: FileHandle, size: number, path: string): Promise<Opened> => {
  requireHost(path)
  if (size < 8) reject('Truncated', path, 'a safetensors file', `${size} bytes`, 'The file is cut off, or empty.')
  const length = Number(Buffer.from(await readBytes(file, 0, 8, path)).readBigUInt64LE())
  // Nothing is allocated on the word of a file that is not as long as it says.
  if (length > longestHeader || length + 8 > size)
    reject(
      'BadHeader',
      path,
      `a header of at most ${Math.min(longestHeader, size - 8)} bytes`,
      `${length}`,
      'This is no safetensors file, or it is cut off.',
    )
  const head = await readBytes(file, 0, length + 8, path)
  return { header: parseHeader(head.subarray(8), size - 8 - length, path), start: length + 8, head }
}

/** Reads one tensor of an open file. @internal */
export const readEntry = async (
  file: FileHandle,
  start: number,
  entry: StoredEntry,
  path: string,
): Promise<StoredTensor> => {
  const bytes = await readBytes(file, start + entry.begin, entry.end - entry.begin, path)
  return { dtype: entry.dtype, shape: entry.shape, data: viewAs(entry.dtype, bytes.buffer) }
}

const bytesIn = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** Reads a whole file in the order it lies there, and shows every byte to `see`; `check` may refuse it by its header. @internal */
export const readThrough = (
  path: string,
  check: (header: SafetensorsHeader, size: number) => void,
  see: (bytes: Uint8Array) => void,
): Promise<ReadonlyMap<string, StoredTensor>> =>
  withFile(path, async (file, size) => {
    const { header, start, head } = await openHeader(file, size, path)
    check(header, size)
    see(head)
    const tensors = new Map<string, StoredTensor>()
    for (const [name, entry] of header.tensors) {
      const tensor = await readEntry(file, start, entry, path)
      see(bytesIn(tensor.data))
      tensors.set(name, tensor)
    }
    return tensors
  })

/** Writes tensors one after the other into a sink; only one of them is in memory at a time. @internal */
export const writeThrough = async (
  tensors: ReadonlyMap<string, StoredTensor | Tensor>,
  metadata: Readonly<Record<string, string>>,
  path: string,
  sink: Sink,
): Promise<void> => {
  requireHost(path)
  const specs = new Map<string, Placeable>()
  for (const [name, t] of tensors) specs.set(name, isTensor(t) ? { dtype: storedDType(t.dtype), shape: t.shape } : t)
  const { header, order } = layOut(specs, metadata, path)
  await sink(header)
  for (const name of order) {
    const t = tensors.get(name)
    if (t !== undefined) await sink(bytesIn(isTensor(t) ? read(t) : t.data))
  }
}

/**
 * Reads what a safetensors file says of itself: name, dtype, shape and place of each tensor, and the metadata.
 *
 * Errors: `FileSystem`, `NotAFile`, `Truncated`, `BadHeader`, `BadJson`; whatever the file, nothing is allocated but the header.
 *
 * @example
 * ```ts
 * import { orThrow, readHeader, writeSafetensors } from 'espalier/io'
 *
 * await orThrow(writeSafetensors('a.safetensors', { a: { dtype: 'F32', shape: [2], data: new Float32Array(2) } }))
 * const header = await orThrow(readHeader('a.safetensors'))
 * header.tensors.get('a') // => { dtype: 'F32', shape: [2], begin: 0, end: 8 }
 * ```
 * @source The safetensors format, https://github.com/huggingface/safetensors#format
 */
export const readHeader = (path: string): Io<SafetensorsHeader> =>
  io(path, () => withFile(path, async (file, size) => (await openHeader(file, size, path)).header))

/**
 * Reads tensors of a safetensors file, each by its place: all of them, or those named.
 *
 * Errors: those of `readHeader`, `MissingTensor` for a name that is not there, `TooLarge`.
 *
 * @example
 * ```ts
 * import { orThrow, readSafetensors, writeSafetensors } from 'espalier/io'
 * import { tensor } from 'espalier/ops'
 *
 * await orThrow(writeSafetensors('b.safetensors', { a: tensor([1, 2]), b: tensor([3]) }, { note: 'mine' }))
 * const { tensors, metadata } = await orThrow(readSafetensors('b.safetensors', { names: ['b'] }))
 * tensors.get('b')?.data // => new Float32Array([3])
 * metadata // => { note: 'mine' }
 * ```
 */
export const readSafetensors = (
  path: string,
  { names }: { readonly names?: readonly string[] } = {},
): Io<Safetensors> =>
  io(path, () =>
    withFile(path, async (file, size) => {
      const { header, start } = await openHeader(file, size, path)
      const tensors = new Map<string, StoredTensor>()
      for (const name of names ?? header.tensors.keys())
        tensors.set(name, await readEntry(file, start, entryOf(header, name, path), path))
      return { tensors, metadata: header.metadata }
    }),
  )

const storedIssues = (name: string, value: StoredTensor | Tensor, path: string): Issues => {
  if (isTensor(value)) return []
  const { dtype, shape, data } = value
  const lengths = Array.isArray(shape) && shape.every((n) => Number.isSafeInteger(n) && n >= 0)
  if (!isStoredDType(dtype))
    return [issue('BadTensor', inFile(path, name), 'a dtype of the format', describe(dtype), 'Such as F32, I32, BOOL.')]
  const size = lengths ? shape.reduce((n, length) => n * length, bytesOf(dtype)) : -1
  return fitsDType(dtype, data) && data.byteLength === size
    ? []
    : [
        issue(
          'BadTensor',
          inFile(path, name),
          `the typed array of ${dtype} for shape [${String(shape)}]`,
          `${describe(data)} of ${data.length}`,
          'See the docstring of StoredTensor.',
        ),
      ]
}

/**
 * Writes a safetensors file: under a temporary name, then renamed, so that a file of this name is always a whole one.
 *
 * The same tensors and metadata give the same bytes as the reference implementation. Errors: `BadTensor`, `BadName`,
 * `FileSystem`, `DisposedTensor`.
 *
 * @example
 * ```ts
 * import { orThrow, readHeader, writeSafetensors } from 'espalier/io'
 * import { zeros } from 'espalier/ops'
 *
 * await orThrow(writeSafetensors('c.safetensors', { b: zeros([1]), a: zeros([2, 3]) }))
 * const { tensors } = await orThrow(readHeader('c.safetensors'))
 * Array.from(tensors.keys()) // => ['a', 'b']
 * ```
 */
export const writeSafetensors = (
  path: string,
  tensors: Readonly<Record<string, StoredTensor | Tensor>> | ReadonlyMap<string, StoredTensor | Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Io<void> =>
  io(path, () => {
    const all =
      tensors instanceof Map
        ? (tensors as ReadonlyMap<string, StoredTensor | Tensor>)
        : new Map(Object.entries(tensors))
    refuse([...all].flatMap(([name, value]) => storedIssues(name, value, path)))
    return commit(dirname(path), [{ name: basename(path), write: (sink) => writeThrough(all, metadata, path, sink) }])
  })

/** What is made of numbers that have no dtype of ours; what is left out is refused. */
export interface Conversions {
  /** F16 and BF16: exact. */
  readonly halves?: 'float32'
  /** F64: rounded to the nearest. */
  readonly doubles?: 'float32'
  /** I64: exact, or refused if one does not fit. */
  readonly longs?: 'int32'
  /** U8, I8, U16 and I16: exact. */
  readonly shorts?: 'int32'
}

type Elements = Float32Array | Int32Array | Uint8Array

/** Elements of a tensor of ours, an issue, or `null` for what was not asked for. */
const elements = (stored: StoredTensor, { halves, doubles, longs, shorts }: Conversions): Elements | Issue | null => {
  const { dtype } = stored
  const data = stored.data as Float32Array
  if (dtype === 'F32' || dtype === 'I32') return data
  if (dtype === 'BOOL')
    return data.every((byte) => byte < 2)
      ? (stored.data as Uint8Array)
      : issue('BadElement', '', 'bytes that are 0 or 1', 'others', 'The file is damaged.')
  if (halfOf(dtype)) return halves === 'float32' ? widen(stored) : null
  if (dtype === 'F64' && doubles === 'float32') return Float32Array.from(data)
  if (['U8', 'I8', 'U16', 'I16'].includes(dtype) && shorts === 'int32') return Int32Array.from(data)
  return dtype === 'I64' && longs === 'int32' ? fromLongs(stored.data as BigInt64Array) : null
}

const fromLongs = (longs: BigInt64Array): Int32Array | Issue => {
  const wrong = longs.find((x) => BigInt.asIntN(32, x) !== x)
  return wrong === undefined
    ? Int32Array.from(longs, Number)
    : issue('BadElement', '', 'whole numbers of 32 bits', String(wrong), 'Such a number has no dtype here.')
}

const conversionFor: Readonly<Partial<Record<StoredDType, string>>> = {
  F16: "Pass { halves: 'float32' } to widen it, which is exact.",
  BF16: "Pass { halves: 'float32' } to widen it, which is exact.",
  F64: "Pass { doubles: 'float32' } to round it.",
  I64: "Pass { longs: 'int32' }, if all its numbers fit.",
  ...Object.fromEntries(
    ['U8', 'I8', 'U16', 'I16'].map((dtype) => [dtype, "Pass { shorts: 'int32' }, which is exact."]),
  ),
}

/**
 * Makes a tensor of what a file holds: F32, I32 and BOOL as they are, others as the options say.
 *
 * Errors: `UnsupportedDType`; `BadElement` for a BOOL that is neither 0 nor 1, and for an I64 beyond 32 bits.
 *
 * @example
 * ```ts
 * import { fromStored } from 'espalier/io'
 * import { toArray } from 'espalier/ops'
 *
 * const half = { dtype: 'F16', shape: [2], data: new Uint16Array([0x3c00, 0xc000]) } as const
 * const result = fromStored(half, { halves: 'float32' })
 * result._tag === 'Right' && toArray(result.right) // => [1, -2]
 * ```
 */
export const fromStored = (stored: StoredTensor, conversions: Conversions = {}): E.Either<Issues, Tensor> => {
  const data = elements(stored, conversions)
  if (data === null) {
    const hint = conversionFor[stored.dtype] ?? 'Read it with readSafetensors, which gives a typed array.'
    return E.left([issue('UnsupportedDType', '', 'F32, I32 or BOOL', stored.dtype, hint)])
  }
  if ('_tag' in data) return E.left([data])
  return E.tryCatch(
    () => adopt(data, stored.shape),
    (error) => issuesOf(error, ''),
  )
}
