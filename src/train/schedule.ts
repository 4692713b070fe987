import { add, cast, cos, less, minimum, mul, scalar, where } from '../ops/index.ts'
import { fail } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'

/**
 * The rate of an update by how many came before it: an int32 scalar in, a float32 scalar out.
 *
 * It is written in ops, so that a compiled step follows it.
 */
export type Schedule = (count: Tensor) => Tensor

/**
 * The same rate at every update. Errors: `InvalidSetting` unless it is finite.
 *
 * @example
 * ```ts
 * import { constantRate } from 'espalier'
 * import { item, scalar } from 'espalier/ops'
 *
 * item(constantRate(0.5)(scalar(7, 'int32'))) // => 0.5
 * ```
 */
export const constantRate = (rate: number): Schedule => {
  requireSetting('constantRate.rate', rate, Number.isFinite(rate), 'a finite number')
  return () => scalar(rate)
}

/** From one rate to another, in so many updates. */
export interface LinearOptions {
  readonly from: number
  readonly to: number
  /** Updates until `to` is reached; it stays there. */
  readonly steps: number
}

/**
 * A rate that moves evenly from one value to another and stays there. Errors: `InvalidSetting`.
 *
 * @example
 * ```ts
 * import { linearRate } from 'espalier'
 * import { item, scalar } from 'espalier/ops'
 *
 * const rate = linearRate({ from: 1, to: 0, steps: 4 })
 * item(rate(scalar(1, 'int32'))) // => 0.75
 * item(rate(scalar(9, 'int32'))) // => 0
 * ```
 */
export const linearRate = ({ from, to, steps }: LinearOptions): Schedule => {
  requireSetting('linearRate.from', from, Number.isFinite(from), 'a finite number')
  requireSetting('linearRate.to', to, Number.isFinite(to), 'a finite number')
  requireSetting('linearRate.steps', steps, isCount(steps) && steps > 0, 'a whole number > 0')
  return (count) => add(mul(progress(count, 0, steps), to - from), from)
}

/** A rise to a peak, then a fall. */
export interface WarmupOptions {
  /** The highest rate, reached after the warm-up. */
  readonly peak: number
  /** Updates from rate 0 to the peak; 0 starts at the peak. */
  readonly warmup: number
  /** Updates in all, warm-up included. */
  readonly total: number
  /** The rate at the end and ever after; 0 by default. */
  readonly end?: number
}

/**
 * Warm-up, then a straight fall: rate 0 for the first update, the peak after `warmup`, `end` after `total`.
 *
 * Errors: `InvalidSetting`.
 *
 * @source Devlin et al. 2019, "BERT", appendix A.2.
 * @example
 * ```ts
 * import { warmupLinear } from 'espalier'
 * import { item, scalar } from 'espalier/ops'
 *
 * const rate = warmupLinear({ peak: 1, warmup: 2, total: 6 })
 * ;[0, 1, 2, 4, 6].map((n) => item(rate(scalar(n, 'int32')))) // => [0, 0.5, 1, 0.5, 0]
 * ```
 */
export const warmupLinear = (options: WarmupOptions): Schedule => warmUp('warmupLinear', options, (done) => done)

/**
 * Warm-up, then half a cosine: rate 0 for the first update, the peak after `warmup`, `end` after `total`.
 *
 * Errors: `InvalidSetting`.
 *
 * @source Loshchilov & Hutter 2017, "SGDR", §3, eq. 5, without restarts.
 * @example
 * ```ts
 * import { warmupCosine } from 'espalier'
 * import { item, scalar } from 'espalier/ops'
 *
 * const rate = warmupCosine({ peak: 1, warmup: 2, total: 6 })
 * ;[0, 1, 2, 6].map((n) => item(rate(scalar(n, 'int32')))) // => [0, 0.5, 1, 0]
 * ```
 */
export const warmupCosine = (options: WarmupOptions): Schedule =>
  warmUp('warmupCosine', options, (done) => add(mul(cos(mul(done, Math.PI)), -0.5), 0.5))

/** `fallen` turns the share of the way down that lies behind into the share of the fall. */
const warmUp = (
  name: string,
  { peak, warmup, total, end = 0 }: WarmupOptions,
  fallen: (done: Tensor) => Tensor,
): Schedule => {
  requireSetting(`${name}.peak`, peak, Number.isFinite(peak), 'a finite number')
  requireSetting(`${name}.end`, end, Number.isFinite(end), 'a finite number')
  requireSetting(`${name}.warmup`, warmup, isCount(warmup), 'a whole number >= 0')
  requireSetting(`${name}.total`, total, isCount(total) && total > warmup, 'a whole number above warmup')
  return (count) => {
    const falling = add(mul(fallen(progress(count, warmup, total)), end - peak), peak)
    return warmup === 0 ? falling : where(less(count, warmup), mul(progress(count, 0, warmup), peak), falling)
  }
}

/** How much of the way from one count to another is done: 0 to 1. */
const progress = (count: Tensor, from: number, to: number): Tensor =>
  minimum(mul(add(cast(count, 'float32'), -from), 1 / (to - from)), 1)

/** Whole and not negative. @internal */
export const isCount = (x: number): boolean => Number.isSafeInteger(x) && x >= 0

/** Refuses a setting that is out of range. @internal */
export const requireSetting = (path: string, value: unknown, fits: boolean, expected: string): void => {
  if (!fits)
    fail({
      _tag: 'InvalidSetting',
      path,
      expected,
      found: String(value),
      hint: 'Nothing was trained.',
    })
}
