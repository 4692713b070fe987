import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import { words } from '../../tree/key.ts'
import type { AttentionAttrs } from '../attrs.ts'
import { float } from '../native/custom.ts'
import type { Array_, OwnNode } from '../op.ts'
import { softCap } from './activation.ts'
import { reshape } from './broadcast.ts'
import { drawAttrs, isKept, keyOf } from '../draws.ts'
import { dropout, requireSeed } from './dropout.ts'
import { mul } from './elementwise.ts'
import { matmul } from './matmul.ts'
import { broadcastStrides, describe, mismatch, requireFloat, type Shape, sizeOf, walk } from '../shape-rules.ts'
import { softmax } from './softmax.ts'

/** The inputs that may follow the others: a mask, then a seed. @internal */
export const extras = <T>(
  { masked, seeded }: AttentionAttrs,
  rest: readonly T[],
): readonly [mask: T | undefined, seed: T | undefined] => [
  masked ? rest[0] : undefined,
  seeded ? rest[masked ? 1 : 0] : undefined,
]

/** The shape of the scores. @internal */
export const scoresOf = (q: { readonly shape: Shape }, k: { readonly shape: Shape }): Shape => [
  ...q.shape.slice(0, 3),
  k.shape[2]!,
]

/** Throws unless these can attend to each other. @internal */
export const checkAttention = (
  name: string,
  attrs: AttentionAttrs,
  q: TensorSpec,
  k: TensorSpec,
  v: TensorSpec,
  rest: readonly TensorSpec[],
): void => {
  for (const [what, spec] of Object.entries({ q, k, v })) requireFloat(name, what, spec)
  const [batch, heads, , width] = q.shape
  const groups = k.shape[1]!
  const fits =
    [q, k, v].every(({ shape }) => shape.length === 4) &&
    [k, v].every(({ shape }) => shape[0] === batch && shape[1] === groups && shape[2] === k.shape[2]) &&
    k.shape[3] === width &&
    groups > 0 &&
    heads! % groups === 0
  if (!fits)
    mismatch(
      name,
      'q [batch, heads, queries, width], k [batch, groups, keys, width] and v [batch, groups, keys, …], groups dividing heads',
      `q ${describe(q)}, k ${describe(k)}, v ${describe(v)}`,
      'Split what is projected into heads first; each group of queries shares the keys and values of one head.',
    )
  const [mask, seed] = extras(attrs, rest)
  if (seed) requireSeed(name, seed)
  if (!mask) return
  const scores = scoresOf(q, k)
  const shift = scores.length - mask.shape.length
  if (shift >= 0 && mask.shape.every((length, axis) => length === 1 || length === scores[axis + shift])) return
  mismatch(
    name,
    `a mask that broadcasts to [${scores.join(', ')}]`,
    describe(mask),
    'Its axes are [batch, heads, queries, keys], from the last one; 1 serves a whole axis.',
  )
}

/** What one row of scores comes to, an element for each key. @internal */
export interface Row {
  /** Where the query lies in q, and its head's first key in k. */
  readonly query: number
  readonly key: number
  /** Its head's first value in v. */
  readonly value: number
  /** The softmax of the scores; all 0 where the mask hides every key. */
  readonly chances: Float64Array
  /** What dropout multiplies each chance by. */
  readonly kept: Float64Array
  /** The derivative of the capped score by the product of query and key. */
  readonly bends: Float64Array
}

/** Runs through the rows of scores in row-major order; a row holds until the next. @internal */
export const eachRow = (
  attrs: AttentionAttrs,
  [q, k, v]: readonly [Array_, Array_, Array_],
  rest: readonly Array_[],
  visit: (row: Row, index: number) => void,
): void => {
  const [mask, seed] = extras(attrs, rest)
  const shape = scoresOf(q, k)
  const [, heads, length, keys] = shape as [number, number, number, number]
  const [groups, width, depth] = [k.shape[1]!, q.shape[3]!, v.shape[3]!]
  const { scale, cap, rate } = attrs
  const seen = mask && walk(shape, broadcastStrides(mask.shape, shape))
  const random = rate > 0 ? words(keyOf(attrs, seed?.data), sizeOf(shape)) : undefined
  const [chances, kept, bends] = [new Float64Array(keys), new Float64Array(keys), new Float64Array(keys)]
  for (let index = 0; index < sizeOf(shape.slice(0, 3)); index++) {
    const head = Math.floor(index / length)
    const group = Math.floor(head / heads) * groups + Math.floor(((head % heads) * groups) / heads)
    const [query, key] = [index * width, group * keys * width]
    let highest = -Infinity
    for (let j = 0; j < keys; j++) {
      let product = 0
      for (let i = 0; i < width; i++) product += q.data[query + i]! * k.data[key + j * width + i]!
      const bent = cap === 0 ? 0 : Math.tanh((product * scale) / cap)
      const at = index * keys + j
      chances[j] = seen && mask.data[seen[at]!] === 0 ? -Infinity : cap === 0 ? product * scale : bent * cap
      bends[j] = scale * (1 - bent * bent)
      kept[j] = random === undefined ? 1 : isKept(random[at]!, rate) ? 1 / (1 - rate) : 0
      highest = Math.max(highest, chances[j]!)
    }
    let total = 0
    for (let j = 0; j < keys; j++) {
      chances[j] = highest === -Infinity ? 0 : Math.exp(chances[j]! - highest)
      total += chances[j]!
    }
    if (total > 0) for (let j = 0; j < keys; j++) chances[j]! /= total
    visit({ query, key, value: group * keys * depth, chances, kept, bends }, index)
  }
}

/** The node of ours of that name, which takes what is shown and the seed after `count` inputs. @internal */
export const attentionNode = (name: string, count: number): OwnNode<AttentionAttrs> => ({
  write: (to, inputs, attrs, output) => {
    const [mask, seed] = extras(attrs, inputs.slice(count))
    const { scale, cap, rate, masked, seeded } = attrs
    const drawn = rate === 0 ? { NS: 0 } : drawAttrs(attrs, seeded)
    const shown = mask === undefined ? [] : [to.cast(mask, 'float32')]
    const given = [...inputs.slice(0, count), ...shown, ...(rate === 0 || seed === undefined ? [] : [seed])]
    return to.node(name, given, { ...drawn, NM: masked ? 1 : 0, scale: float(scale), cap: float(cap) }, output)
  },
})

/** Attention in other ops. @internal */
export const unfusedAttention = (attrs: AttentionAttrs, q: Tensor, k: Tensor, v: Tensor, ...rest: Tensor[]): Tensor => {
  const [mask, seed] = extras(attrs, rest)
  const [batch = 0, heads = 0, length = 0, width = 0] = q.shape
  const [, groups = 1, keys = 0] = k.shape
  // The queries of a group lie one after the other, so that no key is copied for them.
  const rows = (heads / groups) * length
  const raw = matmul(reshape(q, [batch, groups, rows, width]), k, { transposeB: true })
  const scores = reshape(softCap(mul(raw, attrs.scale), attrs.cap), scoresOf(q, k))
  const chances = softmax(scores, mask === undefined ? {} : { mask })
  const { rate, hi, lo } = attrs
  const weights = rate === 0 ? chances : dropout(chances, { rate, key: { _tag: 'Key', hi, lo }, ...(seed && { seed }) })
  const read = matmul(reshape(weights, [batch, groups, rows, keys]), v)
  return reshape(read, [batch, heads, length, v.shape[3]!])
}
