// Fine-tunes SLLM to tell complaints from other customer feedback: npm start
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  adamw,
  count,
  curveSvg,
  curveText,
  detach,
  diff,
  engine,
  fit,
  freeze,
  key,
  leaves,
  lora,
  merge,
  pipe,
  show,
  sllm,
  warmupCosine,
} from 'espalier'
import type { AnySllm, Sllm, Tensor } from 'espalier'
import { loadAdapter, loadModel, orThrow, saveAdapter } from 'espalier/io'
import { abs, item, max, sub } from 'espalier/ops'
import { complaints, configFor, here, openTokenizer, readSplit } from './task.ts'

const started = performance.now()
const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`
const say = (title: string, text: string): void =>
  console.log(`\n── ${title} ${'─'.repeat(Math.max(0, 76 - title.length))}\n${text}`)
const percent = (x: number): string => `${(100 * x).toFixed(1)} %`
const furthest = (a: Tensor, b: Tensor): number => item(max(abs(sub(a, b))))

await engine()
const tokenizer = await openTokenizer()
const task = complaints(tokenizer)
const [train, heldout] = await Promise.all([readSplit('train', tokenizer), readSplit('heldout', tokenizer)])

// The shape that the saved base must have; its own values are not used.
const shape = (): Sllm => sllm.init(configFor(tokenizer), key(0))
const base = freeze(await orThrow(loadModel(here('base'), shape())))
say('the base, a language model that knows no labels', show(base, { color: process.stdout.isTTY }))
const before = task.evaluate(base, heldout)

const adapter = { at: 'transformer_blocks', rank: 2, alpha: 2 } as const
const tuned = pipe(base, lora({ ...adapter, key: key(1) }))
const { parameters, trainable } = count(tuned)
say('with LoRA on every linear layer of the blocks', show(tuned, { color: process.stdout.isTTY }))
console.log(`\n${String(diff(base, tuned)).split('\n').at(-1)}`)

const epochs = 8
const batchSize = 64
const total = epochs * Math.ceil(train.length / batchSize)
say(
  'training',
  `${train.length} sentences, ${epochs} epochs; SLLM classifies by which label token is likelier after [SEP]`,
)
const out = here('out')
await mkdir(out, { recursive: true })
const { model, history } = await fit(tuned, {
  data: train,
  collate: task.collate,
  loss: task.loss,
  optimiser: adamw({ rate: warmupCosine({ peak: 4e-3, warmup: 10, total }), weightDecay: 0.1, clip: 1 }),
  epochs,
  batchSize,
  key: key(2),
  tokens: (batch) => batch.ids.size,
  progress: true,
  metrics: join(out, 'metrics.jsonl'),
})
await writeFile(join(out, 'loss.svg'), curveSvg(history))
console.log(curveText(history))
const after = task.evaluate(model, heldout)

const sample = task.collate(heldout.slice(0, 32))
const logits = (m: AnySllm): Tensor => task.logits(m, sample)
await orThrow(saveAdapter(model, join(out, 'adapter'), { recipe: [{ freeze: {} }, { lora: adapter }] }))
const reloaded = await orThrow(loadAdapter(base, join(out, 'adapter')))
const identical = furthest(logits(model), logits(reloaded)) === 0
const untouched = leaves(detach(model)).every((leaf, i) => leaf === leaves(base)[i])
const merged = furthest(logits(model), logits(merge(model)))

say(
  'result',
  [
    `trained              ${trainable.toLocaleString('en-US')} of ${parameters.toLocaleString('en-US')} parameters (${percent(trainable / parameters)})`,
    `held-out accuracy    ${percent(before.accuracy)} before, ${percent(after.accuracy)} after (${heldout.length} sentences)`,
    `base untouched       ${untouched ? 'every leaf is the object it was' : 'NO'}`,
    `adapter reloaded     ${identical ? 'logits identical to the bit' : 'LOGITS DIFFER'}`,
    `merged               logits equal within ${merged.toExponential(1)}`,
    `files                ${join(out, 'adapter')}`,
    `picture              ${join(out, 'loss.svg')}`,
    `time                 ${seconds()}`,
  ].join('\n'),
)
if (!identical || !untouched || !(merged < 1e-3) || !(after.accuracy >= 0.85)) process.exitCode = 1
