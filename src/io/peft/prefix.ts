import * as t from 'io-ts'
import { materialize } from '../../kind/index.ts'
import type { Weight } from '../../kind/index.ts'
import { context } from '../../nn/index.ts'
import type { PrefixMlp, Prefixed } from '../../nn/index.ts'
import { orNull } from '../../model/hub-config.ts'
import { attentionSizes } from '../../transform/attention-sizes.ts'
import { prefixLabel } from '../../transform/prefix.ts'
import { isParam, param } from '../../tree/leaf.ts'
import { reject } from '../issues.ts'
import type { PeftMethod } from './method.ts'
import { tagOf } from './modules.ts'
import { virtualRows, virtualTokens, writeVirtual } from './virtual.ts'
import type { VirtualTokens } from './virtual.ts'
import { otherModel } from './hints.ts'

/** What prefix tuning reads in a configuration. */
interface PrefixConfig extends VirtualTokens {
  readonly num_layers: number | null
  readonly num_attention_heads: number | null
  readonly prefix_projection: boolean
}

const isPrefixed = (node: unknown): node is Prefixed<never, Weight> => tagOf(node) === 'Prefixed'

const isMlp = (prefix: Weight): prefix is PrefixMlp => prefix._tag === 'PrefixMlp'

/** Keys and values before the text. A file holds the table that a projection made, whichever way it was trained. */
export const prefixMethod: PeftMethod<PrefixConfig> = {
  type: 'PREFIX_TUNING',
  spec: {
    props: {
      ...virtualTokens.props,
      num_layers: orNull(t.number),
      num_attention_heads: orNull(t.number),
      prefix_projection: t.boolean,
    },
    defaults: { prefix_projection: false },
    only: virtualTokens.only ?? {},
    harmless: ['encoder_hidden_size', 'init_weights'],
  },
  lost: ({ prefix_projection }) =>
    prefix_projection
      ? 'The projection: a file of PREFIX_TUNING holds only the keys and values that it made, and these are what is trained now.'
      : undefined,
  read: (job) => {
    const { model, config, at, pretrained } = job
    refuseClassifiers(pretrained.task, at('task_type'))
    const { layers, heads, width } = attentionSizes(model)
    const own = { num_layers: layers, num_attention_heads: heads, token_dim: width }
    for (const [name, size] of Object.entries(own)) {
      const said = config[name as keyof typeof own]
      if (said !== null && said !== size) reject('ShapeMismatch', at(name), String(size), String(said), otherModel)
    }
    const prefix = param('table', prefixLabel(model), virtualRows(job, 2 * layers * width))
    return { _tag: 'Prefixed', base: model, prefix, layers, heads }
  },
  write: (job) =>
    writeVirtual(job, (node) => {
      if (!isPrefixed(node) || !(isParam(node.prefix) || isMlp(node.prefix))) return undefined
      refuseClassifiers(job.pretrained.task, '')
      const { prefix, layers, heads } = node
      const rows = materialize(prefix, context())
      const token_dim = (rows.shape[1] ?? 0) / (2 * layers)
      return {
        rows,
        config: {
          token_dim,
          num_layers: layers,
          num_attention_heads: heads,
          prefix_projection: isMlp(prefix),
          encoder_hidden_size: isMlp(prefix) ? prefix.fc1.bias.value.shape[0] : token_dim,
        },
      }
    }),
}

// PEFT 0.21 cannot run them: what it would compute cannot be said.
const refuseClassifiers = (task: string, path: string): void => {
  if (task.endsWith('classification'))
    reject(
      'UnsupportedAdapter',
      path,
      'a prefix on a language model or a body',
      task,
      'PEFT runs no classifier with a prefix; saveAdapter and loadAdapter keep one.',
    )
}
