import { join } from 'node:path'
import { classifies } from '../../model/family.ts'
import { classifierHeads } from '../../model/head-names.ts'
import type { HubConfig } from '../../model/hub-config.ts'
import { release, scope } from '../../ops/index.ts'
import { detach } from '../../transform/index.ts'
import { adapterOf } from '../../transform/wear.ts'
import type { Adapter } from '../../transform/wear.ts'
import { EspalierError } from '../../tree/error.ts'
import type { Issue } from '../../tree/error.ts'
import { isParam } from '../../tree/leaf.ts'
import { count } from '../../tree/count.ts'
import { leaves, showPath } from '../../tree/walk.ts'
import { commit } from '../files.ts'
import { io, issue, refuse, reject } from '../issues.ts'
import type { Io } from '../issues.ts'
import type { Json } from '../json.ts'
import type { Pretrained } from '../hub/pretrained.ts'
import { writeThrough } from '../tensors/safetensors.ts'
import { alike } from './alike.ts'
import { bookkeeping } from './bookkeeping.ts'
import { putOn } from './load.ts'
import type { PeftModel } from './loaded.ts'
import { nodesOf } from './layers.ts'
import type { AnyPeftMethod, WriteJob, Written } from './method.ts'
import { peftMethods } from './methods.ts'
import { modulesOf } from './modules.ts'
import { isFloatOfPeft, pythonJson } from './python-json.ts'
import { taskTypes } from './tasks.ts'
import { writeWholeModules } from './trained.ts'
import { saveOurs } from './hints.ts'

/** A model with something on it, and the configuration of what was on it when it was loaded. */
type Saved = Pretrained<unknown> & Partial<Pick<PeftModel, 'adapter'>>

/** The task in PEFT's words; under that of a classifier PEFT wants the whole head in the file, which may not be trained. */
const taskTypeOf = ({ task }: Pretrained<unknown>, { modules_to_save }: HubConfig): string | null => {
  const saved = Array.isArray(modules_to_save) ? (modules_to_save as readonly unknown[]) : []
  const isHeadless = classifies(task) && !classifierHeads.some((name) => saved.includes(name))
  return isHeadless ? null : taskTypes[task]
}

const trainedIn = ({ parts }: Adapter): WriteJob['trained'] =>
  parts.flatMap(({ path, node }) => (isParam(node) ? [{ path: showPath(path), node }] : []))

/** An adapter in the terms of the first method that has words for it. */
const writtenBy = (methods: readonly AnyPeftMethod[], job: WriteJob): Written & { readonly type: string } => {
  for (const method of methods) {
    const found = method.write(job)
    if (found === undefined) continue
    const whole = writeWholeModules(job, found.taken ?? new Set())
    const config = { ...found.config, ...(whole.names.length === 0 ? {} : { modules_to_save: whole.names }) }
    return { config, tensors: new Map([...found.tensors, ...whole.tensors]), type: method.type }
  }
  const tags = new Set(job.parts.map(({ node }) => String((node as { readonly _tag?: unknown })._tag)))
  const trained = job.trained[0]?.path
  return reject(
    'UnsupportedAdapter',
    showPath(job.parts[0]?.path ?? []) || (trained ?? ''),
    `an adapter of one of PEFT's types: ${methods.map(({ type }) => type).join(', ')}`,
    [...tags].join(', ') || (trained === undefined ? 'nothing that is trained' : `${trained} alone, trained in full`),
    saveOurs,
  )
}

/** Whether a configuration and tensors, put on the base again, give this very model. */
const isTrue = (
  method: AnyPeftMethod,
  config: HubConfig,
  written: Written,
  pretrained: Pretrained<unknown>,
): boolean => {
  try {
    return scope(() => {
      const files = { config, configPath: '', tensors: written.tensors, tensorsPath: '' }
      return { same: alike(putOn(files, method, detach(pretrained.model), pretrained).model, pretrained.model) }
    }).same
  } catch (error) {
    if (error instanceof EspalierError) return false
    throw error
  }
}

/** The configuration that an adapter was loaded with, where it still says what is on the model. */
const keptAs = (pretrained: Saved, job: WriteJob): Written | undefined => {
  const kept = pretrained.adapter
  const method = peftMethods.find(({ type }) => type === kept?.['peft_type'])
  if (kept === undefined || method === undefined) return undefined
  try {
    const { tensors } = writtenBy([method], { ...job, kept })
    return isTrue(method, kept, { config: kept, tensors }, pretrained) ? { config: kept, tensors } : undefined
  } catch (error) {
    if (error instanceof EspalierError) return undefined
    throw error
  }
}

