import { Finite } from '../kind/number-codecs.ts'
import { full } from '../ops/index.ts'
import { VeraKind } from '../weight/index.ts'
import type { VeraValues } from '../weight/index.ts'
import { projection } from '../weight/vera.ts'
import { fold } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { constant, isConstant } from '../tree/leaf.ts'
import type { Constant } from '../tree/leaf.ts'
import type { Wrapping } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'
import { leaves } from '../tree/walk.ts'
import { weightMethod } from './attach.ts'
import type { WeightPlace } from './weight-places.ts'
import { Dimension, may } from './options.ts'

/** How VeRA is put on. */
export interface VeraOptions {
  /** The directions between the two projections, by default 256. */
  readonly rank?: number
  /** What d begins with, by default 0.1. */
  readonly dInitial?: number
  /** What the projections are drawn from. */
  readonly key?: Key
}

interface Projections {
  readonly projectionA: Constant
  readonly projectionB: Constant
}

/** What the labels of all places begin with, so that two models with names of their own keep apart what each shares. */
const commonPrefix = (places: readonly WeightPlace[]): readonly string[] => {
  const [first = [], ...others] = places.map((p) => p.label.split('.'))
  const until = first.findIndex((segment, i) => others.some((o) => o[i] !== segment))
  return until < 0 ? first : first.slice(0, until)
}

const keyName = ({ hi, lo }: Key): string => [hi, lo].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')

/** The projection of these sizes and this key: the one that an earlier call has put into the model, or else a new one. */
const projectionOf = (
  model: unknown,
  places: readonly WeightPlace[],
  which: 'A' | 'B',
  shape: readonly number[],
  key: Key,
): Constant => {
  const name = `vera${which}.${shape.join('x')}.${keyName(key)}`
  const there = leaves(model).filter(isConstant)
  return (
    there.find((c) => `.${c.label}`.endsWith(`.${name}`) && c.value.shape.join() === shape.join()) ??
    constant([...commonPrefix(places), name].join('.'), projection(fold(key, which), shape))
  )
}

/**
 * Adds a change between two random projections that are never trained: W becomes W + A·diag(d)·B·diag(b).
 *
 * A and B are as large as the largest selected weight wants, once for all of them; each weight trains d [rank] and b [out].
 * A fresh one changes nothing, for b is zero. What is drawn depends on the sizes of all that is selected, so putting it on
 * two parts is not putting it on both at once.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `TiedWeight`, `BadDimension`, `BadOption`, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, key, pipe, sllm, vera } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const tuned = pipe(base, freeze, vera({ at: '**.ln_1', rank: 64, key: key(1) }))
 * count(tuned).trainable // => 384
 * const [first, second] = tuned.transformer_blocks
 * first!.mlp.ln_1.weight.projectionA === second!.mlp.ln_1.weight.projectionA // => true
 * ```
 * @source Kopiczko et al. 2024, "VeRA: Vector-based Random Matrix Adaptation", §3.
 */
export const vera: Targeted<VeraOptions, Wrapping<'Vera', VeraValues>> = weightMethod<
  VeraOptions,
  Wrapping<'Vera', VeraValues>,
  'rank' | 'dInitial',
  Projections
>('vera', {
  kind: VeraKind,
  options: { rank: may(Dimension), dInitial: may(Finite) },
  defaults: { rank: 256, dInitial: 0.1 },
  dims: ({ rank }) => ({ rank }),
  share: ({ rank, key }, places, model) => {
    return {
      projectionA: projectionOf(model, places, 'A', [Math.max(...places.map((p) => p.rows)), rank], key),
      projectionB: projectionOf(model, places, 'B', [rank, Math.max(...places.map((p) => p.columns))], key),
    }
  },
  given: ({ rank, dInitial }, _, projections) => ({ ...projections, d: full([rank], dInitial) }),
})
