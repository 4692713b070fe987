// Trains the base model that ships in base/: a language model of data/base.txt, which knows nothing of labels.
// npm run example complaints/train-base
import { readFile } from 'node:fs/promises'
import { adamw, chain, clipByGlobalNorm, collateTokens, count, engine, fit, key, sllm, warmupCosine } from 'espalier'
import { orThrow, saveModel } from 'espalier/io'
import type { Tokenizer } from 'espalier/io'
import { configFor, here, openTokenizer } from './task.ts'

/** `[CLS] sentence [SEP] sentence [SEP]`: what follows a [SEP] depends on the mood of what came before, so [SEP] learns to sum it up. */
const tokenise = (line: string, tokenizer: Tokenizer): readonly number[] =>
  [
    tokenizer.id('[CLS]'),
    ...line.split(/(?<=[.!?]) /).flatMap((sentence) => [...tokenizer.encode(sentence), tokenizer.id('[SEP]')]),
  ].slice(0, sllm.config.seed.context_window)

await engine()
const tokenizer = await openTokenizer()
const lines = (await readFile(here('data/base.txt'), 'utf8')).trim().split('\n')
const data = lines.map((line) => ({ ids: tokenise(line, tokenizer) }))
const model = sllm.init(configFor(tokenizer), key('complaints base'))
console.log(`${count(model).parameters.toLocaleString('en-US')} parameters, ${data.length} lines`)

const epochs = 5
const batchSize = 32
const total = epochs * Math.ceil(data.length / batchSize)
const { model: trained, history } = await fit(model, {
  data,
  collate: collateTokens,
  loss: sllm.loss,
  optimiser: chain(clipByGlobalNorm(1), adamw({ rate: warmupCosine({ peak: 3e-3, warmup: 50, total }), decay: 0.01 })),
  epochs,
  batchSize,
  key: key('complaints base'),
  tokens: (batch) => batch.ids.size,
})
const last = history.at(-1)
console.log(`loss ${last?.kind === 'step' ? last.loss.toFixed(3) : '?'}`)
await orThrow(saveModel(trained, here('base')))
