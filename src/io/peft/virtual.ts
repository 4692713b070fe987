import * as t from 'io-ts'
import { PositiveWhole } from '../../kind/number-codecs.ts'
import { orNull } from '../../model/hub-config.ts'
import type { ConfigSpec, HubConfig } from '../../model/hub-config.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { reject } from '../issues.ts'
import { familyNamed } from '../hub/plan.ts'
import type { ReadJob, WriteJob, Written } from './method.ts'
import { writeWholeModules } from './trained.ts'
import { otherModel } from './hints.ts'

/** What every method reads in a configuration that puts virtual tokens before the text. */
export interface VirtualTokens {
  readonly num_virtual_tokens: number
  readonly token_dim: number
  readonly modules_to_save: readonly string[] | null
}

export const virtualTokens: ConfigSpec<VirtualTokens> = {
  props: {
    num_virtual_tokens: PositiveWhole,
    token_dim: PositiveWhole,
    modules_to_save: orNull(t.readonlyArray(t.string)),
  },
  defaults: {},
  only: { num_transformer_submodules: [1] },
}

/** The rows of a file, of which configuration and file must say the same. */
export const virtualRows = ({ config, global, at }: ReadJob<VirtualTokens>, width: number): Tensor => {
  const rows = global('prompt_embeddings')
  const expected = [config.num_virtual_tokens, width].join(', ')
  return rows.shape.join(', ') === expected
    ? rows
    : reject(
        'ShapeMismatch',
        at('num_virtual_tokens'),
        `prompt_embeddings [${expected}], as this configuration and the model have it`,
        `[${rows.shape.join(', ')}]`,
        otherModel,
      )
}

/**
 * The one node that puts virtual tokens as `write` has it, and the head that was trained beside it; undefined where something else
 * stands or is trained too. PEFT puts no wrapper of its own around the model here, so its names are shorter.
 */
export const writeVirtual = (
  job: WriteJob,
  write: (node: unknown) => { readonly config: HubConfig; readonly rows: Tensor } | undefined,
): Written | undefined => {
  const { parts, trained, pretrained } = job
  const modules = [...new Set(trained.map(({ path }) => path.split('.')[0]))]
  const isHead = pretrained.task !== 'base' && !modules.includes(familyNamed(pretrained.family).body)
  const written = parts.length === 1 && (trained.length === 0 || isHead) ? write(parts[0]?.node) : undefined
  if (written === undefined) return undefined
  const { rows } = written
  const head = [...writeWholeModules(job, new Set()).tensors].map(
    ([name, value]) => [name.replace(/^base_model\.model\./, 'base_model.'), value] as const,
  )
  return {
    config: {
      ...written.config,
      modules_to_save: modules.length === 0 ? null : modules,
      num_virtual_tokens: rows.shape[0],
      num_transformer_submodules: 1,
    },
    tensors: new Map([...head, ['prompt_embeddings', rows]]),
    taken: new Set(trained.map(({ path }) => path)),
  }
}
