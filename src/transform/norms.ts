import type { Selector } from '../tree/select.ts'
import { targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import type { RewriteAll } from '../tree/types/rewrite.ts'
import type { Step, Targeted } from '../tree/types/step.ts'
import { leaves } from '../tree/walk.ts'
import { marked, optionless } from './mark.ts'
import { targeted } from './targeted.ts'

/** The tags of norms, whatever they divide by. */
type NormTag = 'LayerNorm' | 'RMSNorm'
const normTags: readonly string[] = ['LayerNorm', 'RMSNorm'] satisfies readonly NormTag[]

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly norms: T extends { readonly _tag: NormTag }
      ? { readonly [P in keyof T]: P extends `~${string}` ? T[P] : RewriteAll<T[P], 'unfreeze'> }
      : never
  }
}

const normNodes: Taste<unknown> = {
  verdict: (node) => (normTags.includes(String((node as { _tag?: unknown } | null)?._tag)) ? 'take' : 'into'),
  wants: 'a norm',
  baseOnly: true,
}

/** `norms` for all norms, or for those a selector names. */
export interface Norms extends Targeted<unknown, 'norms'> {
  (options?: { readonly at?: undefined }): Step<'**', 'norms'>
}

const run = (model: unknown, { at = '**' }: { readonly at?: Selector }): unknown => {
  const chosen = new Set<unknown>(targets(model, at, normNodes).flatMap(({ node }) => leaves(node)))
  return marked(model, (p) => chosen.has(p), 'trainable')
}

/**
 * Makes the scale and shift of every norm trainable, and nothing else; put it behind `freeze`.
 *
 * It adds no parameter.
 *
 * @throws TransformFailure `NotATarget` where there is no norm, `NoMatch`, `BadSelector`, `LabelClash`.
 * @example
 * ```ts
 * import { count, freeze, norms, pipe, sllm, key } from 'espalier'
 * const base = sllm.init(sllm.config.seed, key(0))
 * count(pipe(base, freeze, norms())).trainable // => 640
 * ```
 * @source Zhao et al. 2024, "Tuning LayerNorm in Attention: Towards Efficient Multi-Modal LLM Finetuning", §3.
 */
export const norms: Norms = optionless(targeted<unknown, 'norms'>(run, { name: 'norms', options: {} })) as Norms
