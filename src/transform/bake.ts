import type { Kinds } from '../kind/index.ts'
import type { Merged } from '../weight/index.ts'
import { requireSound } from '../tree/labels.ts'
import type { RewriteAll } from '../tree/types/rewrite.ts'
import type { Whole } from '../tree/types/step.ts'
import { places } from '../tree/walk.ts'
import { isWrappedWeight } from '../tree/wrap.ts'
import { merge } from './merge.ts'

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly bake: T extends { readonly _tag: 'Prompted'; readonly prompt: unknown }
      ? Baked<T, 'prompt'>
      : T extends { readonly _tag: 'Prefixed'; readonly prefix: unknown }
        ? Baked<T, 'prefix'>
        : WeightWrapper<T> extends true
          ? Keep
          : never
  }
}

/** A node whose rows are plain, and what it wraps. */
type Baked<T, F extends string> = {
  readonly [P in keyof T]: P extends F ? Merged<T[P]> : P extends 'base' ? RewriteAll<T[P], 'bake'> : T[P]
}

const rowsOf = (node: unknown): unknown => {
  const wrapper = node as { readonly _tag?: unknown; readonly prompt?: unknown; readonly prefix?: unknown } | null
  return wrapper?._tag === 'Prompted' ? wrapper.prompt : wrapper?._tag === 'Prefixed' ? wrapper.prefix : undefined
}

/** `bake` itself, and `bake.knowing` for encoders of one's own. */
export interface Bake {
  <M>(model: M): Whole<M, 'bake'>
  /** The same with kinds of one's own, by tag. */
  readonly knowing: (own: Kinds) => Bake
}

const bakeKnowing = (own: Kinds): Bake =>
  Object.assign(
    <M>(model: M): Whole<M, 'bake'> => {
      requireSound(model)
      const rows = new Set([...places(model)].map((p) => rowsOf(p.node)).filter(isWrappedWeight))
      if (rows.size === 0) return model as never
      return merge.knowing(own).only.unchecked({ at: (_: string, node: unknown) => rows.has(node) })(model) as never
    },
    { knowing: (more: Kinds) => bakeKnowing({ ...own, ...more }) },
  )

/**
 * Makes plain rows of soft prompts and prefixes that an encoder computes, with the same outputs, and leaves all else alone.
 *
 * The encoder goes, and with it the way to train on as before; the model that was baked keeps it. A model without one comes
 * back as it is.
 *
 * @throws TransformFailure `LabelClash`, `Disposed`, `NotPlain`; EspalierError `UnknownKind` for an encoder of one's own.
 * @example
 * ```ts
 * import { bake, get, lora, pipe, ptuning, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const tuned = pipe(base, lora({ at: '**.ln_1', rank: 2 }), ptuning({ length: 3 }))
 * get(tuned, 'embedding_block.token_embdgs')._tag // => 'Prompted'
 * const baked = bake(tuned)
 * baked.embedding_block.token_embdgs.prompt.value.shape // => [3, 128]
 * baked.transformer_blocks === tuned.transformer_blocks // => true
 * ```
 * @source Li and Liang 2021, "Prefix-Tuning", §4.3: "once training is complete, these parameters can be dropped".
 */
export const bake: Bake = bakeKnowing({})
