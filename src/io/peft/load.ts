import * as E from 'fp-ts/lib/Either.js'
import { decodeHubConfig } from '../../model/hub-config.ts'
import type { ConfigSpec, HubConfig } from '../../model/hub-config.ts'
import { release, scope } from '../../ops/index.ts'
import { freeze } from '../../transform/index.ts'
import { didYouMean } from '../../tree/nearest.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { hubCandidates } from '../hub-names.ts'
import { inFile, io, issue, refuse, reject } from '../issues.ts'
import type { Io } from '../issues.ts'
import type { Pretrained } from '../pretrained.ts'
import { familyNamed } from '../pretrained.ts'
import { commonSpec } from './common.ts'
import { readPeftFolder } from './folder.ts'
import type { PeftFolder } from './folder.ts'
import type { AnyPeftMethod, ReadJob } from './method.ts'
import { peftMethods } from './methods.ts'
import { modulesOf } from './modules.ts'
import { saveWholeModules } from './save-modules.ts'
import { targetsOf } from './targets.ts'
import type { Targeting } from './targets.ts'

/** A model with an adapter on, and the configuration that the adapter came with. */
export interface PeftModel<M = unknown> extends Pretrained<M> {
  /** `adapter_config.json` as it is. */
  readonly adapter: HubConfig
  /** What was trained and is not in the file, such as the encoder of P-tuning: one cannot train on as before. */
  readonly lost?: string
}

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
  const spec = { ...method.spec, harmless: [...(method.spec.harmless ?? []), ...commonSpec] } as never as ConfigSpec<
    Targeting & HubConfig
  >
  const own = decodeHubConfig(spec, config)
  if (E.isRight(own)) return own.right
  refuse(own.left.map((i) => ({ ...i, path: inFile(configPath, i.path) })))
  throw new Error('unreachable')
}

// Methods that put something before the text have no wrapper of their own around the model.
const prefix = /^base_model\.(model\.)?/

/** Tensors of a file by module and suffix, and which of them nobody has asked for. */
const reader = ({ tensors, tensorsPath }: PeftFolder, body: string) => {
  const used = new Set<string>()
  // An adapter of the body alone has no name of the body in its keys, and the other way round.
  const byName = new Map(
    [...tensors].flatMap(([name, value]) =>
      hubCandidates(name.replace(prefix, ''), body).map((candidate) => [candidate, { name, value }] as const),
    ),
  )
  const maybe = (name: string): Tensor | undefined => {
    const found = byName.get(name)
    if (found !== undefined) used.add(found.name)
    return found?.value
  }
  const global = (name: string): Tensor =>
    maybe(name) ??
    reject(
      'MissingTensor',
      inFile(tensorsPath, name),
      'a tensor of this name, as adapter_config.json asks for',
      'none',
      'The adapter is not whole, or its configuration belongs to another.',
    )
  return {
    global,
    maybe: (module: string, suffix: string) => maybe(`${module}.${suffix}`),
    tensor: (module: string, suffix: string) => global(`${module}.${suffix}`),
    requireAllUsed: () =>
      refuse(
        [...tensors.keys()]
          .filter((name) => !used.has(name))
          .map((name) =>
            issue(
              'ExtraTensor',
              inFile(tensorsPath, name),
              'a tensor that adapter_config.json speaks of',
              'another',
              `Is it of a module that this model has not, or that no target names? ${didYouMean(name, [...used])}`,
            ),
          ),
      ),
  }
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
export const loadPeft = <P extends Pretrained>(folder: string, pretrained: P): Io<P & PeftModel> =>
  io(folder, async () => {
    const files = await readPeftFolder(folder)
    try {
      const method = methodOf(files)
      const config = decoded(method, files)
      const { requireAllUsed, ...read } = reader(files, familyNamed(pretrained.family).body)
      const modules = modulesOf(pretrained.model)
      const base = freeze(pretrained.model)
      const model = scope(() => {
        const job: ReadJob<typeof config> = {
          ...read,
          model: base,
          pretrained,
          config,
          modules,
          targets: 'target_modules' in config ? targetsOf(config, modules) : [],
          at: (key) => inFile(files.configPath, key),
        }
        return saveWholeModules(method.read(job), job)
      })
      requireAllUsed()
      release([...files.tensors.values()], { keep: [model] })
      const lost = method.lost?.(config)
      return { ...pretrained, model, adapter: files.config, ...(lost === undefined ? {} : { lost }) }
    } catch (error) {
      release([...files.tensors.values()], { keep: [pretrained.model] })
      throw error
    }
  })
