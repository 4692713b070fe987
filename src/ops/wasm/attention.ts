import type { AttentionAttrs } from '../attrs.ts'
import { keyOf } from '../draws.ts'
import type { tf, TfKernel } from '../tf.ts'
import { parallel, produce, wasmKernels, withMemory } from './index.ts'
import { scoresBytes, writeScores } from './scores.ts'
import { tileRows } from './tiles.ts'

/** Attention without ever all of its scores. @internal */
export const attentionWasm: TfKernel<AttentionAttrs> = ({ attrs, output }, q, k, v, ...rest) =>
  produce('attention', [q, k, v, ...rest], output, (out, ...at) =>
    withScores(attrs, [q, k, v, ...rest], at, 1, ({ scores, heads, cost, block, workOf }) =>
      parallel('attention', heads, cost, (first, count) => [first, count, scores, out, block, workOf(first)]),
    ),
  )

/** Its gradients, whole groups of heads to each thread: the heads of a group add up to the slopes of its keys. @internal */
export const attentionSlopeWasm: TfKernel<AttentionAttrs> = ({ attrs, output }, q, k, v, read, dy, ...rest) =>
  produce('attentionSlope', [q, k, v, ...rest, read, dy], output, (out, ...at) => {
    const [readAt = 0, dyAt = 0] = at.slice(-2)
    const [atK, atV] = [out + 4 * q.size, out + 4 * (q.size + k.size)]
    withScores(attrs, [q, k, v, ...rest], at, 3, ({ scores, heads, groups, cost, block, workOf }) =>
      parallel('attentionSlope', groups, ((2.5 * heads) / groups) * cost, (first, count) => [
        first,
        count,
        scores,
        readAt,
        dyAt,
        out,
        atK,
        atV,
        block,
        workOf(first),
      ]),
    )
  })

interface Call {
  readonly scores: number
  /** Heads and groups through the whole batch, and what a head costs. */
  readonly heads: number
  readonly groups: number
  readonly cost: number
  readonly block: number
  /** Room for the blocks of scores of the part of the work that begins there. */
  readonly workOf: (first: number) => number
}

const withScores = (
  attrs: AttentionAttrs,
  [q, k, v, ...rest]: readonly tf.Tensor[],
  [qAt, kAt, vAt, ...restAt]: readonly number[],
  blocks: number,
  run: (call: Call) => void,
): void => {
  const [batch, heads, queries, width] = q!.shape as [number, number, number, number]
  const [, groups, keys] = k!.shape as [number, number, number]
  const depth = v!.shape[3]!
  const mask = attrs.masked ? rest[0]! : undefined
  const key = attrs.rate > 0 ? keyOf(attrs, attrs.seeded ? rest.at(-1)!.dataSync<'int32'>() : undefined) : attrs
  const block = Math.min(queries, Math.max(1, Math.floor(mostScores / keys / tileRows)) * tileRows)
  const bytes = 4 * blocks * block * keys
  withMemory('attention', scoresBytes + bytes * (wasmKernels().helpers.length + 1), (scores, heap) => {
    writeScores(heap, scores, {
      sizes: [heads, groups, queries, keys, width, depth],
      at: [qAt!, kAt!, vAt!],
      mask:
        mask === undefined
          ? undefined
          : { shape: mask.shape, dtype: mask.dtype, at: restAt[0]!, of: [batch, heads, queries, keys] },
      drop: { ...key, rate: attrs.rate },
      scale: attrs.scale,
      cap: attrs.cap,
    })
    const parts: number[] = []
    // By where a part begins, since it may be asked for twice: for a thread, and again when that does not begin in time.
    const workOf = (first: number): number => {
      if (!parts.includes(first)) parts.push(first)
      return scores + scoresBytes + bytes * parts.indexOf(first)
    }
    run({
      scores,
      heads: batch * heads,
      groups: batch * groups,
      cost: queries * keys * (width + depth + 20),
      block,
      workOf,
    })
  })
}

/** Scores that are there at the same time, so that they stay in the L2 cache. */
const mostScores = 65_536
