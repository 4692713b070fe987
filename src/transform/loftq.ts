import { materialize } from '../kind/index.ts'
import { PositiveWhole } from '../kind/number-codecs.ts'
import { context } from '../nn/index.ts'
import { matmul, mul, read, scope, sub } from '../ops/index.ts'
import { issue, TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import type { Param, Status } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { WeightWrapper } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'
import { isPacked } from '../tree/wrap.ts'
import type { Packed } from '../tree/wrap.ts'
import { LoraKind } from '../weight/index.ts'
import { factorOf } from '../weight/lora.ts'
import { quantizeValues } from '../weight/quantized.ts'
import type { Lora, Quantized, QuantizedAs } from '../weight/index.ts'
import { weightMethod } from './attach.ts'
import type { Sized, WeightPlace } from './weight-places.ts'
import { dataOf, loraDefaults, loraOptions } from './lora.ts'
import type { LoraOptions } from './lora.ts'
import { may } from './options.ts'
import { quantizeOptions } from './quantize.ts'
import { nearestFactors } from './lora-init.ts'

/** How LoftQ is put on: the options of LoRA, those of quantisation, and how often the two take turns. */
export interface LoftqOptions extends LoraOptions, QuantizedAs {
  /** Rounds of quantising and decomposing; one by default, and five in the paper. */
  readonly iterations?: number
}

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly loftq: T extends Param<Status, 'matrix'>
      ? Lora<Quantized<'matrix'>>
      : T extends Packed
        ? Keep
        : WeightWrapper<T> extends true
          ? Keep
          : never
  }
}

type Settled = LoftqOptions & typeof loftqDefaults

/** What these are when left out. */
const loftqDefaults: typeof loraDefaults & Required<Pick<LoftqOptions, 'scheme' | 'doubleQuant' | 'iterations'>> = {
  ...loraDefaults,
  scheme: 'nf4',
  doubleQuant: false,
  iterations: 1,
}

const misfits = (options: Settled, { path, rows, columns }: Sized): readonly Issue[] => {
  const most = Math.min(rows, columns)
  const factor = factorOf(options, options.rank)
  return [
    ...(options.rank <= most
      ? []
      : [issue('BadDimension', path, `a rank up to ${most}`, options.rank, 'A residual has no more directions.')]),
    ...(factor > 0
      ? []
      : [issue('BadOption', path, 'an alpha > 0', factor, 'A and B are roots of singular values over alpha.')]),
    ...(options.scheme !== 'nf4' && options.doubleQuant
      ? [issue('BadOption', path, "scheme 'nf4' for doubleQuant", options.scheme, 'Leave doubleQuant out.')]
      : []),
  ]
}

/** The quantised base and the factors that begin as what it has rounded off. */
const alternate = (options: Settled, place: WeightPlace) => {
  const { iterations, rank } = options
  const factor = factorOf(options, options.rank)
  const w = place.dense()
  const round = (target: Tensor) =>
    scope(() => {
      const base = quantizeValues(target, { label: place.label, form: 'matrix' }, options)
      const residual = read(sub(w, materialize(base, context()))) as Float32Array
      return { base, ...nearestFactors(residual, place, rank, factor) }
    })
  return scope(() => {
    let made = round(w)
    for (let i = 1; i < iterations; i++) made = round(sub(w, mul(matmul(made.a, made.b), factor)))
    return made
  })
}

const quantizedAlready = ({ path, weight }: WeightPlace): Issue =>
  issue(
    'AlreadyQuantized',
    path,
    'a dense weight',
    `one in ${weight._tag}`,
    'What it has rounded off is not known any more.',
  )

/**
 * Quantises weight matrices and puts a LoRA on them that begins as the nearest low-rank matrix to what was rounded off.
 *
 * Each becomes Q + s·A·B, nearer to W than Q alone. `merge` gives that sum, dense; `detach` leaves Q, which after more than
 * one round is not what `quantize` would have made of W. Nothing gives W back.
 *
 * @throws TransformFailure what `lora` throws, `AlreadyQuantized`, `NonFinite`, `BadDimension` also for a rank above
 *   min(in, out), `BadOption` also for an alpha that is not positive.
 * @example
 * ```ts
 * import { key, loftq, sllm } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const tuned = loftq({ at: 'out_head', rank: 4, iterations: 2 })(base)
 * tuned.out_head.weight.base._tag // => 'Nf4'
 * ```
 * @source Li et al. 2023, "LoftQ: LoRA-Fine-Tuning-Aware Quantization for Large Language Models", algorithm 1.
 */
export const loftq: Targeted<LoftqOptions, 'loftq'> = weightMethod<LoftqOptions, 'loftq', keyof typeof loftqDefaults>(
  'loftq',
  {
    kind: LoraKind,
    options: {
      ...loraOptions,
      ...quantizeOptions,
      iterations: may(PositiveWhole),
    },
    defaults: loftqDefaults,
    dims: ({ rank }) => ({ rank }),
    refuse: misfits,
    share: (_, places) => {
      const packed = places.filter(({ weight }) => isPacked(weight)).map(quantizedAlready)
      if (packed.length > 0) throw new TransformFailure(packed)
    },
    given: (options, place) => ({ ...dataOf(options), ...alternate(options, place) }),
  },
)
