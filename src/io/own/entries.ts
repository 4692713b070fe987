import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { PositiveWhole } from '../../kind/number-codecs.ts'
import type { Form, Status } from '../../tree/leaf.ts'
import type { DType } from '../../tree/tensor.ts'
import { BASE } from '../../tree/walk.ts'
import { Sha256, Shape, exactly, isRecord } from '../codec.ts'
import type { Json } from '../json.ts'

/** What every tensor's entry says. */
interface Spec {
  readonly shape: readonly number[]
  readonly dtype: DType
  /** The tensor's name in the safetensors file, where that is not the label. */
  readonly stored?: string
  /** Of an adapter: the tensor is the base's, and this is its digest. */
  readonly inBase?: string
}

/** A parameter in a file: everything but its elements. */
export interface ParamEntry extends Spec {
  readonly _tag: 'Param'
  readonly label: string
  readonly status: Status
  readonly form: Form
}

/** A constant in a file. */
export interface ConstantEntry extends Spec {
  readonly _tag: 'Constant'
  readonly label: string
  /** How many frozen parameters its packed values stand for. */
  readonly standsFor?: number
}

/** A tensor that is no leaf: the state of an optimiser. */
export interface TensorEntry extends Spec {
  readonly _tag: '~tensor'
  readonly stored: string
}

export type Entry = ParamEntry | ConstantEntry | TensorEntry

/** One entry and where it stands. */
export interface EntryPlace {
  readonly path: readonly string[]
  readonly entry: Entry
}

export const isEntry = (node: unknown): node is Entry =>
  isRecord(node) && (node['_tag'] === 'Param' || node['_tag'] === 'Constant' || node['_tag'] === '~tensor')

/** The name of an entry's tensor in the safetensors file. */
export const storedName = (entry: Entry): string =>
  entry._tag === '~tensor' ? entry.stored : (entry.stored ?? entry.label)

/** What an entry says, in a line. */
export const describeEntry = (entry: Entry): string => {
  const { shape, dtype } = entry
  const what = entry._tag === 'Param' ? `${entry.status} ${entry.form} ` : entry._tag === 'Constant' ? 'constant ' : ''
  return `${what}${dtype} [${shape.join(', ')}]${entry._tag === '~tensor' ? '' : ` labelled "${entry.label}"`}`
}

/** Every entry of a tree in a file, in path order. */
export function* entries(node: Json, path: readonly string[] = []): Generator<EntryPlace> {
  if (isEntry(node)) yield { path, entry: node }
  else if (typeof node === 'object' && node !== null)
    for (const [key, child] of Object.entries(node)) yield* entries(child, key === BASE ? path : [...path, key])
}

const values: ReadonlyMap<unknown, unknown> = new Map<unknown, unknown>([
  ['NaN', Number.NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
  ['undefined', undefined],
])

/** What JSON has no word for, in the state of a run. */
export interface ValueEntry {
  readonly _tag: '~value'
  readonly value: string
}

export const isValueEntry = (node: unknown): node is ValueEntry => isRecord(node) && node['_tag'] === '~value'

/** The value that an entry stands for. */
export const valueOf = ({ value }: ValueEntry): unknown => values.get(value)

/** The entry of a value that JSON has no word for. */
export const valueEntry = (value: number | undefined): Json => ({ _tag: '~value', value: String(value) })

const optional = <A>(codec: t.Type<A, unknown>): t.Type<A | undefined, unknown> =>
  t.union([codec, t.undefined], codec.name) as t.Type<A | undefined, unknown>

const spec = {
  shape: Shape,
  dtype: t.keyof({ float32: null, int32: null, bool: null }, 'float32, int32 or bool'),
  stored: optional(t.string),
  inBase: optional(Sha256),
}
const label = t.string

const codecs: Readonly<Record<string, t.Decoder<unknown, unknown>>> = {
  Param: exactly(
    {
      ...spec,
      _tag: t.literal('Param'),
      label,
      status: t.keyof({ trainable: null, frozen: null }, '"trainable" or "frozen"'),
      form: t.keyof({ matrix: null, table: null, vector: null }, '"matrix", "table" or "vector"'),
    },
    'a parameter',
  ),
  Constant: exactly({ ...spec, _tag: t.literal('Constant'), label, standsFor: optional(PositiveWhole) }, 'a constant'),
  Hole: exactly({ _tag: t.literal('Hole'), label }, 'a hole'),
  '~tensor': exactly({ ...spec, _tag: t.literal('~tensor'), stored: t.string }, 'a tensor'),
  '~value': exactly(
    {
      _tag: t.literal('~value'),
      value: t.refinement(t.string, (s) => values.has(s), 'NaN, Infinity, -Infinity or undefined'),
    },
    'a value',
  ),
}

const validate: t.Validate<unknown, Json> = (node, context) => {
  if (node === null || typeof node === 'string' || typeof node === 'boolean') return t.success(node)
  if (typeof node === 'number')
    return Number.isFinite(node) ? t.success(node) : t.failure(node, context, 'It does not fit into a number.')
  if (isRecord(node)) {
    const tag = Object.hasOwn(node, '_tag') ? node['_tag'] : undefined
    const codec = typeof tag === 'string' && Object.hasOwn(codecs, tag) ? codecs[tag] : undefined
    if (codec !== undefined) return E.map(() => node as Json)(codec.validate(node, renamed(context, codec)))
    if (typeof tag === 'string' && tag.startsWith('~'))
      return t.failure(node, context, `The tag "${tag}" is not known here.`)
  }
  if (typeof node !== 'object') return t.failure(node, context)
  const errors = Object.entries(node).flatMap(([key, child]) => {
    const result = validate(child, t.appendContext(context, key, TreeCodec, child))
    return E.isLeft(result) ? result.left : []
  })
  return errors.length > 0 ? t.failures(errors) : t.success(node as Json)
}

const renamed = (context: t.Context, type: t.Decoder<unknown, unknown>): t.Context =>
  context.map((c, i) => (i === context.length - 1 ? { ...c, type } : c))

/** A tree in a file: records, lists and plain data as they are, and entries that are what they should be. */
export const TreeCodec: t.Type<Json, unknown> = new t.Type<Json, unknown>(
  'a tree',
  (u): u is Json => E.isRight(validate(u, [])),
  validate,
  (a) => a,
)
