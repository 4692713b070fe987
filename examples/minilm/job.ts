import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { adamw, bert, count, fit, merge, warmupCosine, key } from 'espalier'
import type { Model, Tensor, Tokens } from 'espalier'
import { loadPeft, orThrow, savePeft } from 'espalier/io'
import type { Pretrained, Tokenizer } from 'espalier/io'
import { abs, argmax, crossEntropy, item, max, read, scope, sub, tensor } from 'espalier/ops'

const EPOCHS = 3
const BATCH = 32

/** A sentence and the index of its label. */
export interface Example {
  readonly text: string
  readonly label: number
}

const names = ['no complaint', 'complaint'] as const

/** The sentences of one split of the complaint data. */
export const readSplit = async (file: string): Promise<readonly Example[]> =>
  (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => {
      const { text, label } = JSON.parse(line) as { readonly text: string; readonly label: (typeof names)[number] }
      return { text, label: names.indexOf(label) }
    })

interface Labelled extends Tokens {
  readonly labels: Tensor
}

/** What a job needs besides its model. */
export interface Setting {
  readonly base: Pretrained
  readonly tokenizer: Tokenizer
  readonly train: readonly Example[]
  readonly heldout: readonly Example[]
  readonly out: string
}

/** What came of a job. */
export interface Outcome {
  readonly accuracy: number
  readonly trainable: number
  readonly adapterBytes: number
  readonly seconds: number
  /** The greatest difference of logits after saving and loading, 0 where they are the same to the bit. */
  readonly reloaded: number
  /** The greatest difference of logits after merging. */
  readonly merged: number
}

const furthest = (a: Tensor, b: Tensor): number => item(max(abs(sub(a, b))))

/** Trains what is trainable of a classifier, saves it in PEFT's format, loads it again and merges it. */
export const run = async (tuned: Model, rate: number, setting: Setting): Promise<Outcome> => {
  const { base, tokenizer, train, heldout, out } = setting
  const collate = (examples: readonly Example[]): Labelled => ({
    ...tokenizer.batch(examples.map(({ text }) => text)),
    labels: tensor(
      examples.map(({ label }) => label),
      [examples.length],
      'int32',
    ),
  })
  const total = EPOCHS * Math.ceil(train.length / BATCH)
  const started = performance.now()
  const { model } = await fit(tuned, {
    data: train,
    collate,
    loss: (m: Model, { labels, ...tokens }: Labelled, ctx) => crossEntropy(bert.apply(m, tokens, ctx), labels),
    optimiser: adamw({ rate: warmupCosine({ peak: rate, warmup: Math.round(total / 10), total }), clip: 1 }),
    epochs: EPOCHS,
    batchSize: BATCH,
    key: key(2),
    tokens: (batch) => batch.ids.size,
  })
  const seconds = (performance.now() - started) / 1000

  const right = (examples: readonly Example[]): number =>
    scope(() => {
      const chosen = read(argmax(bert.apply(model, collate(examples))))
      return examples.filter(({ label }, i) => chosen[i] === label).length
    })
  const parts = Array.from({ length: Math.ceil(heldout.length / 64) }, (_, i) => heldout.slice(64 * i, 64 * i + 64))

  await orThrow(savePeft({ ...base, model }, out))
  const again = await orThrow(loadPeft(out, base))
  const sample = collate(heldout.slice(0, 32))
  const logits = bert.apply(model, sample)
  return {
    accuracy: parts.reduce((sum, part) => sum + right(part), 0) / heldout.length,
    trainable: count(model).trainable,
    adapterBytes: (await stat(join(out, 'adapter_model.safetensors'))).size,
    seconds,
    reloaded: furthest(logits, bert.apply(again.model, sample)),
    merged: furthest(logits, bert.apply(merge(model), sample)),
  }
}
