// What a user's whole program looks like, from a folder of the Hub to an adapter; its cost to the compiler has a budget.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  adamw,
  allOnes,
  attach,
  count,
  detach,
  fit,
  flow,
  freeze,
  generate,
  gpt2,
  key,
  lora,
  materialize,
} from 'espalier'
import { merge, partition, pipe, project, prompt, quantize, sllm, unfreeze, variant, vector } from 'espalier'
import { loadAdapter, loadPretrained, orThrow, saveAdapter, savePretrained } from 'espalier/io'
import { mul, tensor } from 'espalier/ops'

const folder = mkdtempSync(join(tmpdir(), 'espalier-program-'))
const sizes = { vocab_size: 50, n_positions: 16, n_embd: 8, n_layer: 2, n_head: 2 }
const config = { ...sizes, model_type: 'gpt2', architectures: ['GPT2LMHeadModel'] }
await orThrow(savePretrained({ model: gpt2.init(sizes, key(0)), config }, join(folder, 'base')))

// QLoRA on a model of the Hub: the compiler knows what is in few bits, what is adapted, and what is left to train.
const { model: loaded } = await orThrow(loadPretrained(join(folder, 'base'), { as: gpt2 }))
const base = pipe(loaded, freeze, quantize({ at: '**.mlp' }))
const adapt = flow(
  (model: typeof base) => lora({ at: '**.c_attn', rank: 2, alpha: 4, key: key(1) })(model),
  unfreeze.only({ at: '**.ln_f' }),
)
const tuned = adapt(base)
const { trainable } = partition(tuned)
void trainable.transformer.h

const texts = [3, 4, 5].map((first) => ({ ids: Array.from({ length: 8 }, (_, i) => (first * (i + 1)) % 50) }))
const { model, history } = await fit(tuned, {
  data: texts,
  collate: (rows) => {
    const ids = tensor(
      rows.map((row) => row.ids),
      undefined,
      'int32',
    )
    return { ids, labels: ids }
  },
  loss: (m, batch, ctx) => gpt2.loss(m, batch, ctx),
  optimiser: adamw({ rate: 0.01 }),
  epochs: 2,
  batchSize: 2,
  key: key(2),
})
if (history.length === 0) throw new Error('nothing was learnt')
await orThrow(saveAdapter(model, join(folder, 'adapter')))
const again = await orThrow(loadAdapter(base, join(folder, 'adapter'), adapt))
const [text = []] = generate(again, tensor([[5, 7, 9]], undefined, 'int32'), { maxNewTokens: 4 })
if (text.length !== 4 || detach(model).transformer.wpe.weight !== base.transformer.wpe.weight)
  throw new Error('generate or detach')

// A weight variant of one's own beside a method of the library, on another model.
const Scaled = variant('Scaled', {
  fields: { scale: vector('out', allOnes) },
  materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
  project: (input, w, ctx) => mul(project(input, w.base, ctx), w.scale.value),
})
const small = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
const scaled = pipe(
  small,
  freeze,
  attach(Scaled)({ at: '**.mha.Wq' }),
  lora({ at: '**.mlp', rank: 2 }),
  prompt({ length: 3 }),
)
const merged: number = count(merge.knowing({ Scaled })(scaled)).parameters
if (merged - count(small).parameters !== 3 * 128) throw new Error('merge')
