import { requireSound } from '../tree/labels.ts'
import { isLeaf } from '../tree/leaf.ts'
import { targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import type { RewriteAll } from '../tree/types/rewrite.ts'
import type { Whole, Targeted } from '../tree/types/step.ts'
import { isBranch, rebuild, replaceAt } from '../tree/walk.ts'
import { isWrapper } from '../tree/wrap.ts'
import { targeted } from './targeted.ts'

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly detach: T extends { readonly _tag: string; readonly base: infer B } ? RewriteAll<B, 'detach'> : never
  }
}

const bare = (node: unknown): unknown =>
  isWrapper(node) ? bare(node.base) : isLeaf(node) || !isBranch(node) ? node : rebuild(node, bare)

const whole = (model: unknown): unknown => {
  requireSound(model)
  return bare(model)
}

const wrappers: Taste<unknown> = { verdict: (node) => (isWrapper(node) ? 'take' : 'into'), wants: 'something attached' }

/** `detach` itself, and `detach.only` for some places. */
export interface Detach {
  <M>(model: M): Whole<M, 'detach'>
  readonly only: Targeted<unknown, 'detach'>
}

/**
 * Takes everything off that was attached, whatever the method: each wrapper is replaced by what it wraps.
 *
 * Every leaf of the base, and every subtree that had nothing attached, is the same object as before.
 *
 * @throws TransformFailure `LabelClash`, `Disposed`, `NotPlain`; (`only`) `NoMatch`, `NotATarget`, `BadSelector`.
 * @example
 * ```ts
 * import { detach, lora, pipe, prompt, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const tuned = pipe(base, lora({ at: '**.ln_1', rank: 2 }), prompt({ length: 3 }))
 * detach(tuned).out_head === base.out_head // => true
 * ```
 */
export const detach: Detach = Object.assign(whole as <M>(model: M) => Whole<M, 'detach'>, {
  only: targeted<unknown, 'detach'>(
    (model, { at }) =>
      replaceAt(
        model,
        targets(model, at, wrappers).map(({ node, route }) => ({ route, value: bare(node) })),
      ),
    { name: 'detach.only', options: {} },
  ),
})
