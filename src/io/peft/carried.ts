import { join } from 'node:path'
import { classifies } from '../../model/family.ts'
import type { Task } from '../../model/family.ts'
import { isClassMatrix } from '../../model/head-names.ts'
import { key } from '../../tree/key.ts'
import { isFile } from '../files.ts'
import { io, orThrow } from '../issues.ts'
import type { Io } from '../issues.ts'
import { readJsonFile } from '../json-file.ts'
import { readNotes } from '../hub/notes.ts'
import type { PretrainedOptions } from '../hub/pretrained.ts'
import { readHeader } from '../tensors/safetensors.ts'
import { taskOfType } from './tasks.ts'

/** The lengths of a head among the tensors of a file, if one travels with it. */
const headIn = async (path: string): Promise<readonly number[] | undefined> => {
  const { tensors } = await orThrow(readHeader(path))
  return [...tensors].find(([name, { shape }]) => isClassMatrix(name) && shape.length === 2 && !shape.includes(0))?.[1]
    .shape
}

/** The task that an adapter of PEFT says it is for. */
const namedTask = async (folder: string): Promise<Task | undefined> => {
  const { task_type } = await readJsonFile(join(folder, 'adapter_config.json'))
  return taskOfType(task_type)
}

/**
 * How the base of an adapter must be opened: as a classifier where the adapter is one's, with as many classes as the head it carries.
 *
 * For `loadPretrained`, which draws the head; the adapter then brings its own. Nothing is said of other adapters. Errors: those of
 * `loadPeft` for files that cannot be read.
 *
 * @example
 * ```ts
 * import { gpt2, freeze, key, lora, pipe } from 'espalier'
 * import { carriedTask, orThrow, savePeft } from 'espalier/io'
 *
 * const config = { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], vocab_size: 50, n_embd: 8, n_layer: 1, n_head: 2 }
 * const base = gpt2.init({ vocab_size: 50, n_embd: 8, n_layer: 1, n_head: 2 }, key(0))
 * const model = pipe(base, freeze, lora({ at: '**.c_attn', rank: 2 }))
 * await orThrow(savePeft({ model, config, family: 'gpt2', task: 'causal-lm' }, 'of-a-language-model'))
 * await orThrow(carriedTask('of-a-language-model')) // => {}
 * ```
 */
export const carriedTask = (folder: string): Io<PretrainedOptions> =>
  io(folder, async () => {
    const ours = await isFile(join(folder, 'adapter.json'))
    const task = ours ? (await readNotes(folder)).task : await namedTask(folder)
    if (task === undefined || !classifies(task)) return {}
    const shape = await headIn(join(folder, ours ? 'adapter.safetensors' : 'adapter_model.safetensors'))
    if (shape === undefined) return { task }
    // Our layers hold a matrix as [in, out], files of PEFT as [out, in].
    return { task, labels: shape[ours ? 1 : 0] ?? 0, key: key('head') }
  })