// A head that was drawn is nowhere but here: frozen it would be lost, and drawn otherwise the next time.
const requireHeads = ({ model, drawn = [] }: Saved): void => {
  const frozen = leaves(model).filter((leaf) => drawn.includes(leaf.label) && isParam(leaf) && leaf.status === 'frozen')
  refuse(
    frozen.map(({ label }) =>
      issue(
        'UnsavedHead',
        label,
        'a head that was drawn to be trained, and so to be saved',
        'frozen',
        `Train it with the adapter: unfreeze.only({ at: '${label.replace(/\.[^.]*$/, '')}' }).`,
      ),
    ),
  )
}

const requireFrozen = ({ model }: Saved): void => {
  if (count(model).frozen === 0)
    reject(
      'NothingFrozen',
      '',
      'an adapter on a frozen base',
      'a model that is trained as a whole',
      'Freeze the base and put an adapter on, or save the whole with savePretrained.',
    )
}

/** What stands on a model, in PEFT's terms. */
const inTermsOfPeft = (pretrained: Saved): Written => {
  requireFrozen(pretrained)
  requireHeads(pretrained)
  const adapter = adapterOf(pretrained.model)
  const job: WriteJob = {
    model: pretrained.model,
    pretrained,
    parts: adapter.parts.filter(({ node }) => !isParam(node)),
    trained: trainedIn(adapter),
    nodes: nodesOf(pretrained.model),
    modules: modulesOf(pretrained.model),
  }
  return scope((): Written => {
    const kept = keptAs(pretrained, job)
    if (kept !== undefined) return kept
    const { config, tensors, type } = writtenBy(peftMethods, job)
    const own = {
      ...bookkeeping,
      base_model_name_or_path: pretrained.source ?? null,
      task_type: taskTypeOf(pretrained, config),
      ...config,
      peft_type: type,
    }
    return { config: own, tensors }
  })
}

/** Why an adapter cannot be saved by `savePeft`; nothing where it can. @internal */
export const peftIssues = (pretrained: Saved): readonly Issue[] => {
  try {
    release([...inTermsOfPeft(pretrained).tensors.values()], { keep: [pretrained.model] })
    return []
  } catch (error) {
    if (error instanceof EspalierError) return error.issues
    throw error
  }
}

/**
 * Saves what stands on a model as PEFT would, so that PEFT puts it on the same checkpoint.
 *
 * An adapter that was loaded keeps its own configuration as long as that says the truth; another gets one with all the keys
 * that PEFT writes. The same adapter gives the same bytes. Errors: `UnsupportedAdapter` for what PEFT has no name for, `FileSystem`.
 *
 * @example
 * ```ts
 * import { gpt2, freeze, key, lora, pipe } from 'espalier'
 * import { orThrow, readHeader, savePeft } from 'espalier/io'
 *
 * const config = { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], vocab_size: 50, n_embd: 8, n_layer: 1, n_head: 2 }
 * const base = gpt2.init({ vocab_size: 50, n_embd: 8, n_layer: 1, n_head: 2 }, key(0))
 * const model = pipe(base, freeze, lora({ at: '**.c_attn', rank: 2 }))
 * await orThrow(savePeft({ model, config, family: 'gpt2', task: 'causal-lm' }, 'for-peft'))
 * const { tensors } = await orThrow(readHeader('for-peft/adapter_model.safetensors'))
 * tensors.get('base_model.model.transformer.h.0.attn.c_attn.lora_A.weight')?.shape // => [2, 8]
 * ```
 * @source The format of Hugging Face PEFT 0.21.
 */
export const savePeft = (pretrained: Saved, folder: string): Io<void> =>
  io(folder, async () => {
    const written = inTermsOfPeft(pretrained)
    try {
      const path = join(folder, 'adapter_model.safetensors')
      await commit(folder, [
        {
          name: 'adapter_model.safetensors',
          write: (sink) => writeThrough(written.tensors, { format: 'pt' }, path, sink),
        },
        {
          name: 'adapter_config.json',
          write: (sink) => sink(Buffer.from(pythonJson(written.config as Json, isFloatOfPeft))),
        },
      ])
    } finally {
      release([...written.tensors.values()], { keep: [pretrained.model] })
    }
  })
