import { TransformFailure, issue } from '../tree/error.ts'
import { requireSound } from '../tree/labels.ts'
import { isParam } from '../tree/leaf.ts'
import type { Param, Status } from '../tree/leaf.ts'
import { targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import type { Whole, Targeted } from '../tree/types/step.ts'
import { isBranch } from '../tree/walk.ts'
import { marked } from './mark.ts'
import { targeted } from './targeted.ts'

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly freeze: T extends Param<Status, infer F> ? Param<'frozen', F> : never
    readonly unfreeze: T extends Param<Status, infer F> ? Param<'trainable', F> : never
  }
}

const parameters: Taste<Param> = { verdict: (node) => (isParam(node) ? 'take' : 'into'), wants: 'a parameter' }

// Options in place of a model would be frozen as a tree without parameters, in silence.
const requireModel = (model: unknown, name: string): void => {
  if (isBranch(model) && Object.keys(model).join() === 'at')
    throw new TransformFailure([
      issue('NotATarget', name, 'a model', 'options', `For a part of a model: ${name}.only({ at: … }).`),
    ])
}

const setAll =
  (status: Status) =>
  (model: unknown): unknown => {
    requireModel(model, status === 'frozen' ? 'freeze' : 'unfreeze')
    requireSound(model)
    return marked(model, () => true, status)
  }

const setAt =
  (status: Status) =>
  (model: unknown, { at }: { readonly at: Parameters<typeof targets>[1] }): unknown => {
    const chosen = new Set(targets(model, at, parameters).map((p) => p.node))
    return marked(model, (p) => chosen.has(p), status)
  }

/** `freeze` itself, and `freeze.only` for a part of a model. */
export interface Freeze {
  <M>(model: M): Whole<M, 'freeze'>
  readonly only: Targeted<unknown, 'freeze'>
}

/**
 * Makes every parameter frozen: training computes no gradient of it and changes it by no decay.
 *
 * `freeze.only({ at })` freezes a part. Tied places are one parameter, so they freeze together.
 * Freezing what is frozen gives the same object back.
 *
 * @throws TransformFailure `LabelClash`, `Disposed`, `NotPlain`; (`only`) `NoMatch`, `NotATarget`, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, pipe, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(freeze(base)).trainable // => 0
 * count(pipe(base, freeze.only({ at: ['embedding_block', 'transformer_blocks'] }))).trainable // => 13_028
 * ```
 */
export const freeze: Freeze = Object.assign(setAll('frozen') as <M>(model: M) => Whole<M, 'freeze'>, {
  only: targeted<unknown, 'freeze'>(setAt('frozen'), { name: 'freeze.only', options: {} }),
})

/** `unfreeze` itself, and `unfreeze.only` for a part of a model. */
export interface Unfreeze {
  <M>(model: M): Whole<M, 'unfreeze'>
  readonly only: Targeted<unknown, 'unfreeze'>
}

/**
 * Makes every parameter trainable; `unfreeze.only({ at })` a part, such as a head trained in full beside an adapter.
 *
 * @throws TransformFailure `LabelClash`, `Disposed`, `NotPlain`; (`only`) `NoMatch`, `NotATarget`, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, unfreeze, pipe, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(pipe(base, freeze, unfreeze.only({ at: 'out_head' }))).trainable // => 12_900
 * ```
 */
export const unfreeze: Unfreeze = Object.assign(setAll('trainable') as <M>(model: M) => Whole<M, 'unfreeze'>, {
  only: targeted<unknown, 'unfreeze'>(setAt('trainable'), { name: 'unfreeze.only', options: {} }),
})
