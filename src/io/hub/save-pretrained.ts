import { join } from 'node:path'
import type { HubConfig } from '../../model/hub-config.ts'
import { release, scope, transpose } from '../../ops/index.ts'
import { foldShifts } from '../../transform/fold-shifts.ts'
import type { Issue } from '../../tree/error.ts'
import { isConstant, isParam } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { leafPlaces, places, showPath } from '../../tree/walk.ts'
import { isPacked, isWrapper } from '../../tree/wrap.ts'
import { commit } from '../files.ts'
import { hubKey } from './hub-names.ts'
import { io, issue, refuse } from '../issues.ts'
import type { Io } from '../issues.ts'
import { writeJson } from '../json.ts'
import type { Json } from '../json.ts'
import { isTransposed } from './matching.ts'
import { planOf } from './plan.ts'
import type { Pretrained } from './pretrained.ts'
import { writeThrough } from '../tensors/safetensors.ts'

const wrapped = (model: unknown): readonly Issue[] =>
  [...places(model)]
    .filter(({ node }) => isWrapper(node) || isPacked(node))
    .map(({ node, path }) =>
      issue(
        'NotMerged',
        showPath(path),
        'a plain weight or layer',
        (node as { readonly _tag: string })._tag,
        'Merge adapters and dequantize first, or save the adapter itself with savePeft or saveAdapter.',
      ),
    )

// Halves were widened when they were read, and a head that was changed alone is no longer the embedding.
const written = (config: HubConfig, tied: boolean): HubConfig => {
  const { torch_dtype: _, dtype: __, ...rest } = config
  return { ...rest, dtype: 'float32', ...(tied ? {} : { tie_word_embeddings: false }) }
}

// Transformers 5 takes no whole number where it wants a float, and JSON has no other way to tell the two.
const floats =
  /"(\w+_softcapping|initializer_range|rms_norm_eps|layer_norm_eps|layer_norm_epsilon)": (-?\d+)(?=[,\s}])/g

const configText = (config: HubConfig): string => `${writeJson(config as Json).replace(floats, '"$1": $2.0')}\n`

/**
 * Saves a model that wraps nothing into a folder that transformers opens: `config.json` and `model.safetensors`.
 *
 * The same model gives the same bytes. Errors: `NotMerged` for a model with adapters or packed weights, `UnsupportedModel`,
 * `FileSystem`.
 *
 * @example
 * ```ts
 * import { gpt2, key } from 'espalier'
 * import { orThrow, readHeader, savePretrained } from 'espalier/io'
 *
 * const config = { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], vocab_size: 50, n_embd: 8, n_layer: 1, n_head: 2 }
 * await orThrow(savePretrained({ model: gpt2.init({ vocab_size: 50, n_embd: 8, n_layer: 1, n_head: 2 }, key(0)), config }, 'tiny'))
 * const { tensors } = await orThrow(readHeader('tiny/model.safetensors'))
 * tensors.get('transformer.h.0.attn.c_attn.weight')?.shape // => [8, 24]
 * ```
 */
export const savePretrained = (
  { model, config, task }: Pick<Pretrained<unknown>, 'model' | 'config'> & Partial<Pretrained<unknown>>,
  folder: string,
): Io<void> =>
  io(folder, async () => {
    const plain = scope(() => foldShifts(model))
    const tensors = new Map<string, Tensor>()
    const made: Tensor[] = []
    try {
      refuse(wrapped(plain))
      const { family, plan } = planOf(config, 'config.json', {
        ignore: Object.keys(config),
        ...(task === undefined ? {} : { task }),
      })
      const all = leafPlaces(plain).filter(({ node }) => !isConstant(node))
      const leafAt = new Map(all.map(({ node, path }) => [showPath(path), node]))
      const ties = Object.entries(plan.ties ?? {})
      const shared = ties.filter(([label, of]) => leafAt.get(label) === leafAt.get(of)).map(([label]) => label)
      for (const { node, path } of all) {
        const label = showPath(path)
        if (shared.includes(label)) continue
        const turns = isParam(node) && isTransposed(node.form, label, family)
        const value = turns ? scope(() => transpose(node.value)) : node.value
        if (turns) made.push(value)
        tensors.set(hubKey(label), value)
      }
      const path = join(folder, 'model.safetensors')
      await commit(folder, [
        { name: 'model.safetensors', write: (sink) => writeThrough(tensors, { format: 'pt' }, path, sink) },
        {
          name: 'config.json',
          write: (sink) => sink(Buffer.from(configText(written(config, shared.length === ties.length)))),
        },
      ])
    } finally {
      release([made, plain], { keep: [model] })
    }
  })
