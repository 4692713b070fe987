import { decodeHubConfig } from '../../model/hub-config.ts'
import type { ConfigSpec, HubConfig } from '../../model/hub-config.ts'
import { freeze } from '../../transform/index.ts'
import type { Adaptable } from '../../transform/index.ts'
import { inFile, reject, rightOr } from '../issues.ts'
import type { Io } from '../issues.ts'
import type { Pretrained } from '../hub/pretrained.ts'
import { familyNamed } from '../hub/plan.ts'
import { bookkeeping } from './bookkeeping.ts'
import { peftFiles } from './folder.ts'
import type { PeftFolder } from './folder.ts'
import { nodesOf } from './layers.ts'
import { loaded } from './loaded.ts'
import type { PeftModel, Wearing } from './loaded.ts'
import type { AnyPeftMethod, ReadJob } from './method.ts'
import { peftMethods } from './methods.ts'
import { modulesOf } from './modules.ts'
import { readerOf } from './reader.ts'
import { requireCopies, saveWholeModules } from './save-modules.ts'
import { targetsOf } from './targets.ts'
import type { Targeting } from './targets.ts'
import { knownTaskTypes } from './tasks.ts'

const methodOf = ({ config, configPath }: PeftFolder): AnyPeftMethod => {
  const type = config['peft_type']
  return (
    peftMethods.find((method) => method.type === type) ??
    reject(
      'UnsupportedAdapter',
      inFile(configPath, 'peft_type'),
      peftMethods.map((method) => method.type).join(', '),
      JSON.stringify(type) ?? 'nothing',
      'Adapters of other types are not read.',
    )
  )
}

const decoded = (method: AnyPeftMethod, { config, configPath }: PeftFolder): Targeting & HubConfig => {
  const spec = {
    ...method.spec,
    harmless: [...(method.spec.harmless ?? []), ...Object.keys(bookkeeping)],
  } as never as ConfigSpec<Targeting & HubConfig>
  const task = config['task_type'] ?? null
  if (task !== null && !knownTaskTypes.includes(task))
    reject(
      'BadConfig',
      inFile(configPath, 'task_type'),
      `null or one of ${knownTaskTypes.join(', ')}`,
      JSON.stringify(task).slice(0, 80),
      'Another program wrote this file.',
    )
  return rightOr(decodeHubConfig(spec, config), (i) => ({ ...i, path: inFile(configPath, i.path) }))
}

/** The model with what the files say on it, and what they have lost of it. */
export const putOn = (
  files: PeftFolder,
  method: AnyPeftMethod,
  model: unknown,
  pretrained: Pretrained<unknown>,
): Wearing => {
  const config = decoded(method, files)
  const reader = readerOf(files, familyNamed(pretrained.family).body)
  const at = (key: string): string => inFile(files.configPath, key)
  const modules = modulesOf(model)
  const base = freeze(model)
  const job: ReadJob<typeof config> = {
    ...reader,
    model: base,
    nodes: nodesOf(base),
    pretrained,
    config,
    modules,
    targets: 'target_modules' in config ? targetsOf(config, modules, at) : [],
    at,
  }
  const worn = saveWholeModules(method.read(job), job)
  requireCopies(worn, job, reader)
  reader.requireAllUsed()
  const lost = method.lost?.(config)
  return { model: worn, ...(lost === undefined ? {} : { lost }) }
}

/**
 * Puts an adapter that PEFT saved on the model it was trained on: `adapter_config.json` and `adapter_model.safetensors`.
 *
 * The base is frozen and shared, what the adapter brings is trainable. What cannot be read faithfully is refused by name,
 * tensors that nothing asks for included. Errors: `FileSystem`, `BadJson`, `UnsupportedAdapter`, `UnsupportedConfig`, `NoMatch`
 * for targets that the model has not, `MissingTensor`, `ExtraTensor`, `ShapeMismatch`.
 *
 * @example
 * ```ts
 * import { count, gpt2, freeze, key, lora, pipe } from 'espalier'
 * import { loadPeft, orThrow, savePeft } from 'espalier/io'
 *
 * const config = { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], vocab_size: 50, n_embd: 8, n_layer: 2, n_head: 2 }
 * const model = gpt2.init({ vocab_size: 50, n_embd: 8, n_layer: 2, n_head: 2 }, key(0))
 * const base = { model, config, family: 'gpt2', task: 'causal-lm' } as const
 * const tuned = pipe(model, freeze, lora({ at: '**.c_attn', rank: 2, alpha: 4, scaling: 'alpha/rank' }))
 * await orThrow(savePeft({ ...base, model: tuned }, 'my-lora'))
 * const again = await orThrow(loadPeft('my-lora', base))
 * count(again.model).trainable === count(tuned).trainable // => true
 * ```
 * @source The format of Hugging Face PEFT 0.21.
 */
export const loadPeft = <M>(folder: string, pretrained: Pretrained<M>): Io<PeftModel<Adaptable<M>>> =>
  loaded(folder, peftFiles, pretrained, (files) => putOn(files, methodOf(files), pretrained.model, pretrained))
