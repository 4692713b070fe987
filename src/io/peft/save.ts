import { join } from 'node:path'
import { release, scope } from '../../ops/index.ts'
import { adapterOf } from '../../transform/wear.ts'
import { commit } from '../files.ts'
import { io, reject } from '../issues.ts'
import type { Io } from '../issues.ts'
import { writeJson } from '../json.ts'
import type { Json } from '../json.ts'
import type { Pretrained } from '../pretrained.ts'
import { writeThrough } from '../safetensors.ts'
import type { PeftModel } from './load.ts'
import { peftMethods } from './methods.ts'

const taskTypes: Readonly<Record<Pretrained['task'], string | null>> = {
  base: 'FEATURE_EXTRACTION',
  'causal-lm': 'CAUSAL_LM',
  'sequence-classification': 'SEQ_CLS',
  'token-classification': 'TOKEN_CLS',
}

const sorted = (record: Readonly<Record<string, unknown>>): Json =>
  Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1))) as Json

/**
 * Saves what stands on a model as PEFT would, so that PEFT puts it on the same checkpoint.
 *
 * The same adapter gives the same bytes. Errors: `UnsupportedAdapter` for what PEFT has no name for, `FileSystem`.
 *
 * @example
 * ```ts
 * import { gpt2, freeze, key, lora, pipe } from 'espalier'
 * import { orThrow, readHeader, savePeft } from 'espalier/io'
 *
 * const config = { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], vocab_size: 50, n_embd: 8, n_layer: 1, n_head: 2 }
 * const base = gpt2.init({ vocab_size: 50, n_embd: 8, n_layer: 1, n_head: 2 }, key(0))
 * const model = pipe(base, freeze, lora({ at: '**.c_attn', rank: 2 }))
 * await orThrow(savePeft({ model, config, family: 'gpt2', task: 'causal-lm' }, 'for-peft'))
 * const { tensors } = await orThrow(readHeader('for-peft/adapter_model.safetensors'))
 * tensors.get('base_model.model.transformer.h.0.attn.c_attn.lora_A.weight')?.shape // => [2, 8]
 * ```
 * @source The format of Hugging Face PEFT 0.21.
 */
export const savePeft = (pretrained: Pretrained & Partial<PeftModel>, folder: string): Io<void> =>
  io(folder, async () => {
    const { parts } = adapterOf(pretrained.model)
    const kept = parts.map(({ node }) => node)
    const written = scope(() => {
      const job = { model: pretrained.model, pretrained, parts }
      for (const method of peftMethods) {
        const found = method.write(job)
        if (found !== undefined) return { ...found, type: method.type }
      }
      return reject(
        'UnsupportedAdapter',
        '',
        `an adapter of one of PEFT's types: ${peftMethods.map(({ type }) => type).join(', ')}`,
        [...new Set(kept.map((node) => String((node as { readonly _tag?: unknown })._tag)))].join(', ') ||
          'nothing that is trained',
        'Save it with saveAdapter, which takes everything.',
      )
    })
    const config = {
      base_model_name_or_path: null,
      revision: null,
      auto_mapping: null,
      task_type: taskTypes[pretrained.task],
      ...written.config,
      inference_mode: true,
      peft_type: written.type,
    }
    try {
      const path = join(folder, 'adapter_model.safetensors')
      await commit(folder, [
        {
          name: 'adapter_model.safetensors',
          write: (sink) => writeThrough(written.tensors, { format: 'pt' }, path, sink),
        },
        { name: 'adapter_config.json', write: (sink) => sink(Buffer.from(`${writeJson(sorted(config))}\n`)) },
      ])
    } finally {
      release([...written.tensors.values()], { keep: [pretrained.model] })
    }
  })
