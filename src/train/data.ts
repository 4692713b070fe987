import { permutation, tensor } from '../ops/index.ts'
import { fail } from '../tree/error.ts'
import type { Key } from '../tree/key.ts'
import type { Tensor } from '../tree/tensor.ts'
import { isCount, requireSetting } from './schedule.ts'

/** How data is parted into batches. */
export interface BatchOptions {
  /** Examples in a batch. */
  readonly size: number
  /** Shuffles the data; without it the order stays. */
  readonly key?: Key
  /** Leaves out the last batch if it is smaller; false by default. */
  readonly dropLast?: boolean
}

/**
 * Parts data into batches of `size` examples, in an order drawn from the key. Errors: `InvalidSetting`.
 *
 * @example
 * ```ts
 * import { batches, key } from 'espalier'
 *
 * batches(['a', 'b', 'c'], { size: 2 }) // => [['a', 'b'], ['c']]
 * batches([1, 2, 3, 4, 5], { size: 2, key: key(0), dropLast: true }).flat().length // => 4
 * ```
 */
export const batches = <T>(
  data: readonly T[],
  { size, key, dropLast = false }: BatchOptions,
): readonly (readonly T[])[] => {
  requireSetting('batches.size', size, isCount(size) && size > 0, 'a whole number > 0')
  const order = key === undefined ? data : Array.from(permutation(key, data.length), (i) => data[i]!)
  const count = dropLast ? Math.floor(order.length / size) : Math.ceil(order.length / size)
  return Array.from({ length: count }, (_, i) => order.slice(i * size, (i + 1) * size))
}

/** How long sequences become. */
export interface PadOptions {
  /** What fills the rest of a row; 0 by default. */
  readonly pad?: number
  /** The length of every row; that of the longest sequence by default. */
  readonly length?: number
  /** Rounds the length of the longest sequence up to a multiple of this: a graph is for one length; 1 by default. */
  readonly multipleOf?: number
  /** What rounding up must not exceed, such as the longest text that the model has positions for; no limit by default. */
  readonly limit?: number
  /** Which part of a sequence beyond `length` stays; without it, one that is too long is an error. */
  readonly keep?: 'first' | 'last'
}

/**
 * Makes sequences equally long by filling them up on the right. Errors: `SequenceTooLong`, `InvalidSetting`.
 *
 * @example
 * ```ts
 * import { padTo } from 'espalier'
 *
 * padTo([[1, 2, 3], [4]]) // => [[1, 2, 3], [4, 0, 0]]
 * padTo([[1, 2, 3]], { length: 2, keep: 'last' }) // => [[2, 3]]
 * padTo([[1, 2, 3]], { multipleOf: 4 }) // => [[1, 2, 3, 0]]
 * ```
 */
export const padTo = (
  sequences: readonly (readonly number[])[],
  {
    pad = 0,
    multipleOf = 1,
    limit = Infinity,
    length = rounded(longest(sequences), multipleOf, limit),
    keep,
  }: PadOptions = {},
): readonly (readonly number[])[] => {
  requireSetting('padTo.multipleOf', multipleOf, isCount(multipleOf) && multipleOf > 0, 'a whole number > 0')
  requireSetting('padTo.length', length, isCount(length), 'a whole number >= 0')
  return sequences.map((sequence, i) => {
    if (sequence.length > length && keep === undefined) tooLong(i, sequence.length, length)
    const kept = keep === 'last' ? sequence.slice(Math.max(0, sequence.length - length)) : sequence.slice(0, length)
    return [...kept, ...Array<number>(length - kept.length).fill(pad)]
  })
}

/** A sequence of token ids, and what is to be predicted of it. */
export interface Example {
  readonly ids: readonly number[]
  /** Beside `ids`, -100 where nothing is to be learnt; the ids themselves by default. */
  readonly labels?: readonly number[]
}

/** Sequences of token ids as tensors, each [batch, length]. */
export interface TokenBatch {
  /** int32. */
  readonly ids: Tensor
  /** float32: 1 for a token, 0 for filling. */
  readonly mask: Tensor
  /** int32: -100 where there is filling, and where the example says so. */
  readonly labels: Tensor
}

/**
 * Puts examples of different lengths into one batch, filled up on the right: ids, mask and labels.
 *
 * Errors: `EmptySequence`, `LabelsMismatch` where labels are not as many as ids, `SequenceTooLong`, `InvalidElement`.
 *
 * @example
 * ```ts
 * import { collateTokens } from 'espalier'
 * import { toArray } from 'espalier/ops'
 *
 * const { ids, mask, labels } = collateTokens([{ ids: [5, 6, 7], labels: [-100, -100, 7] }, { ids: [8] }])
 * toArray(ids) // => [[5, 6, 7], [8, 0, 0]]
 * toArray(mask) // => [[1, 1, 1], [1, 0, 0]]
 * toArray(labels) // => [[-100, -100, 7], [8, -100, -100]]
 * ```
 */
export const collateTokens = (examples: readonly Example[], options: PadOptions = {}): TokenBatch => {
  examples.forEach(checkExample)
  const ids = padTo(
    examples.map((example) => example.ids),
    options,
  )
  const filled = { ...options, length: ids[0]?.length ?? 0 }
  const beside = (rows: readonly (readonly number[])[], pad: number): Tensor =>
    tensor(padTo(rows, { ...filled, pad }).flat(), [rows.length, filled.length], 'int32')
  return {
    ids: tensor(ids.flat(), [ids.length, filled.length], 'int32'),
    mask: tensor(
      padTo(
        examples.map((example) => example.ids.map(() => 1)),
        { ...filled, pad: 0 },
      ).flat(),
      [ids.length, filled.length],
    ),
    labels: beside(
      examples.map((example) => example.labels ?? example.ids),
      -100,
    ),
  }
}

const rounded = (length: number, multipleOf: number, limit: number): number =>
  Math.max(length, Math.min(limit, Math.ceil(length / multipleOf) * multipleOf))

const longest = (sequences: readonly (readonly number[])[]): number =>
  sequences.reduce((most, { length }) => Math.max(most, length), 0)

const tooLong = (index: number, found: number, length: number): never =>
  fail({
    _tag: 'SequenceTooLong',
    path: String(index),
    expected: `at most ${length} tokens`,
    found: String(found),
    hint: "Say which part stays: { keep: 'first' } or { keep: 'last' }.",
  })

const checkExample = ({ ids, labels = ids }: Example, index: number): void => {
  if (ids.length === 0)
    fail({
      _tag: 'EmptySequence',
      path: String(index),
      expected: 'at least one token',
      found: 'none',
      hint: 'Leave the example out: there is nothing to attend to.',
    })
  if (labels.length !== ids.length)
    fail({
      _tag: 'LabelsMismatch',
      path: String(index),
      expected: `a label for each of the ${ids.length} tokens`,
      found: String(labels.length),
      hint: 'Labels lie beside the ids, -100 where nothing is to be learnt; the loss shifts them.',
    })
}
