import { describe, expectTypeOf, test } from 'vitest'
import { detach, fourierft, freeze, ia3, loha, lokr, merge, miss, pipe, prompt, tokens, vera } from '../../src/index.ts'
import type {
  Embedding,
  Fourierft,
  Ia3,
  Ia3Inputs,
  Loha,
  Lokr,
  Matrix,
  Prompted,
  Sllm,
  Table,
  TokenRows,
  Vera,
} from '../../src/index.ts'

declare const base: Sllm
declare const strings: readonly string[]
const frozen = freeze(base)
type First<M extends { readonly transformer_blocks: readonly { readonly mlp: unknown }[] }> =
  M['transformer_blocks'][number]['mlp']

describe('what each method does, the type says', () => {
  test('loha, vera, ia3, fourierft', () => {
    const all = pipe(
      frozen,
      loha({ at: '**.ln_1' }),
      vera({ at: '**.c_proj', rank: 4, dInitial: 0.2 }),
      ia3({ at: '**.Wk' }),
      ia3.inputs({ at: '**.Wv' }),
      fourierft({ at: 'out_head', frequencies: 10, init: 'zeros' }),
    )
    expectTypeOf<First<typeof all>['ln_1']['weight']>().toExtend<Loha<Matrix<'frozen'>>>()
    expectTypeOf<First<typeof all>['c_proj']['weight']>().toExtend<Vera<Matrix<'frozen'>>>()
    const { mha } = all.transformer_blocks[0]!
    expectTypeOf(mha.Wk.weight).toExtend<Ia3<Matrix<'frozen'>>>()
    expectTypeOf(mha.Wv.weight).toExtend<Ia3Inputs<Matrix<'frozen'>>>()
    expectTypeOf(mha.Wq.weight).toEqualTypeOf<Matrix<'frozen'>>()
    expectTypeOf(all.out_head.weight).toExtend<Fourierft<Matrix<'frozen'>>>()
    expectTypeOf(merge(all)).toEqualTypeOf(frozen)
    expectTypeOf(detach(all)).toEqualTypeOf(frozen)
  })

  test('lokr is one of four, which the tag tells apart', () => {
    const tuned = pipe(frozen, lokr({ at: 'out_head', decomposeFactor: 8 }))
    const { weight } = tuned.out_head
    expectTypeOf(weight).toEqualTypeOf<Lokr<Matrix<'frozen'>>>()
    expectTypeOf(weight._tag).toEqualTypeOf<'LokrFullFull' | 'LokrFullLow' | 'LokrLowFull' | 'LokrLowLow'>()
    if (weight._tag === 'LokrFullLow') {
      expectTypeOf(weight.w1).toEqualTypeOf<Matrix<'trainable'>>()
      expectTypeOf(weight.w2b).toEqualTypeOf<Matrix<'trainable'>>()
      // @ts-expect-error w2 is held as two thin factors
      void weight.w2
    }
    expectTypeOf(merge(tuned)).toEqualTypeOf(frozen)
    expectTypeOf(detach(tuned)).toEqualTypeOf(frozen)
  })

  test('tokens: the table of the token embedding, under a prompt too', () => {
    const tuned = pipe(frozen, tokens({ ids: [1, 2] }))
    expectTypeOf(tuned.embedding_block.token_embdgs).toEqualTypeOf<Embedding<TokenRows<Table<'frozen'>>>>()
    expectTypeOf(tuned.embedding_block.position_embdgs.weight).toEqualTypeOf<Table<'frozen'>>()
    const prompted = pipe(frozen, prompt({ length: 2 }), tokens({ at: '**.token_embdgs', ids: [1] }))
    expectTypeOf(prompted.embedding_block.token_embdgs).toEqualTypeOf<Prompted<Embedding<TokenRows<Table<'frozen'>>>>>()
    expectTypeOf(merge(tuned)).toEqualTypeOf(frozen)
    expectTypeOf(detach(prompted)).toEqualTypeOf(frozen)
  })

  test('run-time strings are typed honestly', () => {
    const { weight } = lokr({ at: strings })(frozen).out_head
    expectTypeOf(weight).toEqualTypeOf<Matrix<'frozen'> | Lokr<Matrix<'frozen'>>>()
  })
})

describe('mistakes are compile errors', () => {
  test('a wrong place, and a place that is taken', () => {
    // @ts-expect-error "**.c_porj" hits nothing here that lokr takes
    pipe(frozen, lokr({ at: '**.c_porj' }))
    // @ts-expect-error an adapted weight is no target
    pipe(frozen, ia3({ at: '**.ln_1' }), ia3.inputs({ at: '**.ln_1' }))
    // @ts-expect-error a table of positions holds no tokens
    pipe(frozen, tokens({ at: '**.position_embdgs', ids: [1] }))
    // @ts-expect-error a layer norm has no matrix
    pipe(frozen, vera({ at: '**.ln1' }))
  })
  test('a wrong option', () => {
    // @ts-expect-error ids must be given
    tokens({})
    // @ts-expect-error IA³ has no rank
    ia3({ at: '**', rank: 4 })
    // @ts-expect-error coefficients begin as normal numbers or as zeros
    fourierft({ at: '**', init: 'ones' })
    // @ts-expect-error MiSS has no alpha
    miss({ at: '**', rank: 2, alpha: 3 })
    // @ts-expect-error alpha is the family's; VeRA has none
    vera({ at: '**', alpha: 2 })
  })
})
