import { join } from 'node:path'
import type { Model } from '../../kind/index.ts'
import { drawnLeaf, growPlan } from '../../model/family.ts'
import type { AnyFamily, Plan, Task } from '../../model/family.ts'
import { isOtherHead } from '../../model/head-names.ts'
import type { HubConfig } from '../../model/hub-config.ts'
import { giveBack } from '../../ops/internal.ts'
import { release, scope, transpose } from '../../ops/index.ts'
import { key as seedKey } from '../../tree/key.ts'
import type { Key } from '../../tree/key.ts'
import { param } from '../../tree/leaf.ts'
import type { Param } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import type { Quantized } from '../../weight/index.ts'
import { halfOf, nonFinite } from '../tensors/dtypes.ts'
import type { StoredTensor } from '../tensors/dtypes.ts'
import { located } from './hub.ts'
import type { HubOptions } from './hub.ts'
import { inFile, io, orThrow, reject, rightOr } from '../issues.ts'
import type { Io } from '../issues.ts'
import { readJsonFile } from '../json-file.ts'
import { matched, wantedBy } from './matching.ts'
import { planOf, retasked } from './plan.ts'
import type { PlanOptions } from './plan.ts'
import type { Wanted } from './matching.ts'
import { packedFromStored } from '../tensors/packed.ts'
import { fromStored } from '../tensors/safetensors.ts'
import { openCheckpoint } from '../tensors/shards.ts'

/** A model as a folder of the Hugging Face Hub has it, and what that folder says of it. */
export interface Pretrained<M = Model> {
  readonly model: M
  readonly family: string
  readonly task: Task
  /** `config.json` as it is. */
  readonly config: HubConfig
  /** The folder or name that it was loaded by, which PEFT's adapters name as their base. */
  readonly source?: string
  /** Labels of the parameters that the files do not have, and that were drawn; absent where there are none. */
  readonly drawn?: readonly string[]
}

/** What may be told of a checkpoint that is opened. */
export interface PretrainedOptions extends PlanOptions {
  /** Halves become float32, or stay what they are at rest, frozen, and are widened as they are used. */
  readonly halves?: 'float32' | 'keep'
  /** Draws a head that the files do not have. Without a key, a missing head is an error. */
  readonly key?: Key
  /** How a name of the Hugging Face Hub is fetched. */
  readonly hub?: HubOptions
}

/** `loadPretrained`: typed when it is told which family's model it loads. */
export interface LoadPretrained {
  (source: string, options?: PretrainedOptions): Io<Pretrained>
  <Ms, D extends Task & keyof Ms, T extends Task & keyof Ms = D>(
    source: string,
    options: PretrainedOptions & { readonly as: Typed<Ms, D>; readonly task?: T; readonly halves?: 'float32' },
  ): Io<Pretrained<Ms[T]>>
}

/** What of a family's models says which they are. */
interface Typed<Ms, D> {
  readonly family: AnyFamily
  readonly task: D
  readonly '~models'?: Ms
}

const requireFinite = (stored: StoredTensor, path: string): void => {
  const bad = nonFinite(stored)
  if (bad > 0)
    reject(
      'NonFinite',
      path,
      'finite numbers',
      `${bad} that are NaN or infinite`,
      'The checkpoint is damaged, or its training diverged.',
    )
}

/** A tensor of a file as our layers hold it. */
const valueOf = (stored: StoredTensor, transposed: boolean, path: string): Tensor => {
  const made = rightOr(fromStored(stored, { halves: 'float32', doubles: 'float32' }), (i) => ({ ...i, path }))
  if (stored.data instanceof Float32Array) void giveBack(stored.data, made)
  if (!transposed) return made
  const value = scope(() => transpose(made))
  release(made, { keep: [value] })
  return value
}

/** What a tensor of a file is in a model; refused by name when a number in it is none. */
const weightOf = (
  stored: StoredTensor,
  { label, form, transposed }: Wanted,
  halves: PretrainedOptions['halves'],
  path: string,
): Param | Quantized => {
  requireFinite(stored, path)
  const rests = halves === 'keep' && form !== 'vector' && halfOf(stored.dtype) !== undefined
  return rests
    ? packedFromStored(form, label, stored, { transpose: form === 'matrix' && !transposed })
    : param(form, label, valueOf(stored, transposed, path))
}

