import { adopt, read, words } from '../ops/index.ts'
import { fold } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { isParam, withValue } from '../tree/leaf.ts'
import type { Constant, Param } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { leafPlaces, leaves, mapLeaves } from '../tree/walk.ts'

/**
 * How numbers are drawn; zero is never among them.
 *
 * `dyadic`: k/16 with 1 ≤ |k| ≤ 16, of which sums of products are exact in float32 at the sizes the laws use.
 * `float`: magnitudes in [0.05, 1), which round.
 */
export type Style = 'dyadic' | 'float'

const dyadic = (word: number): number => ((1 + (word & 15)) / 16) * signOf(word)
const float = (word: number): number => (0.05 + 0.95 * ((word & 0xffffff) / 2 ** 24)) * signOf(word)
const signOf = (word: number): number => (word >>> 31 === 0 ? 1 : -1)

/** A tensor of numbers that are never zero, by the key alone. */
export const drawn = (key: Key, shape: readonly number[], style: Style): Tensor => {
  const size = shape.reduce((n, length) => n * length, 1)
  const from = style === 'dyadic' ? dyadic : float
  return adopt(Float32Array.from(words(key, size), from), shape)
}

/** Whole numbers in [0, below), int32, by the key alone. */
export const drawnIds = (key: Key, shape: readonly number[], below: number): Tensor => {
  const size = shape.reduce((n, length) => n * length, 1)
  return adopt(
    Int32Array.from(words(key, size), (word) => word % below),
    shape,
  )
}

/** How parameters are drawn anew. */
export interface PerturbOptions {
  readonly style?: Style
  /** Which parameters; by default all. */
  readonly only?: (leaf: Param) => boolean
}

/**
 * The model with its parameters drawn anew and none of them zero, so that no law passes because a B was left at zero.
 *
 * Ties stay ties; structure, labels, status and plain data stay as they are.
 *
 * @example
 * ```ts
 * import { key, lora, sllm, get } from 'espalier'
 * import { read } from 'espalier/ops'
 * import { perturbed } from 'espalier/laws'
 * const tuned = lora({ at: '**.ln_1', rank: 2 })(sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0)))
 * read(perturbed(tuned, key(1)).transformer_blocks[0]!.mlp.ln_1.weight.b.value).includes(0) // => false
 * ```
 */
export const perturbed = <M>(model: M, key: Key, { style = 'dyadic', only = () => true }: PerturbOptions = {}): M =>
  mapLeaves(model, (leaf) =>
    isParam(leaf) && only(leaf) ? withValue(leaf, drawn(fold(key, leaf.label), leaf.value.shape, style)) : leaf,
  ) as M

/** The leaves of one tree whose labels the other has not: what a transform has added. */
export const addedLeaves = (before: unknown, after: unknown): readonly (Param | Constant)[] => {
  const known = new Set(leaves(before).map((leaf) => leaf.label))
  return leaves(after).filter((leaf) => !known.has(leaf.label))
}

/** The model with only those parameters drawn anew that another has not. */
export const perturbedBeyond = (before: unknown, after: unknown, key: Key, style: Style): unknown => {
  const added = new Set<unknown>(addedLeaves(before, after))
  return perturbed(after, key, { style, only: (leaf) => added.has(leaf) })
}

/** A digest of a tensor's shape, dtype and every bit of its elements. */
export const digestOf = (t: Tensor): string => {
  const data = read(t)
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  let [a, b] = [0x811c9dc5, 0x01000193]
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193)
    b = Math.imul(b + byte, 0x85ebca6b) ^ (b >>> 13)
  }
  return `${t.dtype}[${t.shape.join()}]:${(a >>> 0).toString(16)}${(b >>> 0).toString(16)}`
}

/** The digest of each leaf's value, by path. */
export const digests = (tree: unknown): ReadonlyMap<string, string> =>
  new Map(leafPlaces(tree).map((p) => [p.route.join('.'), digestOf(p.node.value)]))

/** Where two tensors differ by more than a tolerance, in words; undefined where they do not. −0 equals 0. */
export const difference = (a: Tensor, b: Tensor, tolerance = 0): string | undefined => {
  if (a.shape.join() !== b.shape.join() || a.dtype !== b.dtype)
    return `${a.dtype} [${a.shape.join(', ')}] became ${b.dtype} [${b.shape.join(', ')}]`
  const [x, y] = [[...read(a)], read(b)]
  const largest = x.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
  const allowed = tolerance === 0 ? 0 : tolerance * Math.max(1, largest)
  const at = x.findIndex((v, i) => !within(v, y[i] ?? Number.NaN, allowed))
  return at < 0 ? undefined : `at [${indexOf(at, a.shape).join(', ')}]: ${x[at]} became ${y[at]}`
}

const within = (a: number, b: number, allowed: number): boolean =>
  a === b || (Number.isNaN(a) && Number.isNaN(b)) || Math.abs(a - b) <= allowed

const indexOf = (flat: number, shape: readonly number[]): readonly number[] => {
  const index: number[] = []
  let rest = flat
  for (const length of shape.toReversed()) {
    index.unshift(rest % length)
    rest = Math.floor(rest / length)
  }
  return index
}

/** The tensor as rows of plain numbers. */
export const rowsOf = (t: Tensor): readonly (readonly number[])[] => {
  const width = t.shape.at(-1) ?? 1
  const data = [...read(t)]
  return Array.from({ length: width === 0 ? 0 : data.length / width }, (_, i) => data.slice(i * width, (i + 1) * width))
}
