import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAdapter, loadModel, loadPeft, loadPretrained, orThrow } from '../io/index.ts'
import type { PeftModel, Pretrained } from '../io/index.ts'
import { sllm } from '../model/sllm.ts'
import { key } from '../tree/key.ts'
import { usage } from './errors.ts'

/** A model as the command line was given it; `pretrained` is absent for what saveModel wrote. */
export interface Opened {
  readonly model: unknown
  readonly pretrained?: Pretrained & Partial<PeftModel>
}

/** Whether there is a file of this name in a folder. */
const has = (folder: string, name: string): Promise<boolean> =>
  stat(join(folder, name)).then(
    (found) => found.isFile(),
    () => false,
  )

/** The model a name or a folder stands for. */
export const openModel = async (name: string): Promise<Opened> => {
  if (name === 'sllm') return { model: sllm.init(sllm.config.seed, key(0)) }
  const found = await stat(name).catch(() => undefined)
  if (found?.isDirectory() !== true)
    throw usage(
      '--model',
      '"sllm", a folder with config.json and model.safetensors, or one that saveModel wrote',
      `"${name}"`,
      'Check the path.',
    )
  if (await has(name, 'model.json')) return { model: await orThrow(loadModel(name)) }
  const pretrained = await orThrow(loadPretrained(name))
  return { model: pretrained.model, pretrained }
}

/** A model with an adapter on: one of ours, or one that PEFT saved. */
export const openAdapted = async (modelName: string, adapter: string | undefined): Promise<Opened> => {
  const opened = await openModel(modelName)
  if (adapter === undefined) return opened
  const { model, pretrained } = opened
  if (await has(adapter, 'adapter.json')) {
    const tuned = await orThrow(loadAdapter(model, adapter))
    return { model: tuned, ...(pretrained === undefined ? {} : { pretrained: { ...pretrained, model: tuned } }) }
  }
  if (pretrained === undefined)
    throw usage(
      '--adapter',
      'a folder that saveAdapter wrote, for a model that saveModel wrote',
      `"${adapter}"`,
      'Adapters of PEFT belong to models of the Hugging Face Hub.',
    )
  const tuned = await orThrow(loadPeft(adapter, pretrained))
  return { model: tuned.model, pretrained: tuned }
}
