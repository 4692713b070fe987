import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { classifier, sllm } from 'espalier'
import type { AnySllm, ClassExample, Classifier, SllmConfig } from 'espalier'
import { loadTokenizer, orThrow } from 'espalier/io'
import type { Tokenizer } from 'espalier/io'

const folder = new URL('../../examples/complaints/', import.meta.url)

/** A file or folder of this example. */
export const here = (name: string): string => fileURLToPath(new URL(name, folder))

/** The base model's sizes: SLLM, smaller in its vocabulary and heads than the chapter's. */
export const configFor = (tokenizer: Tokenizer): SllmConfig => ({
  ...sllm.config.seed,
  d_head: 64,
  vocab_size: tokenizer.size,
})

/** The tokenizer: a text becomes `[CLS] text [SEP]`, and the label token follows. */
export const openTokenizer = (): Promise<Tokenizer> => orThrow(loadTokenizer(here('tokenizer')))

const names = ['complaint', 'no complaint'] as const
const tokens = ['<complaint>', '<no_complaint>'] as const

/** The labelled sentences of one split as token ids. */
export const readSplit = async (split: 'train' | 'heldout', tokenizer: Tokenizer): Promise<readonly ClassExample[]> => {
  const lines = (await readFile(here(`data/${split}.jsonl`), 'utf8')).trim().split('\n')
  return lines.map((line) => {
    const { text, label } = JSON.parse(line) as { readonly text: string; readonly label: (typeof names)[number] }
    return { ids: [...tokenizer.encode(text, { special: true })], label: names.indexOf(label) }
  })
}

/** SLLM as a classifier: whichever of the two label tokens is likelier after `[SEP]`. */
export const complaints = (tokenizer: Tokenizer): Classifier<AnySllm> =>
  classifier<AnySllm>({ next: sllm.nextLogits, labels: tokens.map((t) => tokenizer.id(t)) })
