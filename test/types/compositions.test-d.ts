import { describe, expectTypeOf, test } from 'vitest'
import {
  bitfit,
  bottleneck,
  detach,
  freeze,
  get,
  lora,
  merge,
  pipe,
  prefix,
  prompt,
  ptuning,
  quantize,
  sllm,
} from '../../src/index.ts'
import type {
  Adapted,
  Bottleneck,
  Embedding,
  Linear,
  Lora,
  Matrix,
  Param,
  PromptMlp,
  PromptLstm,
  Prompted,
  Quantized,
  Shifted,
  Sllm,
  Table,
  Vector,
} from '../../src/index.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <T extends true>(): T => true as T

declare const base: Sllm

const small = pipe(base, freeze, quantize({ at: '**' }))
const tuned = pipe(
  small,
  lora({ at: '**.ln_1', rank: 2 }),
  bottleneck({ placement: 'pfeiffer' }),
  prompt({ length: 3 }),
  prefix({ length: 2 }),
)
type Blocks = (typeof tuned.base.transformer_blocks)[number]

describe('bottleneck, LoRA, prompt and prefix on a quantised model', () => {
  test('each is where it was put, and nowhere else', () => {
    expectTypeOf(tuned._tag).toEqualTypeOf<'Prefixed'>()
    expectTypeOf(tuned.prefix).toEqualTypeOf<Table<'trainable'>>()
    expectTypeOf<Blocks['mlp']['_tag']>().toEqualTypeOf<'Adapted'>()
    expectTypeOf<Blocks['mlp']['adapter']>().toEqualTypeOf<Bottleneck>()
    expectTypeOf<Blocks['mlp']['base']['ln_1']['weight']>().toEqualTypeOf<Lora<Quantized<'matrix'>>>()
    expectTypeOf<Blocks['mlp']['base']['c_proj']['weight']>().toEqualTypeOf<Quantized<'matrix'>>()
    expectTypeOf<Blocks['ln2']['scale']>().toEqualTypeOf<Vector<'frozen'>>()
    expectTypeOf(tuned.base.embedding_block.token_embdgs).toEqualTypeOf<Prompted<Embedding<Table<'frozen'>>>>()
    expectTypeOf(get(tuned, 'transformer_blocks.0.mlp.ln_1.weight')).toEqualTypeOf<Lora<Quantized<'matrix'>>>()
  })

  test('it runs as any SLLM does', () => {
    expectTypeOf(sllm.apply).toBeCallableWith(tuned, {} as never)
  })

  test('detach gives the quantised model back, whatever the order', () => {
    holds<Equal<ReturnType<typeof detach<typeof tuned>>, typeof small>>()
    const other = pipe(
      small,
      prefix({ length: 2 }),
      prompt({ length: 3 }),
      bottleneck({ placement: 'pfeiffer' }),
      lora({ at: '**.ln_1', rank: 2 }),
    )
    expectTypeOf(other).toEqualTypeOf(tuned)
    holds<Equal<ReturnType<typeof detach<typeof other>>, typeof small>>()
  })

  test('merge makes dense what had an adapter, and leaves the rest', () => {
    const merged = merge(tuned)
    expectTypeOf(merged.prefix).toEqualTypeOf<Table<'trainable'>>()
    type Mlp = (typeof merged.base.transformer_blocks)[number]['mlp']
    expectTypeOf<Mlp['adapter']>().toEqualTypeOf<Bottleneck>()
    expectTypeOf<Mlp['base']['ln_1']['weight']>().toEqualTypeOf<Param<'frozen', 'matrix'>>()
    expectTypeOf<Mlp['base']['c_proj']['weight']>().toEqualTypeOf<Quantized<'matrix'>>()
    expectTypeOf(sllm.apply).toBeCallableWith(merged, {} as never)
  })

  test('what is there already is refused', () => {
    // @ts-expect-error every weight is quantised already
    expectTypeOf(detach(pipe(small, quantize({ at: '**.ln_1' })))).toBeObject()
    // @ts-expect-error the embedding has rows before it already
    pipe(tuned, prompt({ length: 2 }))
    // @ts-expect-error this model has a prefix already: detach it first
    pipe(tuned, prefix({ length: 2 }))
    // @ts-expect-error the weights of the adapters are no target, and ln_1 has one
    pipe(tuned, lora({ at: '**.down', rank: 2 }))
  })
})

describe('methods keep to the base', () => {
  const adapted = pipe(base, bottleneck({ placement: 'pfeiffer' }), freeze)
  type MlpOf<M extends { readonly transformer_blocks: readonly { readonly mlp: unknown }[] }> =
    M['transformer_blocks'][number]['mlp']

  test('bitfit trains no bias of an adapter', () => {
    const trained = pipe(adapted, bitfit())
    expectTypeOf<MlpOf<typeof trained>['adapter']>().toEqualTypeOf<MlpOf<typeof adapted>['adapter']>()
    expectTypeOf<MlpOf<typeof trained>['base']['ln_1']['bias']>().toEqualTypeOf<Vector<'trainable'> | null>()
  })

  test('bitfit trains no shift of a LoRA with a bias, but what is under it', () => {
    const shifted = pipe(base, lora({ at: '**.projection_out', rank: 2, bias: true }), freeze, bitfit())
    type Out = (typeof shifted.transformer_blocks)[number]['mha']['projection_out']
    expectTypeOf<Out['shift']>().toEqualTypeOf<Vector<'frozen'>>()
    expectTypeOf<Out['base']['bias']>().toEqualTypeOf<Vector<'trainable'> | null>()
  })

  test('a LoRA with a bias leaves encoders and adapters as they are', () => {
    const all = pipe(base, ptuning({ length: 2 }), bottleneck({ placement: 'pfeiffer' }))
    const biased = pipe(all, lora({ at: '**', rank: 2, bias: true }))
    expectTypeOf(biased.embedding_block.token_embdgs.prompt).toEqualTypeOf<PromptMlp | PromptLstm>()
    expectTypeOf<MlpOf<typeof biased>['adapter']>().toEqualTypeOf<Bottleneck>()
    expectTypeOf(biased.out_head).toEqualTypeOf<
      Shifted<Linear<Lora<Matrix<'trainable'>>, Vector<'trainable'> | null>>
    >()
    expectTypeOf<MlpOf<typeof biased>>().toExtend<Adapted<unknown>>()
  })
})