/**
 * Loads a model from a folder as the Hugging Face Hub has it: `config.json` and `model.safetensors`, whole or in shards.
 *
 * A name like `sentence-transformers/all-MiniLM-L6-v2` that is no folder is fetched from there, as `fromHub` does. Fields of the
 * model have the names of transformers; every parameter is trainable. With `as`, a family, the model has that family's type;
 * `halves: 'keep'` leaves matrices and tables in bfloat16 or float16, frozen. Errors: those of `fromHub`, `PickleOnly`,
 * `FileSystem`, `WrongFamily`, `BadJson`, `UnsupportedModel` and `UnsupportedConfig` for what would compute something else,
 * `MissingTensor`, `ExtraTensor`, `ShapeMismatch`, and those of `readSafetensors`.
 *
 * @example
 * ```ts
 * import { count, gpt2, key } from 'espalier'
 * import { loadPretrained, orThrow, savePretrained } from 'espalier/io'
 *
 * const config = { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], vocab_size: 50, n_embd: 8, n_layer: 2, n_head: 2 }
 * const model = gpt2.init(config, key(0))
 * await orThrow(savePretrained({ model, config }, 'my-gpt2'))
 * const again = await orThrow(loadPretrained('my-gpt2', { as: gpt2 }))
 * again.model.transformer.h.length // => 2
 * const some = await orThrow(loadPretrained('my-gpt2')) // whatever is in there
 * count(some.model).parameters === count(model).parameters // => true
 * ```
 */
export const loadPretrained: LoadPretrained = (
  source: string,
  { as, ...given }: PretrainedOptions & { readonly as?: Typed<unknown, Task> } = {},
): Io<never> =>
  io(source, async () => {
    const folder = await located(source, given.hub)
    const options = as === undefined ? given : { task: as.task, ...given }
    const configPath = join(folder, 'config.json')
    const read = await readJsonFile(configPath)
    const { family: known } = planOf(read, configPath, options)
    if (as !== undefined && as.family !== known) wrongFamily(configPath, as.family, known)
    const checkpoint = await orThrow(openCheckpoint(folder))
    const config = { ...read, ...left(known.optional ?? {}, read, [...checkpoint.entries.keys()]) }
    const { family, task, plan } = planOf(config, configPath, options)
    requireRoom(plan, checkpoint.entries.size, configPath)
    const wanted = wantedBy(plan, family)
    const mayLack = (name: string): boolean => options.key !== undefined && isHead(name, family)
    const mayHave = (name: string): boolean => options.task !== undefined && isOtherHead(name)
    const found = matched(wanted, checkpoint.entries, { family, plan, path: folder, mayLack, mayHave })
    const weights = new Map<string, Param | Quantized>()
    try {
      const sizeIn = (name: string): number =>
        checkpoint.entries.get(name)!.shape.reduce((product, n) => product * n, 1)
      // The largest first: what it was read into is given back while the others are read.
      const inOrder = [...found].toSorted(([, a], [, b]) => sizeIn(b) - sizeIn(a))
      for (const [key, name] of inOrder) {
        const want = wanted.get(key)!
        const place = inFile(join(folder, checkpoint.entries.get(name)!.file), name)
        weights.set(want.label, weightOf(await checkpoint.read(name), want, options.halves, place))
      }
      const draw = drawnLeaf(options.key ?? seedKey('head'))
      const model = growPlan(plan, (field, label, shape) => weights.get(label) ?? draw(field, label, shape))
      const drawn = [...wanted.values()].map(({ label }) => label).filter((label) => !weights.has(label))
      return {
        model,
        family: family.name,
        task,
        source,
        config: retasked(config, family, task, options.labels),
        ...(drawn.length === 0 ? {} : { drawn }),
      } as never
    } catch (error) {
      release([...weights.values()], { keep: [] })
      throw error
    }
  })

const wrongFamily = (path: string, wanted: AnyFamily, found: AnyFamily): never =>
  reject('WrongFamily', inFile(path, 'model_type'), wanted.name, found.name, `Load it as ${found.name}.`)

/** A model is not built layer by layer, only to find that the files have nothing for most of them. */
const requireRoom = ({ dims }: Plan, tensors: number, path: string): void => {
  const layers = dims['layers'] ?? 0
  if (layers > tensors)
    reject(
      'BadConfig',
      path,
      `at most ${tensors} layers, the tensors of the files`,
      `${layers}`,
      'Do they belong together?',
    )
}

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
