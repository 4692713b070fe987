/** The models that contestants share, made once: random weights, a LoRA's A drawn for them, in files that PyTorch reads. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freeze, gpt2, isParam, key, leaves, trainableOf } from 'espalier'
import { orThrow, savePretrained, writeSafetensors } from 'espalier/io'
import { release } from 'espalier/ops'
import { positions, rank, sizes } from './cases.ts'
import type { ModelName } from './cases.ts'
import { freshSllm, withLora } from './ours.ts'

const gpt2Config = {
  model_type: 'gpt2',
  architectures: ['GPT2LMHeadModel'],
  vocab_size: sizes.gpt2.vocab,
  n_positions: positions,
  n_embd: sizes.gpt2.d,
  n_layer: sizes.gpt2.layers,
  n_head: sizes.gpt2.heads,
  resid_pdrop: 0,
  embd_pdrop: 0,
  attn_pdrop: 0,
} as const

const make = async (name: ModelName, folder: string): Promise<unknown> => {
  if (name === 'gpt2') {
    const model = gpt2.init(gpt2Config, key(0))
    await orThrow(savePretrained({ model, config: gpt2Config }, folder))
    return model
  }
  const model = freshSllm({ sizes: sizes.sllm })
  const params = leaves(model).filter(isParam)
  await orThrow(
    writeSafetensors(join(folder, 'model.safetensors'), Object.fromEntries(params.map((p) => [p.label, p.value]))),
  )
  return model
}

/** The folder of a model, made if it is not there: `model.safetensors`, and `lora.safetensors` with A by label. */
export const fixture = async (name: ModelName, cache: string): Promise<string> => {
  const folder = join(cache, `${name}-${positions}-${rank}`)
  const complete = join(folder, 'complete')
  if (existsSync(complete)) return folder
  mkdirSync(folder, { recursive: true })
  const model = await make(name, folder)
  const tuned = withLora(freeze(model), { model: name, rank })
  const a = Object.entries(trainableOf(tuned)).filter(([label]) => label.endsWith('.a'))
  await orThrow(
    writeSafetensors(join(folder, 'lora.safetensors'), Object.fromEntries(a.map(([label, p]) => [label, p.value]))),
  )
  release(tuned, { keep: [] })
  writeFileSync(complete, '')
  return folder
}
