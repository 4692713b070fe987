import { expectTypeOf, test } from 'vitest'
import { boft, detach, freeze, hra, merge, oft, pipe } from '../../src/index.ts'
import type { Boft, Hra, Matrix, Oft, Sllm } from '../../src/index.ts'

declare const base: Sllm
const frozen = freeze(base)
const tuned = pipe(base, freeze, oft({ at: '**.ln_1' }), boft({ at: '**.c_proj' }), hra({ at: 'out_head' }))
type FirstBlock = (typeof tuned)['transformer_blocks'][number]

test('each says what it has put where', () => {
  expectTypeOf<FirstBlock['mlp']['ln_1']['weight']['_tag']>().toEqualTypeOf<'Oft'>()
  expectTypeOf<FirstBlock['mlp']['ln_1']['weight']['base']>().toEqualTypeOf<Matrix<'frozen'>>()
  expectTypeOf<FirstBlock['mlp']['ln_1']['weight']['v']>().toEqualTypeOf<Matrix<'trainable'>>()
  expectTypeOf<FirstBlock['mlp']['c_proj']['weight']['_tag']>().toEqualTypeOf<'Boft'>()
  expectTypeOf(tuned.out_head.weight.orthogonalise).toEqualTypeOf<boolean>()
  expectTypeOf<FirstBlock['mlp']['ln_1']['weight']>().toExtend<Oft<Matrix<'frozen'>>>()
  expectTypeOf<FirstBlock['mlp']['c_proj']['weight']>().toExtend<Boft<Matrix<'frozen'>>>()
  expectTypeOf(tuned.out_head.weight).toExtend<Hra<Matrix<'frozen'>>>()
})

test('merge and detach give the frozen type back', () => {
  expectTypeOf(merge(tuned)).toEqualTypeOf(frozen)
  expectTypeOf(detach(tuned)).toEqualTypeOf(frozen)
})

test('mistakes are compile errors', () => {
  // @ts-expect-error a place is adapted once
  pipe(base, oft({ at: '**.ln_1' }), hra({ at: '**.ln_1' }))
  // @ts-expect-error a layer norm has no matrix
  pipe(base, boft({ at: '**.ln1' }))
  // @ts-expect-error "at" must be given
  oft({ blockSize: 4 })
  // @ts-expect-error PEFT's name for it
  hra({ at: 'out_head', apply_GS: true })
})
