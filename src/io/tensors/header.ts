import * as t from 'io-ts'
import type { Issue } from '../../tree/error.ts'
import { didYouMean } from '../../tree/nearest.ts'
import { bytesOf, isStoredDType, rankOf } from './dtypes.ts'
import type { StoredDType } from './dtypes.ts'
import { dictionary } from '../codec.ts'
import { clip, decode, inFile, issue, refuse, reject } from '../issues.ts'
import { decodeUtf8, parseJson } from '../json.ts'

/** Where one tensor lies in a safetensors file. */
export interface StoredEntry {
  readonly dtype: StoredDType
  readonly shape: readonly number[]
  /** First byte, counted from the end of the header. */
  readonly begin: number
  /** First byte after the tensor. */
  readonly end: number
}

/** What a safetensors file says about itself. */
export interface SafetensorsHeader {
  /** In the order in which the tensors lie in the file. */
  readonly tensors: ReadonlyMap<string, StoredEntry>
  readonly metadata: Readonly<Record<string, string>>
}

/** Headers beyond this are refused, by the reference implementation too. */
export const longestHeader = 100_000_000
const metadataKey = '__metadata__'

const Length = t.refinement(t.number, (n) => Number.isSafeInteger(n) && n >= 0, 'a whole number >= 0')
const DType = new t.Type<StoredDType>(
  'a dtype of the format',
  isStoredDType,
  (u, c) => (isStoredDType(u) ? t.success(u) : t.failure(u, c)),
  (a) => a,
)
// A tuple of io-ts drops what is too many.
const Offsets = t.refinement(t.readonlyArray(Length, 'a list of offsets'), ({ length }) => length === 2, 'two offsets')
const Entry = t.strict(
  { dtype: DType, shape: t.readonlyArray(Length, 'a list of lengths'), data_offsets: Offsets },
  'an object with dtype, shape and data_offsets',
)
const Metadata = dictionary(t.string, 'an object of strings')

// A product that has passed infinity would make no zero of what is empty.
const bytesIn = (dtype: StoredDType, shape: readonly number[]): number =>
  shape.includes(0) ? 0 : shape.reduce((n, length) => n * length, bytesOf(dtype))

/** Reads the bytes of a header that stands before `room` bytes of tensors. */
export const parseHeader = (bytes: Uint8Array, room: number, path: string): SafetensorsHeader => {
  const text = decodeUtf8(bytes, path)
  if (!text.startsWith('{'))
    reject(
      'BadHeader',
      path,
      'a header that begins with "{"',
      JSON.stringify(text.slice(0, 8)),
      'This is no safetensors file.',
    )
  const header = parseJson(text, path) as Readonly<Record<string, unknown>>
  const metadata = Object.hasOwn(header, metadataKey) ? header[metadataKey] : {}
  const issues: Issue[] = []
  const tensors = Object.entries(header)
    .filter(([name]) => name !== metadataKey)
    .map(([name, json]): readonly [string, StoredEntry] => {
      const { dtype, shape, data_offsets } = decode(Entry, json, path, [name])
      return [name, { dtype, shape, begin: data_offsets[0]!, end: data_offsets[1]! }]
    })
    .toSorted(([, a], [, b]) => a.begin - b.begin || a.end - b.end)
  let at = 0
  for (const [name, { dtype, shape, begin, end }] of tensors) {
    const wanted = bytesIn(dtype, shape)
    const here = inFile(path, name)
    if (end - begin !== wanted)
      issues.push(
        issue(
          'BadHeader',
          here,
          `${wanted} bytes for ${dtype} [${clip(shape.join(', '))}]`,
          `offsets ${begin} to ${end}`,
          'Shape and offsets must agree.',
        ),
      )
    if (begin !== at)
      issues.push(
        issue(
          'BadHeader',
          here,
          `a tensor that begins at ${at}`,
          `${begin}`,
          begin < at ? 'Tensors must not overlap.' : 'There must be no gaps between tensors.',
        ),
      )
    at = end
  }
  if (at !== room)
    issues.push(
      issue(
        at > room ? 'Truncated' : 'BadHeader',
        path,
        `${at} bytes of tensors`,
        `${room}`,
        at > room ? 'The file is cut off.' : 'There is something after the last tensor.',
      ),
    )
  refuse(issues)
  // MLX writes null where there is none, which the reference implementation reads as none.
  return { tensors: new Map(tensors), metadata: decode(Metadata, metadata ?? {}, path, [metadataKey]) }
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

const reserved = (name: string, path: string): readonly Issue[] =>
  name === metadataKey
    ? [issue('BadName', path, 'another name', `"${name}"`, 'The format keeps this one for itself.')]
    : []

const unwritable = (text: string, path: string): readonly Issue[] =>
  /\p{Surrogate}/u.test(text)
    ? [
        issue(
          'BadName',
          path,
          'whole Unicode text',
          JSON.stringify(text),
          'Half a surrogate pair cannot be written as UTF-8.',
        ),
      ]
    : []

/** What the header says of a tensor before it is placed. */
export type Placeable = Pick<StoredEntry, 'dtype' | 'shape'>

/** Lays tensors out, widest elements first and then by name, and writes the header for that; the same bytes each time. */
export const layOut = (
  tensors: ReadonlyMap<string, Placeable>,
  metadata: Readonly<Record<string, string>>,
  path: string,
): { readonly header: Uint8Array; readonly order: readonly string[] } => {
  refuse([
    ...[...tensors.keys()].flatMap((name) => [...reserved(name, path), ...unwritable(name, path)]),
    ...Object.entries(metadata)
      .flat()
      .flatMap((text) => unwritable(text, path)),
  ])
  const sorted = [...tensors].toSorted(([a, x], [b, y]) => rankOf(y.dtype) - rankOf(x.dtype) || byBytes(a, b))
  const notes = Object.entries(metadata).toSorted(([a], [b]) => byBytes(a, b))
  let at = 0
  const fields = sorted.map(([name, { dtype, shape }]) => {
    const begin = at
    at += bytesIn(dtype, shape)
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, at] })}`
  })
  const note = notes.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
  const text = `{${[...(note.length > 0 ? [`"${metadataKey}":{${note.join(',')}}`] : []), ...fields].join(',')}}`
  const bytes = Buffer.from(text)
  const header = Buffer.alloc(8 + Math.ceil(bytes.length / 8) * 8, ' ')
  if (header.length - 8 > longestHeader)
    reject(
      'BadHeader',
      path,
      `a header of at most ${longestHeader} bytes`,
      `${bytes.length}`,
      'Spread the tensors over several files.',
    )
  header.writeBigUInt64LE(BigInt(header.length - 8), 0)
  header.set(bytes, 8)
  return { header, order: sorted.map(([name]) => name) }
}

/** The entry of a file, or an issue that names the nearest. */
export const entryOf = (header: SafetensorsHeader, name: string, path: string): StoredEntry =>
  header.tensors.get(name) ??
  reject(
    'MissingTensor',
    inFile(path, name),
    `a tensor named "${name}"`,
    'none',
    didYouMean(name, header.tensors.keys()),
  )
