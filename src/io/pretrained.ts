import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { families } from '../model/families.ts'
import { drawnLeaf, growPlan } from '../model/family.ts'
import type { AnyFamily, Plan, Task } from '../model/family.ts'
import { decodeHubConfig } from '../model/hub-config.ts'
import type { HubConfig } from '../model/hub-config.ts'
import { release, scope, transpose } from '../ops/index.ts'
import { key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { param } from '../tree/leaf.ts'
import type { Param } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { isRecord } from './codec.ts'
import { nonFinite } from './dtypes.ts'
import type { StoredTensor } from './dtypes.ts'
import { located } from './hub.ts'
import type { HubOptions } from './hub.ts'
import { inFile, io, orThrow, refuse, reject } from './issues.ts'
import type { Io } from './issues.ts'
import { readJsonFile } from './json-file.ts'
import { matched, wantedBy } from './matching.ts'
import { fromStored } from './safetensors.ts'
import { openCheckpoint } from './shards.ts'

/** A model as a folder of the Hugging Face Hub has it, and what that folder says of it. */
export interface Pretrained<M = unknown> {
  readonly model: M
  readonly family: string
  readonly task: Task
  /** `config.json` as it is. */
  readonly config: HubConfig
}

/** What may be told of a checkpoint that is opened. */
export interface PretrainedOptions {
  /** What the model is for, where that is not what its configuration says. */
  readonly task?: Task
  /** Number of classes of a classifier; by default what the configuration says. */
  readonly labels?: number
  /** Draws a head that the files do not have. Without a key, a missing head is an error. */
  readonly key?: Key
  /** How a name of the Hugging Face Hub is fetched. */
  readonly hub?: HubOptions
}

const tasks: readonly (readonly [RegExp, Task])[] = [
  [/For(CausalLM)$|LMHeadModel$/, 'causal-lm'],
  [/ForSequenceClassification$/, 'sequence-classification'],
  [/ForTokenClassification$/, 'token-classification'],
]

/** What the class that a checkpoint was saved from is for; heads that are not here leave the body. */
const taskOf = ({ architectures }: HubConfig): Task => {
  const name = String(Array.isArray(architectures) ? (architectures[0] ?? '') : '')
  return tasks.find(([pattern]) => pattern.test(name))?.[1] ?? 'base'
}

const labelsOf = ({ id2label, num_labels }: HubConfig): number =>
  isRecord(id2label) ? Object.keys(id2label).length : typeof num_labels === 'number' ? num_labels : 2

/** The family of this name. @internal */
export const familyNamed = (name: string): AnyFamily =>
  families.find((family) => family.name === name) ??
  reject(
    'UnsupportedModel',
    'family',
    families.map((f) => f.name).join(', '),
    name,
    'Models of other families have no names in files.',
  )

/** The family of a configuration. */
const familyOf = (config: HubConfig, path: string): AnyFamily => {
  const type = config['model_type']
  return (
    families.find(({ modelTypes }) => modelTypes.includes(String(type))) ??
    reject(
      'UnsupportedModel',
      inFile(path, 'model_type'),
      families.flatMap(({ modelTypes }) => modelTypes).join(', '),
      JSON.stringify(type) ?? 'nothing',
      'Models of other families can be defined with `define` and loaded with readSafetensors.',
    )
  )
}

/** A configuration as a plan, or every reason why not. @internal */
export const planOf = (
  config: HubConfig,
  path: string,
  { task = taskOf(config), labels = labelsOf(config) }: PretrainedOptions = {},
): { readonly family: AnyFamily; readonly task: Task; readonly plan: Plan } => {
  const family = familyOf(config, path)
  const decoded = decodeHubConfig<unknown>(family.spec, config)
  if (E.isLeft(decoded)) {
    refuse(decoded.left.map((i) => ({ ...i, path: inFile(path, i.path) })))
    throw new Error('unreachable')
  }
  const { build } =
    family.plans[task] ??
    reject(
      'UnsupportedModel',
      inFile(path, 'architectures'),
      `a task of ${family.name}: ${Object.keys(family.plans).join(', ')}`,
      task,
      'Pass { task } for another one.',
    )
  return { family, task, plan: build(decoded.right, labels) }
}

/** A tensor of a file as our layers hold it; refused by name when a number in it is none. */
const valueOf = (stored: StoredTensor, transposed: boolean, path: string): Tensor => {
  const bad = nonFinite(stored)
  if (bad > 0)
    reject(
      'NonFinite',
      path,
      'finite numbers',
      `${bad} that are NaN or infinite`,
      'The checkpoint is damaged, or its training diverged.',
    )
  const made = fromStored(stored, { halves: 'float32', doubles: 'float32' })
  if (E.isLeft(made)) {
    refuse(made.left.map((i) => ({ ...i, path })))
    throw new Error('unreachable')
  }
  if (!transposed) return made.right
  const value = scope(() => transpose(made.right))
  release(made.right, { keep: [value] })
  return value
}

/**
 * Loads a model from a folder as the Hugging Face Hub has it: `config.json` and `model.safetensors`, whole or in shards.
 *
 * A name like `sentence-transformers/all-MiniLM-L6-v2` that is no folder is fetched from there, as `fromHub` does. Fields of the
 * model have the names of transformers; every parameter is trainable, halves are widened to float32. Errors: `FileSystem`, `BadJson`, `UnsupportedModel` and `UnsupportedConfig` for what would compute something else, `MissingTensor`,
 * `ExtraTensor`, `ShapeMismatch`, and those of `readSafetensors`.
 *
 * @example
 * ```ts
 * import { count, gpt2, key } from 'espalier'
 * import { loadPretrained, orThrow, savePretrained } from 'espalier/io'
 *
 * const config = { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], vocab_size: 50, n_embd: 8, n_layer: 2, n_head: 2 }
 * const model = gpt2.init(config, key(0))
 * await orThrow(savePretrained({ model, config }, 'my-gpt2'))
 * const again = await orThrow(loadPretrained('my-gpt2'))
 * count(again.model).parameters === count(model).parameters // => true
 * ```
 */
export const loadPretrained = (source: string, options: PretrainedOptions = {}): Io<Pretrained> =>
  io(source, async () => {
    const folder = await located(source, options.hub)
    const configPath = join(folder, 'config.json')
    const given = await readJsonFile(configPath)
    const { optional = {} } = planOf(given, configPath, options).family
    const checkpoint = await orThrow(openCheckpoint(folder))
    const config = { ...given, ...left(optional, given, [...checkpoint.entries.keys()]) }
    const { family, task, plan } = planOf(config, configPath, options)
    const wanted = wantedBy(plan, family)
    const mayLack = (name: string): boolean => options.key !== undefined && isHead(name, family)
    const found = matched(wanted, checkpoint.entries, { family, plan, path: folder, mayLack })
    const leaves = new Map<string, Param>()
    try {
      for (const [key, name] of found) {
        const { label, form, transposed } = wanted.get(key)!
        const value = valueOf(await checkpoint.read(name), transposed, inFile(folder, name))
        leaves.set(label, param(form, label, value))
      }
      const draw = drawnLeaf(options.key ?? seedKey('head'))
      const model = growPlan(plan, (field, label, shape) => leaves.get(label) ?? draw(field, label, shape))
      return { model, family: family.name, task, config: retasked(config, family, task, options.labels) }
    } catch (error) {
      release([...leaves.values()], { keep: [] })
      throw error
    }
  })

/** A configuration that says what the model is for now. */
const retasked = (config: HubConfig, family: AnyFamily, task: Task, labels?: number): HubConfig => ({
  ...config,
  architectures: [family.plans[task]?.architecture],
  ...(labels === undefined || labels === labelsOf(config)
    ? {}
    : { id2label: Object.fromEntries(Array.from({ length: labels }, (_, i) => [i, `LABEL_${i}`])) }),
})

/** Whether a parameter stands beside the body, or may be drawn as if it did. */
const isHead = (name: string, { body, optional = {} }: AnyFamily): boolean =>
  !name.startsWith(`${body}.`) || Object.values(optional).some((part) => part.test(name))

/** The fields of a configuration that leave out what the weights have not. */
const left = (optional: Readonly<Record<string, RegExp>>, config: HubConfig, names: readonly string[]): HubConfig =>
  Object.fromEntries(
    Object.entries(optional)
      .filter(([field, part]) => config[field] === undefined && !names.some((name) => part.test(name)))
      .map(([field]) => [field, false]),
  )
