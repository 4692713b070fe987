import { droppedBelow } from '../draws.ts'
import { broadcastStrides, type Shape } from '../shape-rules.ts'

/** What `Scores` of kernels/scores.ts holds. @internal */
export interface Scores {
  readonly sizes: readonly [heads: number, groups: number, queries: number, keys: number, width: number, depth: number]
  readonly at: readonly [q: number, k: number, v: number]
  /** A mask broadcasts to the shape it is a mask of, [batch, heads, queries, keys]. */
  readonly mask: { readonly shape: Shape; readonly dtype: string; readonly at: number; readonly of: Shape } | undefined
  readonly drop: { readonly hi: number; readonly lo: number; readonly rate: number }
  readonly scale: number
  readonly cap: number
}

const wholes = 18
const fractions = 3

/** @internal */
export const scoresBytes = 4 * (wholes + fractions)

/** Writes it for the kernels, in their order. @internal */
export const writeScores = ({ buffer }: Uint8Array, address: number, scores: Scores): void => {
  const { sizes, at, mask, drop, scale, cap } = scores
  const maskWords = mask === undefined ? [0, 0] : [mask.at, kinds[mask.dtype as keyof typeof kinds]]
  const strides = mask === undefined ? [0, 0, 0, 0] : broadcastStrides(mask.shape, mask.of)
  const words = [...sizes, ...at, ...maskWords, ...strides, drop.hi, drop.lo, droppedBelow(drop.rate)]
  new Int32Array(buffer, address, wholes).set(words)
  new Float32Array(buffer, address + 4 * wholes, fractions).set([1 / (1 - drop.rate), scale, cap])
}

const kinds = { bool: 1, int32: 2, float32: 3 } as const
