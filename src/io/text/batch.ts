import { tensor } from '../../ops/index.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { fill, ownTokens } from './frame.ts'
import type { Frame, Framed } from './frame.ts'
import { reject } from '../issues.ts'
import type { Side, SpecialTokens } from './tokenizer-files.ts'

/** How texts become rows of one length. */
export interface BatchOptions {
  /** Where padding goes; where the tokenizer's files say if left out, and `'none'` refuses rows of different lengths. */
  readonly pad?: Side | 'none'
  /** The length of the rows; that of the longest if left out. */
  readonly to?: 'longest' | number
  /** The most tokens a row may have, or `true` for `to`, or for the longest that the model takes. */
  readonly truncate?: number | true
  /** Whether to put the tokens around a text that the model was trained with; `true` if left out. */
  readonly special?: boolean
  /** A second text for each, for models that compare two. */
  readonly pairs?: readonly string[]
}

/** What a model is given for several texts: all int32 [batch, tokens]. */
export interface Batch {
  readonly ids: Tensor
  /** 1 for a token, 0 for padding. */
  readonly mask: Tensor
  /** The segment of each token: 0, and 1 in the second text of a pair where the tokenizer tells them apart. */
  readonly types: Tensor
}

/** What a batch has to know of a tokenizer. */
export interface Batcher {
  readonly encode: (text: string) => readonly number[]
  readonly frame: Frame
  readonly special: SpecialTokens
  readonly maxLength?: number | undefined
  readonly paddingSide: Side
  readonly truncationSide: Side
}

const limitOf = ({ to, truncate }: BatchOptions, maxLength: number | undefined): number => {
  if (truncate === undefined) return Infinity
  if (truncate !== true) return truncate
  if (typeof to === 'number') return to
  return (
    maxLength ??
    reject('NoLength', 'truncate', 'a number', 'true', 'The tokenizer names no greatest length; give it as a number.')
  )
}

/** How much of each text stays so that both together have at most `room` tokens: the longer one gives first. */
const shares = (lengths: readonly number[], room: number): readonly number[] => {
  const [a = 0, b] = lengths
  if (b === undefined) return [Math.min(a, room)]
  if (a + b <= room) return lengths
  const shorter = Math.min(a, b)
  const longer = shorter > room ? shorter : Math.max(shorter, room - shorter)
  const half = Math.floor(room / 2)
  const [few, many] = shorter + longer > room ? [half, room - half] : [shorter, longer]
  return a > b ? [many, few] : [few, many]
}

const cut = (ids: readonly number[], length: number, side: Side): readonly number[] =>
  side === 'right' ? ids.slice(0, length) : ids.slice(ids.length - length)

const padded = (values: readonly number[], width: number, side: Side, value: number): readonly number[] => {
  const more = Array.from({ length: width - values.length }, () => value)
  return side === 'right' ? [...values, ...more] : [...more, ...values]
}

const check = (name: string, length: number, least: number): void => {
  if (length !== Infinity && !(Number.isSafeInteger(length) && length >= least))
    reject('BadLength', name, `a whole number >= ${least}`, String(length), 'Lengths are counted in tokens.')
}

const rowsOf = (tokenizer: Batcher, texts: readonly string[], options: BatchOptions): readonly Framed[] => {
  const { special = true, pairs } = options
  if (pairs !== undefined && pairs.length !== texts.length)
    reject('WrongSize', 'pairs', `${texts.length} texts`, `${pairs.length}`, 'Give one second text for each first one.')
  const frames = special ? tokenizer.frame : tokenizer.frame.bare
  const slots = pairs === undefined ? frames.single : frames.pair
  const own = ownTokens(slots)
  const limit = limitOf(options, tokenizer.maxLength)
  check('truncate', limit, Math.max(1, own))
  return texts.map((text, i) => {
    const parts = [text, ...(pairs === undefined ? [] : [pairs[i]!])].map(tokenizer.encode)
    const keep = shares(
      parts.map((ids) => ids.length),
      limit - own,
    )
    return fill(
      slots,
      parts.map((ids, k) => cut(ids, keep[k]!, tokenizer.truncationSide)),
    )
  })
}

/** Rows of numbers as one tensor int32 [rows, width], the shorter ones filled up on a side. */
export const tableOf = (rows: readonly (readonly number[])[], width: number, side: Side, value: number): Tensor =>
  tensor(Int32Array.from(rows.flatMap((row) => padded(row, width, side, value))), [rows.length, width], 'int32')

/** Texts as one batch. Throws `EmptyBatch`, `WrongSize`, `BadLength`, `NoLength`, `NoPadToken`, `RaggedData`, `TooLong`. */
export const batchOf = (tokenizer: Batcher, texts: readonly string[], options: BatchOptions = {}): Batch => {
  const { to = 'longest', pad = tokenizer.paddingSide } = options
  if (texts.length === 0)
    reject('EmptyBatch', 'texts', 'at least one text', 'none', 'There is nothing to make rows of.')
  const rows = rowsOf(tokenizer, texts, options)
  const longest = rows.reduce((most, { ids }) => Math.max(most, ids.length), 0)
  const width = to === 'longest' ? longest : to
  check('to', width, 0)
  if (width < longest)
    reject('TooLong', 'to', `rows of ${width} tokens`, `one of ${longest}`, 'Set truncate: true to cut longer texts.')
  const isRagged = rows.some(({ ids }) => ids.length < width)
  if (isRagged && pad === 'none')
    reject('RaggedData', 'texts', `rows of ${width} tokens`, 'shorter ones', "Set pad to 'left' or 'right'.")
  if (isRagged && tokenizer.special.pad === undefined)
    reject(
      'NoPadToken',
      'special.pad',
      'a token for padding',
      'none',
      'Load the tokenizer with { pad: token }, the end-of-text token for instance; the mask tells padding from text.',
    )
  const side = pad === 'left' ? 'left' : 'right'
  const table = (values: (row: Framed) => readonly number[], value: number): Tensor =>
    tableOf(rows.map(values), width, side, value)
  return {
    ids: table(({ ids }) => ids, tokenizer.special.pad?.id ?? 0),
    mask: table(({ ids }) => ids.map(() => 1), 0),
    types: table(({ types }) => types, 0),
  }
}
