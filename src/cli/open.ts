import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { carriedTask, loadAdapter, loadModel, loadPeft, loadPretrained, orThrow } from '../io/index.ts'
import type { PeftModel, Pretrained, PretrainedOptions } from '../io/index.ts'
import { sllm } from '../model/sllm.ts'
import { key } from '../tree/key.ts'
import { leaves } from '../tree/walk.ts'
import { refuse, usage } from './errors.ts'

/** A model as the command line was given it; `pretrained` is absent for what saveModel wrote. */
export interface Opened {
  readonly model: unknown
  readonly pretrained?: Pretrained<unknown> & Partial<Pick<PeftModel, 'adapter' | 'lost'>>
}

/** Whether there is a file of this name in a folder. */
const has = (folder: string, name: string): Promise<boolean> =>
  stat(join(folder, name)).then(
    (found) => found.isFile(),
    () => false,
  )

const requireModelFolder = async (name: string, flag: string, expected: string): Promise<void> => {
  const found = await stat(name).catch(() => undefined)
  if (found?.isDirectory() !== true)
    throw usage(
      flag,
      expected,
      found === undefined ? `"${name}", which is not there` : `"${name}", a file`,
      'Check the path.',
    )
}

/** The model a name or a folder stands for. */
export const openModel = async (name: string, options: PretrainedOptions = {}): Promise<Opened> => {
  if (name === 'sllm') return { model: sllm.init(sllm.config.seed, key(0)) }
  await requireModelFolder(
    name,
    '--model',
    '"sllm", a folder with config.json and model.safetensors, or one that saveModel wrote',
  )
  if (await has(name, 'model.json')) return { model: await orThrow(loadModel(name)) }
  const pretrained = await orThrow(loadPretrained(name, options))
  return { model: pretrained.model, pretrained }
}

/** A head that was drawn to make room for the adapter's own must have been replaced by it. */
const requireHead = (adapter: string, base: Pretrained<unknown>, tuned: unknown): void => {
  const before = new Map(leaves(base.model).map((leaf) => [leaf.label, leaf.value]))
  const after = new Map(leaves(tuned).map((leaf) => [leaf.label, leaf.value]))
  refuse(
    (base.drawn ?? [])
      .filter((label) => after.get(label) === before.get(label))
      .map((label) => ({
        _tag: 'MissingTensor',
        path: `${adapter}#${label}`,
        expected: 'a parameter that the model has, or the adapter under modules_to_save',
        found: 'none in either',
        hint: 'The adapter was trained on a checkpoint with such a head: give that one, or train it again with the module saved.',
      })),
  )
}

/** A model with an adapter on: one of ours, or one that PEFT saved. */
export const openAdapted = async (modelName: string, adapter: string | undefined): Promise<Opened> => {
  if (adapter === undefined) return openModel(modelName)
  await requireModelFolder(adapter, '--adapter', 'a folder that PEFT, saveAdapter or savePeft wrote')
  const ours = await has(adapter, 'adapter.json')
  if (!ours && !(await has(adapter, 'adapter_config.json')))
    throw usage(
      '--adapter',
      'a folder with adapter_config.json, or with adapter.json',
      `"${adapter}", which has neither`,
      'Give the folder that the adapter was saved in.',
    )
  const opened = await openModel(modelName, await orThrow(carriedTask(adapter)))
  const { model, pretrained } = opened
  if (!ours && pretrained === undefined)
    throw usage(
      '--adapter',
      'a folder that saveAdapter wrote, for a model that saveModel wrote',
      `"${adapter}"`,
      'Adapters of PEFT belong to models of the Hugging Face Hub.',
    )
  if (pretrained === undefined) return { model: await orThrow(loadAdapter(model, adapter)) }
  const tuned = ours
    ? { ...pretrained, model: (await orThrow(loadAdapter(model, adapter))) as unknown }
    : await orThrow(loadPeft(adapter, pretrained))
  requireHead(adapter, pretrained, tuned.model)
  return { model: tuned.model, pretrained: tuned }
}
