// Trains the base model that ships in base/: a language model of customer feedback that knows nothing of labels.
// npm run example complaints/train-base
import { execFileSync } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { adamw, collateTokens, count, engine, fit, key, sllm, warmupLinear } from 'espalier'
import { orThrow, saveModel } from 'espalier/io'
import { configFor, here, openTokenizer } from './task.ts'

await engine()
const tokenizer = await openTokenizer()

// `[CLS] sentence [SEP] sentence [SEP]`: what follows a [SEP] depends on the mood of what came before, so [SEP] learns to sum it up.
const tokenise = (line: string): readonly number[] =>
  [
    tokenizer.id('[CLS]'),
    ...line.split(/(?<=[.!?]) /).flatMap((sentence) => [...tokenizer.encode(sentence), tokenizer.id('[SEP]')]),
  ].slice(0, sllm.config.seed.context_window)

// The corpus of base.txt, three times as long, and the sentences to be classified later, without their labels.
await mkdir(here('out'), { recursive: true })
execFileSync(process.execPath, [here('scripts/make-base-corpus.mjs'), '36000', '8', here('out/base.txt')], {
  stdio: 'inherit',
})
const corpus = (await readFile(here('out/base.txt'), 'utf8')).trim().split('\n')
const sentences = (await readFile(here('data/train.jsonl'), 'utf8'))
  .trim()
  .split('\n')
  .map((line) => (JSON.parse(line) as { readonly text: string }).text)
const data = [...corpus, ...sentences, ...sentences, ...sentences].map((line) => ({ ids: tokenise(line) }))

const model = sllm.init(configFor(tokenizer), key('complaints base'))
console.log(`${count(model).parameters.toLocaleString('en-US')} parameters, ${data.length} lines`)
const epochs = 2
const batchSize = 32
const total = epochs * Math.ceil(data.length / batchSize)
const { model: trained, history } = await fit(model, {
  data,
  collate: (lines) => collateTokens(lines),
  loss: sllm.loss,
  optimiser: adamw({ rate: warmupLinear({ peak: 3e-3, warmup: 50, total, end: 1.5e-4 }), weightDecay: 0, clip: 1 }),
  epochs,
  batchSize,
  key: key('complaints base'),
  tokens: (batch) => batch.ids.size,
  onStep: ({ step, loss }) =>
    void (step % 100 === 0 && console.log(`step ${step} of ${total}, loss ${loss.toFixed(3)}`)),
})
console.log(`last loss ${history.findLast((r) => r.kind === 'step')?.loss.toFixed(3)}`)
await orThrow(saveModel(trained, here('base')))
