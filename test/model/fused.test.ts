import { describe, expect, test } from 'vitest'
import {
  bert,
  bottleneck,
  context,
  freeze,
  gemma2,
  gpt2,
  headOf,
  hiddenOf,
  key,
  llama,
  lora,
  modelKinds,
  prefix,
  quantize,
  sgd,
  sllm,
  start,
  step,
  valueAndGrad,
} from '../../src/index.ts'
import type { LossCtx, Model } from '../../src/index.ts'
import { crossEntropy, memory, mul, normal, record, reshape, slice, sum, tensor } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { data, distance, idsOf, loud, tiny, tinySllm } from '../support.ts'

const sizes = {
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 3,
  num_attention_heads: 4,
} as const
const small = { ...sizes, num_key_value_heads: 2, head_dim: 6 }

const dropped = { attn_pdrop: 0.3, resid_pdrop: 0.3, embd_pdrop: 0.3 }
const gpt = gpt2.init({ vocab_size: 11, n_positions: 9, n_embd: 8, n_layer: 3, n_head: 2, ...dropped }, key(0))
const attached = lora({ at: '**.{c_attn,q_proj,query,ln_1}', rank: 2, key: key(1) }) as <M>(model: M) => M

const batch = {
  ids: idsOf([
    [1, 2, 3, 4, 5],
    [6, 7, 8, 0, 0],
  ]),
  mask: tensor([
    [1, 1, 1, 1, 1],
    [1, 1, 1, 0, 0],
  ]),
  labels: idsOf([
    [1, 2, 3, 4, 5],
    [-100, 7, 8, -100, -100],
  ]),
}

const causal = { sllm, gpt2, llama, gemma2 }
type Name = keyof typeof causal
type Loss = (model: never, batch: unknown, ctx: LossCtx) => Tensor

/** The model with every adapter loud, for a fresh one does nothing. */
const adapted = <M>(model: M): M => loud(model, (label) => /\.(a|b)$|adapter/.test(label))

const heads: readonly (readonly [string, Name, () => unknown, boolean])[] = [
  ['a frozen head with a bias', 'sllm', () => attached(freeze(tinySllm())), true],
  ['a frozen table as head', 'gpt2', () => attached(freeze(gpt)), true],
  [
    'a frozen head under a cap',
    'gemma2',
    () => attached(freeze(gemma2.init({ ...small, final_logit_softcapping: 0.05 }, key(2)))),
    true,
  ],
  ['a head behind a prefix', 'gpt2', () => prefix({ length: 2 })(freeze(gpt)), true],
  ['a head that learns', 'llama', () => llama.init(small, key(3)), false],
  ['an adapted head', 'sllm', () => lora({ at: 'out_head', rank: 2, key: key(4) })(freeze(tinySllm())), false],
  ['a packed head', 'llama', () => attached(quantize({ at: '**' })(llama.init(small, key(3)))), false],
  [
    'a head with an adapter behind it',
    'sllm',
    () => bottleneck.at({ at: 'out_head', reduction: 2 })(freeze(tinySllm())),
    false,
  ],
]

describe('the loss of a language model', () => {
  test.for(heads)('with %s', ([, name, make, fused]) => {
    const model = adapted(make()) as Model
    const loss = causal[name].loss as unknown as Loss
    const byLogits: Loss = (m, _, ctx) => {
      const all = context(ctx, modelKinds)
      const { hidden } = hiddenOf(m, batch, all)
      const [rows, length, d] = hidden.shape as [number, number, number]
      const to = reshape(slice(batch.labels, [0, 1], [rows, 4]), [rows * 4])
      return crossEntropy(headOf(m, reshape(slice(hidden, [0, length - 5, 0], [rows, 4, d]), [rows * 4, d]), all), to)
    }
    const found = valueAndGrad(loss as never)(model as never, batch)
    const expected = valueAndGrad(byLogits as never)(model as never, batch)
    expect(distance(found.value, expected.value)).toBeLessThan(1e-5)
    for (const [label, grad] of Object.entries(found.grads))
      expect(distance(grad, expected.grads[label]!), label).toBeLessThan(1e-4)
    const { nodes } = record(() => valueAndGrad(loss as never)(model as never, batch).value)
    expect(nodes.some((node) => node.name === 'crossEntropyRows')).toBe(!fused)
  })
})

describe('checkpoints', () => {
  const encoder = bert.init(
    {
      ...sizes,
      max_position_embeddings: 9,
      type_vocab_size: 2,
      hidden_dropout_prob: 0.3,
      attention_probs_dropout_prob: 0.3,
    },
    key(5),
  )
  // Weighted, for the sums of normed rows are constant.
  const weighted: Loss = (m, _, ctx) => sum(mul(bert.hidden(m, batch, ctx).hidden, normal(key(7), [2, 5, 8])))
  const seeded = { train: true, key: key(6), seed: tensor([1, 2], [2], 'int32') }
  const cases: readonly (readonly [string, () => unknown, Loss])[] = [
    ['sllm', () => tinySllm(), sllm.loss as unknown as Loss],
    ['gpt2 with lora', () => attached(freeze(gpt)), gpt2.loss as unknown as Loss],
    ['gpt2 with a prefix', () => prefix({ length: 2 })(freeze(gpt)), gpt2.loss as unknown as Loss],
    ['gemma2', () => gemma2.init(small, key(2)), gemma2.loss as unknown as Loss],
    ['bert with lora', () => attached(freeze(encoder)), weighted],
  ]

  test.for(cases)('change neither loss nor gradients: %s', ([, make, loss]) => {
    const model = adapted(make()) as never
    const kept = valueAndGrad(loss as never)(model, batch, seeded)
    const again = valueAndGrad(loss as never, { checkpoint: true })(model, batch, seeded)
    expect(data(again.value)).toEqual(data(kept.value))
    for (const [label, grad] of Object.entries(kept.grads))
      expect(distance(again.grads[label]!, grad), label).toBeLessThan(1e-6)
  })

  test('a step keeps less for its way back', () => {
    const deep = sllm.init({ ...tiny, n_layers: 12 }, key(0))
    const keptBy = (checkpoint: boolean): number => {
      let kept = 0
      const before = memory().bytes
      const loss: typeof sllm.loss = (...args) => {
        const value = sllm.loss(...args)
        kept = memory().bytes - before
        return value
      }
      step(sgd({ rate: 0.1 }), loss as never, { checkpoint })(
        start(deep, sgd({ rate: 0.1 }), { key: key(0) }) as never,
        batch,
      )
      return kept
    }
    expect(keptBy(true)).toBeLessThan(keptBy(false) / 3)
  })
})
