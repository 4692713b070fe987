import { describe, expectTypeOf, test } from 'vitest'
import type { Either } from 'fp-ts/lib/Either.js'
import {
  applyRecipe,
  bake,
  detach,
  freeze,
  get,
  lora,
  merge,
  pipe,
  prefix,
  prompt,
  ptuning,
  sllm,
} from '../../src/index.ts'
import type {
  Adaptable,
  Embedding,
  Issue,
  Lora,
  Matrix,
  PrefixMlp,
  Prefixed,
  PromptLstm,
  PromptMlp,
  Prompted,
  Recipe,
  Sllm,
  Table,
} from '../../src/index.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <T extends true>(): T => true as T

declare const base: Sllm
declare const length: number
declare const recipe: Recipe
const frozen = freeze(base)

describe('prefix', () => {
  test('wraps the model; with a projection its rows are an encoder', () => {
    const tuned = pipe(base, freeze, prefix({ length: 10 }))
    expectTypeOf(tuned).toEqualTypeOf<Prefixed<typeof frozen>>()
    expectTypeOf(tuned.prefix).toEqualTypeOf<Table<'trainable'>>()
    expectTypeOf(prefix({ length, projection: 512 })(frozen).prefix).toEqualTypeOf<PrefixMlp>()
    expectTypeOf(sllm.apply).toBeCallableWith(tuned, {} as never)
  })
  test('detach gives the model back, merge leaves the prefix', () => {
    const tuned = pipe(base, freeze, lora({ at: '**.ln_1', rank: 2 }), prefix({ length: 3 }))
    holds<Equal<ReturnType<typeof detach<typeof tuned>>, typeof frozen>>()
    expectTypeOf(merge(tuned).base).toEqualTypeOf(frozen)
    expectTypeOf(merge(tuned).prefix).toEqualTypeOf<Table<'trainable'>>()
  })
  test('patterns and paths go through it', () => {
    const tuned = pipe(base, freeze, prefix({ length: 3 }), lora({ at: '**.ln_1', rank: 2 }))
    expectTypeOf(get(tuned, 'transformer_blocks.0.mlp.ln_1.weight')).toEqualTypeOf<Lora<Matrix<'frozen'>>>()
    expectTypeOf(tuned.prefix).toEqualTypeOf<Table<'trainable'>>()
  })
  test('is for models, once', () => {
    // @ts-expect-error a layer is no model
    prefix({ length: 3 })(base.out_head)
    // @ts-expect-error several models are none
    prefix({ length: 3 })({ query: base })
    // @ts-expect-error this model has a prefix already: detach it first
    pipe(base, prefix({ length: 3 }), prefix({ length: 3 }))
    // @ts-expect-error no such option
    prefix({ length: 3, at: '**' })
  })
  test('either gives mistakes as values', () => {
    expectTypeOf(prefix.either({ length: 3 })(frozen)).toEqualTypeOf<
      Either<readonly Issue[], Prefixed<typeof frozen>>
    >()
  })
})

describe('ptuning and bake', () => {
  const tuned = pipe(base, freeze, ptuning({ length: 20, encoder: 'lstm' }))
  test('the rows of a prompt are an encoder', () => {
    expectTypeOf(tuned.embedding_block.token_embdgs).toEqualTypeOf<
      Prompted<Embedding<Table<'frozen'>>, PromptMlp | PromptLstm>
    >()
    holds<Equal<ReturnType<typeof detach<typeof tuned>>, typeof frozen>>()
  })
  test('bake and merge make plain rows of it', () => {
    const prompted = pipe(base, freeze, prompt({ length: 20 }))
    expectTypeOf(bake(tuned)).toEqualTypeOf(prompted)
    expectTypeOf(merge(tuned)).toEqualTypeOf(prompted)
  })
  test('bake leaves LoRA alone and reaches through a prefix', () => {
    const both = pipe(tuned, lora({ at: '**.ln_1', rank: 2 }), prefix({ length: 3, projection: 8 }))
    const baked = bake(both)
    expectTypeOf(get(baked, 'transformer_blocks.0.mlp.ln_1.weight')).toEqualTypeOf<Lora<Matrix<'frozen'>>>()
    expectTypeOf(baked.prefix).toEqualTypeOf<Table<'trainable'>>()
    expectTypeOf(baked.base.embedding_block.token_embdgs.prompt).toEqualTypeOf<Table<'trainable'>>()
    expectTypeOf(sllm.apply).toBeCallableWith(baked, {} as never)
  })
  test('a prompt is refused where one is', () => {
    // @ts-expect-error the embedding has rows before it already
    pipe(tuned, prompt({ length: 2 }))
    // @ts-expect-error the same by its name
    pipe(tuned, ptuning({ at: '**.token_embdgs', length: 2 }))
    // @ts-expect-error no such encoder
    ptuning({ length: 2, encoder: 'gru' })
  })
})

describe('recipes say whether the root may be wrapped', () => {
  test('one that the compiler sees does not guess', () => {
    const plain = applyRecipe([{ freeze: {} }, { lora: { at: '**.ln_1', rank: 2 } }])(base)
    expectTypeOf(plain._tag).toEqualTypeOf<'Sllm'>()
    const wrapped = applyRecipe([{ freeze: {} }, { prefix: { length: 3 } }])(base)
    expectTypeOf(wrapped._tag).toEqualTypeOf<'Sllm' | 'Prefixed'>()
  })
  test('one from a file may have wrapped it; the model runs, and detaches to something clean', () => {
    const tuned = applyRecipe(recipe)(base)
    expectTypeOf(tuned).toEqualTypeOf<Adaptable<Sllm>>()
    expectTypeOf(sllm.apply).toBeCallableWith(tuned, {} as never)
    expectTypeOf(detach(tuned).out_head.weight._tag).toEqualTypeOf<string>()
    expectTypeOf(get(tuned, 'out_head.weight')._tag).toEqualTypeOf<string>()
  })
})
