import { materialize } from '../../kind/index.ts'
import type { Weight } from '../../kind/index.ts'
import { context } from '../../nn/index.ts'
import type { PromptLstm, PromptMlp, Prompted } from '../../nn/index.ts'
import { putRows } from '../../transform/embeddings.ts'
import { bareShape } from '../../transform/room.ts'
import { isParam, param } from '../../tree/leaf.ts'
import type { PeftMethod, ReadJob } from './method.ts'
import { tagOf } from './modules.ts'
import { virtualRows, virtualTokens, writeVirtual } from './virtual.ts'
import type { VirtualTokens } from './virtual.ts'

const promptOf = (node: unknown): Weight | undefined =>
  tagOf(node) === 'Prompted' ? (node as Prompted<never, Weight>).prompt : undefined

const readRows = (job: ReadJob<VirtualTokens>): unknown =>
  putRows(job.model, '**', ({ node, label }) => param('table', label, virtualRows(job, bareShape(node.weight)[1])))

// How many layers and heads a model has is the model's own.
const harmless = ['num_layers', 'num_attention_heads']

/** Rows before the text, as they are. */
export const promptMethod: PeftMethod<VirtualTokens> = {
  type: 'PROMPT_TUNING',
  spec: {
    ...virtualTokens,
    harmless: [
      ...harmless,
      'prompt_tuning_init',
      'prompt_tuning_init_text',
      'tokenizer_kwargs',
      'tokenizer_name_or_path',
    ],
  },
  read: readRows,
  write: (job) =>
    writeVirtual(job, (node) => {
      const prompt = promptOf(node)
      if (prompt === undefined || !isParam(prompt)) return undefined
      const rows = prompt.value
      return { rows, config: { token_dim: rows.shape[1], prompt_tuning_init: 'RANDOM' } }
    }),
}

const encoderOf = (prompt: Weight): Readonly<Record<string, unknown>> | undefined => {
  if (prompt._tag === 'PromptMlp')
    return { type: 'MLP', hidden: (prompt as PromptMlp).fc1.bias.value.shape[0], layers: 2 }
  if (prompt._tag !== 'PromptLstm') return undefined
  const { fc1, rest } = prompt as PromptLstm
  return { type: 'LSTM', hidden: (fc1.bias.value.shape[0] ?? 0) / 2, layers: rest.length + 1 }
}

/** Rows that an encoder made. A file holds the rows alone, so what is read is trained on without an encoder. */
export const ptuningMethod: PeftMethod<VirtualTokens> = {
  type: 'P_TUNING',
  spec: {
    ...virtualTokens,
    harmless: [
      ...harmless,
      'encoder_dropout',
      'encoder_hidden_size',
      'encoder_num_layers',
      'encoder_reparameterization_type',
    ],
  },
  lost: () => 'The encoder: a file of P_TUNING holds only the rows that it made, and these are what is trained now.',
  read: readRows,
  write: (job) =>
    writeVirtual(job, (node) => {
      const prompt = promptOf(node)
      const encoder = prompt === undefined ? undefined : encoderOf(prompt)
      if (prompt === undefined || encoder === undefined) return undefined
      const rows = materialize(prompt, context())
      return {
        rows,
        config: {
          token_dim: rows.shape[1],
          encoder_reparameterization_type: encoder['type'],
          encoder_hidden_size: encoder['hidden'],
          encoder_num_layers: encoder['layers'],
          encoder_dropout: 0,
        },
      }
    }),
}
