import { describe, expectTypeOf, test } from 'vitest'
import { fit, freeze, key, lora, param, pipe, sllm, start, step, valueAndGrad } from '../../src/index.ts'
import type { Labelled, Lora, Matrix, Param, Run, Sllm } from '../../src/index.ts'
import { adamw } from '../../src/train/index.ts'
import type { AdamWState, Loss } from '../../src/train/index.ts'
import type { Tensor } from '../../src/ops/index.ts'

declare const base: Sllm
declare const batch: { readonly ids: Tensor; readonly labels: Tensor }
declare const unknownStatus: { readonly w: Param }
declare const scalarLoss: Loss<unknown, null>
const frozen = freeze(base)
const tuned = pipe(base, freeze, lora({ at: '**.ln_1', rank: 4 }))

describe('what can be trained', () => {
  test('a model with something trainable, or that may have', () => {
    expectTypeOf(valueAndGrad(sllm.loss)(tuned, batch).grads).toEqualTypeOf<Labelled>()
    valueAndGrad(sllm.loss)(base, batch)
    valueAndGrad(scalarLoss)(unknownStatus, null)
    valueAndGrad(scalarLoss)([param('vector', 'w', batch.ids)], null)
  })

  test('a wholly frozen one is refused by the compiler', () => {
    // @ts-expect-error every parameter is frozen
    valueAndGrad(sllm.loss)(frozen, batch)
    // @ts-expect-error every parameter is frozen
    start(frozen, adamw({ rate: 1 }), { key: key(0) })
    // @ts-expect-error a loss of another model
    valueAndGrad(sllm.loss)(unknownStatus, batch)
  })
})

test('a step keeps the type of the model, also when the loss knows less of it', () => {
  const by = adamw({ rate: 0.1 })
  const run = start(tuned, by, { key: key(0) })
  expectTypeOf(run).toEqualTypeOf<Run<typeof tuned, AdamWState>>()
  const next = step(by, sllm.loss)(run, batch)
  expectTypeOf(next.model.transformer_blocks[0]!.mlp.ln_1.weight).toEqualTypeOf<Lora<Matrix<'frozen'>>>()
})

test('fit infers examples, batch and model from its options', async () => {
  const result = await fit(tuned, {
    data: ['a', 'b'],
    collate: (texts) => {
      expectTypeOf(texts).toEqualTypeOf<readonly string[]>()
      return batch
    },
    loss: (model, { ids, labels }, ctx) => {
      expectTypeOf(model).toEqualTypeOf(tuned)
      return sllm.loss(model, { ids, labels }, ctx)
    },
    optimiser: adamw({ rate: 0.1 }),
    epochs: 1,
    batchSize: 1,
    key: key(0),
    evaluate: (model) => ({ loss: model.transformer_blocks.length }),
  })
  expectTypeOf(result.model).toEqualTypeOf(tuned)
  expectTypeOf(result.best!.model).toEqualTypeOf(tuned)
  // @ts-expect-error every parameter is frozen
  await fit(frozen, {
    data: [1],
    collate: () => batch,
    loss: sllm.loss,
    optimiser: adamw({ rate: 1 }),
    epochs: 1,
    batchSize: 1,
    key: key(0),
  })
})
