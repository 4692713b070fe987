import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isFile } from '../io/files.ts'
import {
  carriedTask,
  loadAdapter,
  loadAdapterHub,
  loadMlx,
  loadModel,
  loadPeft,
  loadPretrained,
  orThrow,
} from '../io/index.ts'
import type { Pretrained, PretrainedOptions } from '../io/index.ts'
import { paddedWith, readNotes } from '../io/hub/notes.ts'
import type { Adapted } from '../io/hub/notes.ts'
import { sllm } from '../model/sllm.ts'
import { key } from '../tree/key.ts'
import { leaves } from '../tree/walk.ts'
import { refuse, usage } from './errors.ts'

/** A model as the command line was given it; `pretrained` is absent for what saveModel wrote. */
export interface Opened {
  readonly model: unknown
  readonly pretrained?: Adapted
}

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
  if (await isFile(join(name, 'model.json'))) return { model: await orThrow(loadModel(name)) }
  const pretrained = await orThrow(loadPretrained(name, options))
  return { model: pretrained.model, pretrained }
}

/** A head that was drawn to make room for the adapter's own must have been replaced by it. */
const requireHead = (adapter: string, base: Pretrained<unknown>, tuned: unknown): void => {
  const before = new Map(leaves(base.model).map((leaf) => [leaf.label, leaf.value]))
  const after = new Map(leaves(tuned).map((leaf) => [leaf.label, leaf.value]))
  const issues = (base.drawn ?? [])
    .filter((label) => after.get(label) === before.get(label))
    .map((label) => ({
      _tag: 'MissingTensor',
      path: `${adapter}#${label}`,
      expected: 'a parameter that the model has, or the adapter under modules_to_save',
      found: 'none in either',
      hint: 'The adapter was trained on a checkpoint with such a head: give that one, or train again with the module saved.',
    }))
  if (issues.length > 0) refuse(issues)
}

type Load = (adapter: string, base: Pretrained<unknown>) => Promise<Adapted>

/** An adapter of ours on a model of the Hub, with what is noted beside it. */
const loadOurs: Load = async (adapter, plain) => {
  const { pad, peft, lost } = await readNotes(adapter)
  const base = pad === undefined ? plain : paddedWith(plain, pad)
  const model: unknown = await orThrow(loadAdapter(base.model, adapter))
  return { ...base, model, ...(peft && { adapter: peft }), ...(lost !== undefined && { lost }) }
}

/** Who wrote an adapter, by the files that it is in. */
const libraries: readonly (readonly [file: string, load: Load])[] = [
  ['adapter.json', loadOurs],
  ['adapters.safetensors', (adapter, base) => orThrow(loadMlx(adapter, base))],
  ['adapter.safetensors', (adapter, base) => orThrow(loadAdapterHub(adapter, base))],
  ['pytorch_adapter.bin', (adapter, base) => orThrow(loadAdapterHub(adapter, base))],
  ['adapter_config.json', (adapter, base) => orThrow(loadPeft(adapter, base))],
]

const loaderFor = async (adapter: string): Promise<Load> => {
  for (const [file, load] of libraries) if (await isFile(join(adapter, file))) return load
  throw usage(
    '--adapter',
    'a folder with adapter_config.json, or with adapter.json',
    `"${adapter}", which has neither`,
    'Give the folder that the adapter was saved in.',
  )
}

/** A model with an adapter on: of ours, of PEFT, of AdapterHub or of MLX. */
export const openAdapted = async (modelName: string, adapter: string | undefined): Promise<Opened> => {
  if (adapter === undefined) return openModel(modelName)
  await requireModelFolder(adapter, '--adapter', 'a folder that PEFT, savePeft, saveAdapter, MLX or AdapterHub wrote')
  const load = await loaderFor(adapter)
  const { model, pretrained } = await openModel(modelName, await orThrow(carriedTask(adapter)))
  if (pretrained === undefined) {
    if (load === loadOurs) return { model: await orThrow(loadAdapter(model, adapter)) }
    throw usage(
      '--adapter',
      'a folder that saveAdapter wrote, for a model that saveModel wrote',
      `"${adapter}"`,
      'Adapters of other libraries belong to models of the Hugging Face Hub.',
    )
  }
  const tuned = await load(adapter, pretrained)
  requireHead(adapter, pretrained, tuned.model)
  return { model: tuned.model, pretrained: tuned }
}
