import * as t from 'io-ts'
import { PositiveWhole } from '../../kind/number-codecs.ts'
import { orNull } from '../../model/hub-config.ts'
import type { ConfigSpec, HubConfig } from '../../model/hub-config.ts'
import { transpose } from '../../ops/index.ts'
import type { AdapterPart } from '../../transform/wear.ts'
import { isParam } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { showPath } from '../../tree/walk.ts'
import { hubKey } from '../hub-names.ts'
import { reject } from '../issues.ts'
import { familyNamed } from '../pretrained.ts'
import type { ReadJob, WriteJob, Written } from './method.ts'

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
        'Is this the model that the adapter was trained on?',
      )
}

/** What of an adapter puts virtual tokens, and the head that was trained beside it, in the names that PEFT has for these alone. */
const apart = ({ parts, pretrained }: WriteJob): { readonly own: readonly AdapterPart[] } & Written => {
  const { body, untransposed } = familyNamed(pretrained.family)
  const isHead = ({ path, node }: AdapterPart): boolean =>
    pretrained.task !== 'base' && isParam(node) && path[0] !== body
  const heads = parts.filter(isHead)
  const tensors = heads.map(({ path, node }) => {
    const label = showPath(path)
    if (!isParam(node)) throw new Error('unreachable')
    const turned = node.form === 'matrix' && untransposed?.test(label) !== true
    return [`base_model.${hubKey(label)}`, turned ? transpose(node.value) : node.value] as const
  })
  const modules = [...new Set(heads.map(({ path }) => path[0]))]
  return {
    own: parts.filter((part) => !isHead(part)),
    config: { modules_to_save: modules.length === 0 ? null : modules },
    tensors: new Map(tensors),
  }
}

/** The one node that puts virtual tokens as `write` has it, and the head beside it; undefined where something else stands too. */
export const writeVirtual = (
  job: WriteJob,
  write: (node: unknown) => { readonly config: HubConfig; readonly rows: Tensor } | undefined,
): Written | undefined => {
  const { own, config, tensors } = apart(job)
  const [part] = own
  const written = own.length === 1 ? write(part?.node) : undefined
  if (written === undefined) return undefined
  const { rows } = written
  return {
    config: { ...config, ...written.config, num_virtual_tokens: rows.shape[0], num_transformer_submodules: 1 },
    tensors: new Map([...tensors, ['prompt_embeddings', rows]]),
  }
}
