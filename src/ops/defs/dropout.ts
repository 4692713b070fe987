import { fail } from '../../tree/error.ts'
import { type Key, words } from '../../tree/key.ts'
import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import { drawAttrs, droppedBelow, type DropoutAttrs, isKept, keyOf } from '../draws.ts'
import type { Op } from '../op.ts'
import { define } from './define.ts'
import { parallel, produce } from '../wasm/index.ts'
import { fresh, type Loop } from './heap.ts'
import { describe, mismatch, requireFloat, requireInt } from '../shape-rules.ts'

const drop: Loop<DropoutAttrs> = ({ attrs }, out, { data }, seed) => {
  const random = words(keyOf(attrs, (seed as typeof seed | undefined)?.data), data.length)
  const scale = 1 / (1 - attrs.rate)
  for (let i = 0; i < out.length; i++) out[i] = isKept(random[i]!, attrs.rate) ? data[i]! * scale : 0
}

/** Throws unless it is a seed. @internal */
export const requireSeed = (name: string, seed: TensorSpec): void => {
  requireInt(name, 'seed', seed)
  if (seed.shape.length !== 1 || seed.shape[0] !== 2)
    mismatch(name, 'a seed of shape [2]', describe(seed), 'Its two words are folded into the key.')
}

const dropoutOp: Op<DropoutAttrs> = define<DropoutAttrs>({
  name: 'dropout',
  infer: (_, x, ...seeds) => {
    requireFloat('dropout', 'x', x)
    for (const seed of seeds) requireSeed('dropout', seed)
    return { shape: x.shape, dtype: 'float32' }
  },
  own: {
    write: (to, inputs, attrs, output) =>
      to.node('EspalierDropout', inputs, drawAttrs(attrs, inputs.length > 1), output),
  },
  // tfjs has no way to the same bits.
  reference: fresh(drop),
  wasm: ({ attrs, output }, x, ...seeds) => {
    const { hi, lo } = keyOf(attrs, seeds[0]?.dataSync<'int32'>())
    const [dropped, factor] = [droppedBelow(attrs.rate), 1 / (1 - attrs.rate)]
    return produce('dropout', [x], output, (out, from = 0) =>
      parallel(
        'dropout',
        x.size,
        30,
        (first, count) => [count, from + 4 * first, out + 4 * first, first, hi, lo, dropped, factor],
        8,
      ),
    )
  },
  // Linear in x: the same key gives the same mask, so that nothing has to be saved.
  vjp: ({ dy, attrs, inputs }) =>
    inputs.map((_, i) => (i === 0 ? apply(dropoutOp, [dy, ...inputs.slice(1)], attrs) : null)),
})

/** Throws `InvalidRate`. @internal */
export const requireRate = (name: string, rate: number): void => {
  if (!(rate >= 0 && rate < 1))
    fail({
      _tag: 'InvalidRate',
      path: name,
      expected: 'a rate from 0 to less than 1',
      found: String(rate),
      hint: 'The rate is the share of elements that are dropped; 0.1 is usual.',
    })
}

/** How much `dropout` drops, and by which key. */
export interface DropoutOptions {
  /** The chance of each element to become 0; from 0 up to, but not including, 1. */
  readonly rate: number
  readonly key: Key
  /** Two more words for the key, int32 [2]: what changes at every step is then a tensor, and the key a constant. */
  readonly seed?: Tensor
}

/**
 * Each element becomes 0 with the chance `rate`, else it is scaled by `1 / (1 - rate)`; x is float32.
 *
 * The same key (and seed) drops the same elements on every engine, and again in the gradient. Throws `InvalidRate`.
 *
 * @source Srivastava et al. 2014, "Dropout", §4 (inverted: scaled in training, not at test time)
 * @example
 * ```ts
 * import { key } from 'espalier'
 * import { dropout, ones, toArray } from 'espalier/ops'
 *
 * toArray(dropout(ones([3]), { rate: 0, key: key(1) })) // => [1, 1, 1]
 * ```
 */
export const dropout = (x: Tensor, { rate, key, seed }: DropoutOptions): Tensor => {
  requireRate('dropout', rate)
  return apply(dropoutOp, seed === undefined ? [x] : [x, seed], { rate, hi: key.hi, lo: key.lo })
}

/** @internal */
export const dropoutOps: readonly Op<never>[] = [dropoutOp]
