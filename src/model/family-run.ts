import type { Kinds, Model } from '../kind/index.ts'
import type { Key } from '../tree/key.ts'
import { initFamily } from './family.ts'
import type { Family, Task } from './family.ts'
import { causalRunOf, runOf } from './run.ts'
import type { CausalRun, ModelRun } from './run.ts'

/** What a fresh model is for. */
export interface TaskOptions<T> {
  readonly task?: T
  /** Classes of a classifier; 2 unless told otherwise. */
  readonly labels?: number
}

/** A family as a program uses it: `Ms` are its models by task, `D` the task when none is named. */
export interface FamilyModels<C, Ms, D extends Task & keyof Ms> {
  readonly family: Family<C>
  readonly task: D
  readonly kinds: Kinds
  /** A fresh model, wholly trainable; what the configuration leaves out is as transformers has it. */
  readonly init: <T extends Task & keyof Ms = D>(config: Partial<C>, key: Key, options?: TaskOptions<T>) => Ms[T]
  /** Only for the compiler. */
  readonly '~models'?: Ms
}

/** A family of encoders: `apply` gives hidden states, or the logits of a classifier. */
export type EncoderFamily<C, Ms extends { readonly base: unknown }> = FamilyModels<C, Ms, 'base'> & ModelRun<Model>

/** A family of language models. */
export type CausalFamily<C, Ms extends { readonly 'causal-lm': unknown }> = FamilyModels<C, Ms, 'causal-lm'> &
  CausalRun<Model>

const modelsOf = <C, Ms, D extends Task & keyof Ms>(family: Family<C>, usual: D): FamilyModels<C, Ms, D> => ({
  family,
  task: usual,
  kinds: family.kinds,
  init: (config, key, { task = usual as never, labels = 2 } = {}) =>
    initFamily<C, never>(family, { ...config }, key, { task, labels }),
})

/** A family of encoders, in their own words. @internal */
export const encoderFamilyOf = <C, Ms extends { readonly base: unknown }>(family: Family<C>): EncoderFamily<C, Ms> => ({
  ...modelsOf<C, Ms, 'base'>(family, 'base'),
  ...runOf<Model>(family.kinds),
})

/** A family of language models. @internal */
export const causalFamilyOf = <C, Ms extends { readonly 'causal-lm': unknown }>(
  family: Family<C>,
): CausalFamily<C, Ms> => ({
  ...modelsOf<C, Ms, 'causal-lm'>(family, 'causal-lm'),
  ...causalRunOf<Model>(family.kinds),
})
