import { PositiveWhole } from '../../kind/number-codecs.ts'
import type { ConfigSpec } from '../../model/hub-config.ts'
import type { Prompted } from '../../nn/index.ts'
import { putRows } from '../../transform/embeddings.ts'
import { bareShape } from '../../transform/room.ts'
import { isParam, param } from '../../tree/leaf.ts'
import type { Param } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { reject } from '../issues.ts'
import type { PeftMethod, ReadJob } from './method.ts'
import { tagOf } from './modules.ts'

/** What every method reads in a configuration that puts something before the text. */
export interface VirtualTokens {
  readonly num_virtual_tokens: number
  readonly token_dim: number
}

export const virtualTokens: ConfigSpec<VirtualTokens> = {
  props: { num_virtual_tokens: PositiveWhole, token_dim: PositiveWhole },
  defaults: {},
  only: { num_transformer_submodules: [1] },
  // Layers and heads are the model's own.
  harmless: ['num_layers', 'num_attention_heads'],
}

/** The rows of a file, of which configuration and file must say the same. */
export const virtualRows = ({ config, global, at }: ReadJob<VirtualTokens>, width: number): Tensor => {
  const rows = global('prompt_embeddings')
  const expected = [config.num_virtual_tokens, width].join(', ')
  return rows.shape.join(', ') === expected
    ? rows
    : reject(
        'ShapeMismatch',
        at('num_virtual_tokens'),
        `prompt_embeddings [${expected}], as this configuration and the model have it`,
        `[${rows.shape.join(', ')}]`,
        'Is this the model that the adapter was trained on?',
      )
}

const isPrompted = (node: unknown): node is Prompted => tagOf(node) === 'Prompted'

/** Puts the rows of a file before the token embeddings. */
export const readPrompt = (job: ReadJob<VirtualTokens>): unknown =>
  putRows(job.model, '**', ({ node, label }) => param('table', label, virtualRows(job, bareShape(node.weight)[1])))

/** Rows before the text, as they are. */
export const promptMethod: PeftMethod<VirtualTokens> = {
  type: 'PROMPT_TUNING',
  spec: {
    ...virtualTokens,
    harmless: [
      ...(virtualTokens.harmless ?? []),
      'prompt_tuning_init',
      'prompt_tuning_init_text',
      'tokenizer_kwargs',
      'tokenizer_name_or_path',
    ],
  },
  read: readPrompt,
  write: ({ parts }) => {
    const [part] = parts
    if (parts.length !== 1 || !isPrompted(part?.node) || !isParam(part.node.prompt)) return undefined
    const { value } = part.node.prompt as Param
    const [length = 0, d = 0] = value.shape
    return {
      config: { num_virtual_tokens: length, token_dim: d, num_transformer_submodules: 1, prompt_tuning_init: 'RANDOM' },
      tensors: new Map([['prompt_embeddings', value]]),
    }
  },
}
