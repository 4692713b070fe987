import { describe, expectTypeOf, test } from 'vitest'
import { bottleneck, detach, freeze, key, lora, merge, pipe, qwen2 } from '../../src/index.ts'
import type {
  Adapted,
  Gemma2,
  GatedMlp,
  GroupedAttention,
  Linear,
  Llama,
  Lora,
  Matrix,
  Qwen2,
  Qwen3,
  RmsNorm,
  Vector,
} from '../../src/index.ts'

declare const llama: Llama
declare const qwen: Qwen2
declare const normed: Qwen3
declare const sandwich: Gemma2

type BlockOf<M extends { readonly model: { readonly layers: readonly unknown[] } }> = M['model']['layers'][number]

describe('families differ in their types as they do in their layers', () => {
  test('biases, norms of heads, norms behind sublayers', () => {
    expectTypeOf(llama.model.layers[0]!.self_attn.q_proj.bias).toEqualTypeOf<Vector<'trainable'> | null>()
    expectTypeOf(qwen.model.layers[0]!.self_attn.q_proj.bias).toEqualTypeOf<Vector<'trainable'>>()
    expectTypeOf(qwen.model.layers[0]!.self_attn.o_proj.bias).toEqualTypeOf<null>()
    expectTypeOf(qwen.model.layers[0]!.self_attn.q_norm).toEqualTypeOf<null>()
    expectTypeOf(normed.model.layers[0]!.self_attn.q_norm).toEqualTypeOf<RmsNorm<Vector<'trainable'>>>()
    expectTypeOf(sandwich.model.layers[0]!).toHaveProperty('post_feedforward_layernorm')
    expectTypeOf(llama.model.layers[0]!).not.toHaveProperty('post_feedforward_layernorm')
  })
})

test('every task has a model', () => {
  const tokens = qwen2.init({}, key(0), { task: 'token-classification' })
  expectTypeOf(tokens.model).toEqualTypeOf(qwen.model)
  expectTypeOf(tokens.score.bias).toEqualTypeOf<Vector<'trainable'>>()
  const texts = qwen2.init({}, key(0), { task: 'sequence-classification' })
  expectTypeOf(texts.score.bias).toEqualTypeOf<null>()
})

describe('transforms', () => {
  const frozen = freeze(qwen)
  const tuned = pipe(qwen, freeze, lora({ at: '**.q_proj', rank: 4 }))

  test('lora is at queries and nowhere else', () => {
    type Attention = BlockOf<typeof tuned>['self_attn']
    expectTypeOf<Attention['q_proj']['weight']>().toEqualTypeOf<Lora<Matrix<'frozen'>>>()
    expectTypeOf<Attention['k_proj']>().toEqualTypeOf<Linear<Matrix<'frozen'>, Vector<'frozen'>>>()
    expectTypeOf(qwen2.apply).toBeCallableWith(tuned, {} as never)
  })

  test('merge and detach give the frozen model', () => {
    expectTypeOf(merge(tuned)).toEqualTypeOf(frozen)
    expectTypeOf(detach(tuned)).toEqualTypeOf(frozen)
  })

  test('a wrong path says what there is', () => {
    // @ts-expect-error -- there is no such layer
    pipe(qwen, lora({ at: '**.query', rank: 4 }))
    // @ts-expect-error -- Qwen2 has no norms of heads
    pipe(qwen, lora({ at: '**.q_norm', rank: 4 }))
  })

  test('adapters of the literature stand at both sublayers', () => {
    const adapted = pipe(llama, freeze, bottleneck({ placement: 'houlsby' }))
    expectTypeOf<BlockOf<typeof adapted>['self_attn']>().toExtend<Adapted<GroupedAttention>>()
    expectTypeOf<BlockOf<typeof adapted>['mlp']>().toExtend<Adapted<GatedMlp>>()
    expectTypeOf(detach(adapted)).toEqualTypeOf(freeze(llama))
  })
})
