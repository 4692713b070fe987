import { fold, words } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'

/** How the next token is chosen. */
export interface Sampling {
  /** What logits are divided by; 0, the default, takes the likeliest token always. */
  readonly temperature?: number
  /** Only this many of the likeliest tokens may be drawn. */
  readonly topK?: number
  /** Only the fewest likeliest tokens that together have this probability may be drawn. */
  readonly topP?: number
  /** Above 1, tokens that stand in the text already become less likely. */
  readonly repetitionPenalty?: number
}

// As transformers has it: what is likely is divided, what is unlikely multiplied.
const penalised = (logits: Float64Array, seen: Iterable<number>, penalty: number): void => {
  for (const id of new Set(seen)) {
    const logit = logits[id] ?? 0
    logits[id] = logit < 0 ? logit * penalty : logit / penalty
  }
}

const likeliest = (logits: Float64Array): number =>
  logits.reduce((best, x, i) => (x > (logits[best] ?? 0) ? i : best), 0)

/** A number in [0, 1) of a key. */
const unit = (k: Key): number => {
  const [high = 0, low = 0] = words(k, 2)
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) * 2 ** -53
}

/** The tokens that may be drawn, likeliest first, ties by id, and their weights. */
const candidates = (logits: Float64Array, { topK, topP = 1 }: Sampling): readonly (readonly [number, number])[] => {
  const order = Array.from(logits.keys()).toSorted((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b)
  const kept = order.slice(0, topK ?? order.length)
  const highest = logits[kept[0] ?? 0] ?? 0
  const weights = kept.map((id): readonly [number, number] => [id, Math.exp((logits[id] ?? 0) - highest)])
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0)
  let before = 0
  return weights.filter(([, weight], i) => {
    const isNeeded = i === 0 || before < topP * total
    before += weight
    return isNeeded
  })
}

/** The next token of a row of logits, drawn by a key; the same key draws the same token on every engine. */
export const sample = (
  row: Float32Array,
  { temperature = 0, repetitionPenalty = 1, ...sampling }: Sampling,
  seen: Iterable<number>,
  key: Key,
): number => {
  const logits = Float64Array.from(row)
  if (repetitionPenalty !== 1) penalised(logits, seen, repetitionPenalty)
  if (temperature === 0) return likeliest(logits)
  const all = candidates(
    logits.map((x) => x / temperature),
    sampling,
  )
  const total = all.reduce((sum, [, weight]) => sum + weight, 0)
  let left = unit(fold(key, 'sample')) * total
  for (const [id, weight] of all) {
    left -= weight
    if (left < 0) return id
  }
  return all.at(-1)?.[0] ?? 0
}
