import { fail } from '../tree/error.ts'
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

/** So many of the likeliest tokens that are not ruled out, likeliest first, ties by id. */
const likeliest = (logits: Float64Array, count: number): number[] => {
  let best: number[] = []
  const cut = (): number[] => best.toSorted((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b).slice(0, count)
  // Few tokens of a large vocabulary are above what so many others are: the rest is never sorted.
  let least = -Infinity
  logits.forEach((logit, id) => {
    if (logit <= least) return
    best.push(id)
    if (best.length < 2 * count) return
    best = cut()
    least = logits[best[count - 1] ?? 0] ?? 0
  })
  return cut()
}

/** A number in [0, 1) of a key. */
const unit = (k: Key): number => {
  const [high = 0, low = 0] = words(k, 2)
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) * 2 ** -53
}

/** The tokens that may be drawn, likeliest first, and their weights. */
const candidates = (
  logits: Float64Array,
  temperature: number,
  { topK = logits.length, topP = 1 }: Sampling,
): readonly (readonly [number, number])[] => {
  const kept = likeliest(logits, topK)
  const highest = logits[kept[0] ?? 0] ?? 0
  const weights = kept.map((id): readonly [number, number] => [
    id,
    Math.exp(((logits[id] ?? 0) - highest) / temperature),
  ])
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0)
  let before = 0
  return weights.filter(([, weight], i) => {
    const isNeeded = i === 0 || before < topP * total
    before += weight
    return isNeeded
  })
}

/** The first of the likeliest tokens. */
const highestOf = (logits: Float32Array | Float64Array): number => {
  let [best, highest] = [0, -Infinity]
  // A loop on plain numbers: it goes over a whole vocabulary for each token.
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!
    if (logit > highest) {
      best = id
      highest = logit
    } else if (Number.isNaN(logit)) {
      highest = logit
      break
    }
  }
  // A token may be ruled out by -Infinity, but then another one is not.
  if (!Number.isFinite(highest))
    fail({
      _tag: 'NonFinite',
      path: 'logits',
      expected: 'logits whose highest is finite',
      found: String(highest),
      hint: 'The model gives no numbers: look for NaN in its weights, and whether its training diverged.',
    })
  return best
}

/**
 * The next token of a row of logits, drawn by a key; the same key draws the same token on every engine.
 *
 * Throws `NonFinite` for logits of which one is NaN or Infinity, or all are -Infinity.
 */
export const sample = (
  row: Float32Array,
  { temperature = 0, repetitionPenalty = 1, ...sampling }: Sampling,
  seen: Iterable<number>,
  key: Key,
): number => {
  if (temperature === 0 && repetitionPenalty === 1) return highestOf(row)
  const logits = new Float64Array(row)
  if (repetitionPenalty !== 1) penalised(logits, seen, repetitionPenalty)
  const best = highestOf(logits)
  if (temperature === 0) return best
  const all = candidates(logits, temperature, sampling)
  const total = all.reduce((sum, [, weight]) => sum + weight, 0)
  let left = unit(fold(key, 'sample')) * total
  for (const [id, weight] of all) {
    left -= weight
    if (left < 0) return id
  }
  return all.at(-1)?.[0] ?? 0
}
