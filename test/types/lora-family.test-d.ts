import { describe, expectTypeOf, test } from 'vitest'
import { adalora, byLabel, detach, dora, freeze, loraPlus, lora, merge, pipe, sgd, toLora } from '../../src/index.ts'
import type {
  AdaLora,
  AnyLoraInit,
  Dora,
  Embedding,
  Linear,
  Lora,
  LoraFrom,
  Matrix,
  Optimiser,
  SgdState,
  Shifted,
  Sllm,
  Table,
  Vector,
} from '../../src/index.ts'

declare const base: Sllm
declare const someInit: AnyLoraInit
declare const somewhere: string
const frozen = freeze(base)

describe('what wraps a weight follows from the options', () => {
  test('an init that draws gives Lora, one that begins from the weight LoraFrom', () => {
    const drawn = pipe(base, freeze, lora({ at: 'out_head', rank: 2, init: 'orthogonal' }))
    expectTypeOf(drawn.out_head.weight).toEqualTypeOf<Lora<Matrix<'frozen'>>>()
    const started = pipe(base, freeze, lora({ at: 'out_head', rank: 2, init: 'pissa' }))
    expectTypeOf(started.out_head.weight).toEqualTypeOf<LoraFrom<Matrix<'frozen'>>>()
    const either = pipe(base, freeze, lora({ at: 'out_head', rank: 2, init: someInit }))
    expectTypeOf(either.out_head.weight).toEqualTypeOf<Lora<Matrix<'frozen'>> | LoraFrom<Matrix<'frozen'>>>()
    expectTypeOf(merge(started)).toEqualTypeOf(frozen)
    expectTypeOf(detach(started)).toEqualTypeOf(frozen)
  })

  test('a step as a value, and a run-time pattern', () => {
    const step = lora({ at: '**.ln_1', rank: 8, init: 'olora' })
    expectTypeOf(step(base).transformer_blocks[0]!.mlp.ln_1.weight).toEqualTypeOf<LoraFrom<Matrix<'trainable'>>>()
    const maybe = lora({ at: somewhere, rank: 8, init: 'pissa' })(base)
    expectTypeOf(maybe.out_head.weight).toEqualTypeOf<Matrix<'trainable'> | LoraFrom<Matrix<'trainable'>>>()
    expectTypeOf(merge(maybe).out_head.weight).toEqualTypeOf<Matrix<'trainable'>>()
  })

  test('a bias on B wraps the layer, and stays when the weight is merged', () => {
    const tuned = pipe(base, freeze, lora({ at: 'out_head', rank: 2, bias: true }))
    expectTypeOf(tuned.out_head).toEqualTypeOf<Shifted<Linear<Lora<Matrix<'frozen'>>, Vector<'frozen'> | null>>>()
    expectTypeOf(merge(tuned).out_head.base.weight).toEqualTypeOf<Matrix<'frozen'>>()
    expectTypeOf(detach(tuned).out_head.weight).toEqualTypeOf<Matrix<'frozen'>>()
    // @ts-expect-error a weight by itself has no outputs to shift
    pipe(base, lora({ at: 'out_head.weight', rank: 2, bias: true }))
  })

  test('toLora makes plain LoRA of what began from a weight, and of nothing else', () => {
    const both = pipe(base, freeze, lora({ at: 'out_head', rank: 2, init: 'pissa' }), dora({ at: '**.ln_1', rank: 2 }))
    const plain = toLora(both)
    expectTypeOf(plain.out_head.weight).toEqualTypeOf<Lora<Matrix<'frozen'>>>()
    expectTypeOf(plain.transformer_blocks[0]!.mlp.ln_1.weight).toEqualTypeOf<Dora<Matrix<'frozen'>>>()
  })
})

describe('each method takes its own places', () => {
  test('embeddings by lora.embedding, matrices by lora', () => {
    const rows = pipe(base, freeze, lora.embedding({ at: '**', rank: 2 }))
    expectTypeOf(rows.embedding_block.token_embdgs).toEqualTypeOf<Embedding<Lora<Table<'frozen'>>>>()
    expectTypeOf(rows.out_head.weight).toEqualTypeOf<Matrix<'frozen'>>()
    expectTypeOf(merge(rows)).toEqualTypeOf(frozen)
    // @ts-expect-error an embedding holds no matrix
    pipe(base, lora({ at: '**.token_embdgs', rank: 2 }))
    // @ts-expect-error a layer holds no table
    pipe(base, lora.embedding({ at: '**.ln_1', rank: 2 }))
    // @ts-expect-error a lookup has no input to drop
    lora.embedding({ at: '**.token_embdgs', rank: 2, dropout: 0.1 })
  })

  test('dora and adalora; merging is the frozen model again', () => {
    const tuned = pipe(base, freeze, dora({ at: '**.ln_1', rank: 2 }), adalora({ at: '**.c_proj', rank: 2 }))
    const { mlp } = tuned.transformer_blocks[0]!
    expectTypeOf(mlp.ln_1.weight).toEqualTypeOf<Dora<Matrix<'frozen'>>>()
    expectTypeOf(mlp.c_proj.weight).toEqualTypeOf<AdaLora<Matrix<'frozen'>>>()
    expectTypeOf(merge(tuned)).toEqualTypeOf(frozen)
    // @ts-expect-error what is adapted is no target
    pipe(tuned, lora({ at: '**.ln_1', rank: 2 }))
    // @ts-expect-error DoRA does not begin from a part of the weight
    dora({ at: '**', rank: 2, init: 'pissa' })
    // @ts-expect-error no such option
    adalora({ at: '**', rank: 2, init: 'gaussian' })
    // @ts-expect-error did you mean "**.c_proj"?
    pipe(base, dora({ at: '**.c_porj', rank: 2 }))
  })
})

describe('groups', () => {
  test('the state is one for each group, and only their names may be given', () => {
    const groups = byLabel((label) => (label.endsWith('b') ? 'fast' : 'slow'), {
      fast: sgd({ rate: 1 }),
      slow: sgd({ rate: 0.1 }),
    })
    expectTypeOf(groups).toExtend<Optimiser<{ fast: SgdState; slow: SgdState }>>()
    // @ts-expect-error there is no group of this name
    byLabel(() => 'quick', { fast: sgd({ rate: 1 }) })
    // @ts-expect-error a rate is needed
    loraPlus(base, { ratio: 16 })
  })
})
