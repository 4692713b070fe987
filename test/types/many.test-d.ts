import { expectTypeOf, test } from 'vitest'
import { adapterOf, freeze, key, lora, pipe, prompt, sllm, unfreeze, wear, wearEach } from '../../src/index.ts'
import type { Adaptable, Adapter, Lora, Matrix, Prompted } from '../../src/index.ts'

const fresh = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
const base = freeze(fresh)
const tuned = pipe(base, lora({ at: '**.ln_1', rank: 2 }))
const french = adapterOf(tuned)

test('an adapter knows the model it makes, and wearing it gives that type', () => {
  expectTypeOf(french).toEqualTypeOf<Adapter<typeof tuned>>()
  const worn = pipe(base, wear(french))
  expectTypeOf(worn).toEqualTypeOf<typeof tuned>()
  expectTypeOf(worn.transformer_blocks[0]!.mlp.ln_1.weight).toEqualTypeOf<Lora<Matrix<'frozen'>>>()
})

test('the base may be trainable; what the adapter does not train is frozen in the result', () => {
  const worn = wear(french)(fresh)
  expectTypeOf(worn.out_head.weight).toEqualTypeOf<Matrix<'frozen'>>()
})

test('a module trained in full stays trainable in the type', () => {
  const head = adapterOf(pipe(base, unfreeze.only({ at: 'out_head' }), prompt({ length: 2 })))
  const worn = wear(head)(base)
  expectTypeOf(worn.out_head.weight).toEqualTypeOf<Matrix<'trainable'>>()
  expectTypeOf(worn.embedding_block.token_embdgs._tag).toEqualTypeOf<Prompted['_tag']>()
})

test('an adapted model is no base', () => {
  // @ts-expect-error -- its weights are wrapped already
  wear(french)(tuned)
})

test('an adapter of which nothing is known may be anywhere', () => {
  const some: Adapter = french
  const worn = wear(some)(base)
  expectTypeOf(worn).toEqualTypeOf<Adaptable<typeof base>>()
})

test('named adapters make a record of models', () => {
  const some: Adapter = french
  const models = wearEach(base, { fr: french, some })
  expectTypeOf(models.fr).toEqualTypeOf<typeof tuned>()
  expectTypeOf(models.some).toEqualTypeOf<Adaptable<typeof base>>()
  // @ts-expect-error -- no such name
  void models.de
})
