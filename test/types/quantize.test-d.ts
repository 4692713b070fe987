import { describe, expectTypeOf, test } from 'vitest'
import { dequantize, detach, freeze, loftq, lora, merge, pipe, quantize, requantize, sllm } from '../../src/index.ts'
import type { Embedding, Lora, Matrix, Param, Quantized, Requantized, Sllm, Table, Vector } from '../../src/index.ts'

declare const base: Sllm
declare const strings: readonly string[]

const small = pipe(base, quantize({ at: ['**.ln_1', '**.c_proj'] }))
const tuned = pipe(small, lora({ at: ['**.ln_1'], rank: 4 }))
type Mlp<M extends { readonly transformer_blocks: readonly { readonly mlp: unknown }[] }> =
  M['transformer_blocks'][number]['mlp']

describe('what quantisation does, the type says', () => {
  test('the weights named are quantised, and no other', () => {
    expectTypeOf<Mlp<typeof small>['ln_1']['weight']>().toEqualTypeOf<Quantized<'matrix'>>()
    expectTypeOf<Mlp<typeof small>['ln_1']['bias']>().toEqualTypeOf<Vector<'trainable'> | null>()
    expectTypeOf(small.out_head.weight).toEqualTypeOf<Matrix<'trainable'>>()
  })

  test('all matrices, but neither tables nor norms', () => {
    const all = pipe(base, quantize({ at: '**', scheme: 'int8' }))
    expectTypeOf(all.out_head.weight).toEqualTypeOf<Quantized<'matrix'>>()
    expectTypeOf(all.embedding_block.token_embdgs.weight).toEqualTypeOf<Table<'trainable'>>()
    expectTypeOf(all.final_norm.scale).toEqualTypeOf<Vector<'trainable'>>()
  })

  test('halves are the same type, and so is what stands on them', () => {
    const halves = pipe(base, quantize({ at: '**', scheme: 'bf16' }), lora({ at: '**.ln_1', rank: 1 }))
    expectTypeOf<Mlp<typeof halves>['ln_1']['weight']>().toEqualTypeOf<Lora<Quantized<'matrix'>>>()
    expectTypeOf<Quantized['_tag']>().toEqualTypeOf<'Nf4' | 'Nf4Double' | 'Int8' | 'Bf16' | 'F16'>()
  })

  test('tables of embeddings by their own word, never positions', () => {
    const tables = pipe(base, quantize.tables({ at: '**' }))
    expectTypeOf(tables.embedding_block.token_embdgs.weight).toEqualTypeOf<Quantized<'table'>>()
    expectTypeOf(tables.embedding_block.token_embdgs).toExtend<Embedding<Quantized<'table'>>>()
    expectTypeOf(tables.out_head.weight).toEqualTypeOf<Matrix<'trainable'>>()
    // @ts-expect-error a head is no embedding
    pipe(base, quantize.tables({ at: '**.out_head' }))
  })

  test('QLoRA is Lora over what is quantised', () => {
    expectTypeOf<Mlp<typeof tuned>['ln_1']['weight']>().toEqualTypeOf<Lora<Quantized<'matrix'>>>()
    expectTypeOf<Mlp<typeof tuned>['c_proj']['weight']>().toEqualTypeOf<Quantized<'matrix'>>()
    sllm.apply(tuned, undefined as never)
    // @ts-expect-error quantised already
    pipe(small, quantize({ at: '**.ln_1' }))
    // @ts-expect-error adapted already
    pipe(base, lora({ at: '**.ln_1', rank: 1 }), quantize({ at: '**.ln_1' }))
  })

  test('LoftQ is the same type in one step, and refuses what is quantised', () => {
    const fused = pipe(base, loftq({ at: '**.ln_1', rank: 2 }))
    expectTypeOf<Mlp<typeof fused>['ln_1']['weight']>().toEqualTypeOf<Lora<Quantized<'matrix'>>>()
    expectTypeOf<Mlp<ReturnType<typeof merge<typeof fused>>>['ln_1']['weight']>().toEqualTypeOf<
      Param<'frozen', 'matrix'>
    >()
    // @ts-expect-error quantised already
    pipe(small, loftq({ at: '**.ln_1', rank: 2 }))
  })

  test('merge into a quantised weight gives a dense one, frozen; what has no adapter stays', () => {
    const merged = merge(tuned)
    expectTypeOf<Mlp<typeof merged>['ln_1']['weight']>().toEqualTypeOf<Param<'frozen', 'matrix'>>()
    expectTypeOf<Mlp<typeof merged>['c_proj']['weight']>().toEqualTypeOf<Quantized<'matrix'>>()
    expectTypeOf(detach(tuned)).toEqualTypeOf(small)
  })

  test('requantize gives the quantised weight back, and a report', () => {
    const { model, weights } = requantize(tuned)
    expectTypeOf(model).toEqualTypeOf(small)
    expectTypeOf(weights).toEqualTypeOf<readonly Requantized[]>()
    const dense = requantize(pipe(base, lora({ at: '**.ln_1', rank: 1 })))
    expectTypeOf<Mlp<typeof dense.model>['ln_1']['weight']>().toEqualTypeOf<Lora<Matrix<'trainable'>>>()
  })

  test('dequantize gives frozen parameters, under adapters too', () => {
    expectTypeOf<Mlp<ReturnType<typeof dequantize<typeof small>>>['ln_1']['weight']>().toEqualTypeOf<
      Param<'frozen', 'matrix'>
    >()
    const under = dequantize(tuned)
    expectTypeOf<Mlp<typeof under>['ln_1']['weight']['base']>().toEqualTypeOf<Param<'frozen', 'matrix'>>()
  })

  test('freezing leaves it as it is; run-time patterns say "perhaps"', () => {
    const frozen = freeze(small)
    expectTypeOf<Mlp<typeof frozen>['ln_1']['weight']>().toEqualTypeOf<Quantized<'matrix'>>()
    const maybe = pipe(base, quantize({ at: strings }))
    expectTypeOf(maybe.out_head.weight).toEqualTypeOf<Matrix<'trainable'> | Quantized<'matrix'>>()
  })

  test('options are checked', () => {
    // @ts-expect-error no such scheme
    quantize({ at: '**', scheme: 'fp4' })
    // @ts-expect-error a number is no answer to yes or no
    quantize({ at: '**', doubleQuant: 1 })
  })
})
