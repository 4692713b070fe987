import * as t from 'io-ts'
import { PositiveWhole } from '../kind/number-codecs.ts'
import { lokrKinds } from '../weight/index.ts'
import type { Targeted } from '../tree/types/step.ts'
import { weightMethod } from './attach.ts'
import type { Sized } from './weight-places.ts'
import { lowRankDefaults, lowRankOptions } from './loha.ts'
import type { LohaOptions } from './loha.ts'
import { may } from './options.ts'

/** How LoKr is put on. */
export interface LokrOptions extends LohaOptions {
  /** Whether w1 too may be made of two thin factors, by default not. */
  readonly decomposeBoth?: boolean
  /** The sides of w1: this where it divides a side of the weight, else the largest divisor below; by default up to the square root. */
  readonly decomposeFactor?: number
}

/** A length as a product of two, the smaller first: the most even that divides, or as `most` says. */
export const factors = (length: number, most?: number): readonly [number, number] => {
  if (most !== undefined && length % most === 0) return [most, length / most]
  const limit = Math.min(Math.floor(Math.sqrt(length)), most ?? length)
  for (let m = limit; m > 1; m -= 1) if (length % m === 0) return [m, length / m]
  return [1, length]
}

interface Shapes {
  readonly in1: number
  readonly in2: number
  readonly out1: number
  readonly out2: number
}

const shapesOf = ({ decomposeFactor }: LokrOptions, { rows, columns }: Sized): Shapes => {
  const [[in1, in2], [out1, out2]] = [factors(rows, decomposeFactor), factors(columns, decomposeFactor)]
  return { in1, in2, out1, out2 }
}

/**
 * Adds a Kronecker product of two small matrices: W becomes W + s·(w1 ⊗ w2), where w2 is made of two thin factors if that is smaller.
 *
 * Each side of a weight is split as evenly as it divides, so that 768×768 has a w1 of 24×24 and a w2 of 32×32. A fresh one
 * changes nothing, for w1 (or w1b) is zero.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `TiedWeight`, `BadDimension`, `BadOption`, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, key, lokr, pipe, sllm } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * // Two of 128×128: w1 8×8, and w2 as 16×2 times 2×16.
 * count(pipe(base, freeze, lokr({ at: '**.ln_1', rank: 2, key: key(1) }))).trainable // => 256
 * ```
 * @source Yeh et al. 2024, "Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation", §3.2.
 */
export const lokr: Targeted<LokrOptions, 'lokr'> = weightMethod<
  LokrOptions,
  'lokr',
  keyof typeof lowRankDefaults | 'decomposeBoth'
>('lokr', {
  kind: lokrKinds.LokrFullLow,
  kindAt: ({ rank, decomposeBoth, ...options }, place) => {
    const { in1, in2, out1, out2 } = shapesOf(options, place)
    const low1 = decomposeBoth && rank < Math.max(in1, out1) / 2
    const low2 = rank < Math.max(in2, out2) / 2
    return lokrKinds[`Lokr${low1 ? 'Low' : 'Full'}${low2 ? 'Low' : 'Full'}`]
  },
  options: { ...lowRankOptions, decomposeBoth: may(t.boolean), decomposeFactor: may(PositiveWhole) },
  defaults: { ...lowRankDefaults, decomposeBoth: false },
  dims: ({ rank, ...options }, place) => ({ rank, ...shapesOf(options, place) }),
  given: ({ rank, alpha, scaling }) => ({ rank, alpha, scaling }),
})
