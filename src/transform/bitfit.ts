import { isParam } from '../tree/leaf.ts'
import type { Param, Status } from '../tree/leaf.ts'
import type { Selector } from '../tree/select.ts'
import { targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import type { RewriteAll, WeightWrapper } from '../tree/types/rewrite.ts'
import type { Step, Targeted } from '../tree/types/step.ts'
import { below, isBranch } from '../tree/walk.ts'
import { marked, optionless } from './mark.ts'
import { isWrapper } from '../tree/wrap.ts'
import { targeted } from './targeted.ts'

/** The fields that hold a bias: of a linear layer, and of a norm. */
type BiasField = 'bias' | 'shift'
const biasFields: readonly BiasField[] = ['bias', 'shift']

type Trained<V> = V extends Param<Status, infer F> ? Param<'trainable', F> : V

/** What stands where a node has a bias; `null` and nothing are none. */
type BiasOf<T> = T extends { readonly bias: infer B } ? B : T extends { readonly shift: infer B } ? B : never

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly bitfit: WeightWrapper<T> extends true
      ? Keep
      : [Extract<BiasOf<T>, Param>] extends [never]
        ? never
        : T extends { readonly base: unknown }
          ? { readonly [P in keyof T]: P extends 'base' ? RewriteAll<T[P], 'bitfit'> : T[P] }
          : {
              readonly [P in keyof T]: P extends BiasField
                ? Trained<T[P]>
                : P extends `~${string}`
                  ? T[P]
                  : RewriteAll<T[P], 'bitfit'>
            }
  }
}

// What wraps a layer has added its own: the shift of a LoRA with a bias is no bias of the model.
const biasesOf = (node: unknown): readonly Param[] =>
  isBranch(node) && !isWrapper(node)
    ? biasFields.map((name) => (node as Readonly<Record<string, unknown>>)[name]).filter(isParam)
    : []

const biased: Taste<unknown> = {
  verdict: (node) => (biasesOf(node).length > 0 ? 'take' : 'into'),
  wants: 'a layer with a bias',
  baseOnly: true,
}

/** `bitfit` for all biases, or for those of the layers that a selector names. */
export interface Bitfit extends Targeted<unknown, 'bitfit'> {
  (options?: { readonly at?: undefined }): Step<'**', 'bitfit'>
}

const run = (model: unknown, { at = '**' }: { readonly at?: Selector }): unknown => {
  const places = targets(model, at, biased).flatMap((place) => [...below(place)])
  const chosen = new Set(places.flatMap(({ node }) => biasesOf(node)))
  return marked(model, (p) => chosen.has(p), 'trainable')
}

/**
 * Makes every bias trainable, of linear layers and of norms, and nothing else; put it behind `freeze`.
 *
 * It adds no parameter. A tied bias is one parameter, so it is trained in all its places.
 *
 * @throws TransformFailure `NotATarget` where no layer has a bias, `NoMatch`, `BadSelector`, `LabelClash`.
 * @example
 * ```ts
 * import { bitfit, count, freeze, pipe, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(pipe(base, freeze, bitfit())).trainable // => 356
 * ```
 * @source Ben Zaken et al. 2022, "BitFit: Simple Parameter-efficient Fine-tuning", §3.
 */
export const bitfit: Bitfit = optionless(targeted<unknown, 'bitfit'>(run, { name: 'bitfit', options: {} })) as Bitfit
