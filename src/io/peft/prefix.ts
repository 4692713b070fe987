import * as t from 'io-ts'
import type { Prefixed } from '../../nn/index.ts'
import { orNull } from '../../model/hub-config.ts'
import { attentionSizes } from '../../transform/attention-sizes.ts'
import { prefixLabel } from '../../transform/prefix.ts'
import { isParam, param } from '../../tree/leaf.ts'
import { reject } from '../issues.ts'
import type { PeftMethod } from './method.ts'
import { tagOf } from './modules.ts'
import { virtualRows, virtualTokens } from './prompt.ts'
import type { VirtualTokens } from './prompt.ts'

/** What prefix tuning reads in a configuration. */
interface PrefixConfig extends VirtualTokens {
  readonly num_layers: number | null
  readonly num_attention_heads: number | null
}

const isPrefixed = (node: unknown): node is Prefixed => tagOf(node) === 'Prefixed'

/** Keys and values before the text. A file holds the table that a projection made, whichever way it was trained. */
export const prefixMethod: PeftMethod<PrefixConfig> = {
  type: 'PREFIX_TUNING',
  spec: {
    ...virtualTokens,
    props: { ...virtualTokens.props, num_layers: orNull(t.number), num_attention_heads: orNull(t.number) },
    harmless: ['encoder_hidden_size', 'init_weights', 'prefix_projection'],
  },
  read: (job) => {
    const { model, config, at } = job
    const { layers, heads, width } = attentionSizes(model)
    const own = { num_layers: layers, num_attention_heads: heads, token_dim: width }
    for (const [name, size] of Object.entries(own)) {
      const said = config[name as keyof typeof own]
      if (said !== null && said !== size)
        reject('ShapeMismatch', at(name), String(size), String(said), 'Is this the model that the adapter was trained on?')
    }
    const prefix = param('table', prefixLabel(model), virtualRows(job, 2 * layers * width))
    return { _tag: 'Prefixed', base: model, prefix, layers, heads }
  },
  write: ({ parts }) => {
    const [part] = parts
    if (parts.length !== 1 || !isPrefixed(part?.node) || !isParam(part.node.prefix)) return undefined
    const { prefix, layers, heads } = part.node
    const [length = 0, all = 0] = prefix.value.shape
    const token_dim = all / (2 * layers)
    const sizes = { num_virtual_tokens: length, token_dim, num_layers: layers, num_attention_heads: heads }
    return {
      config: { ...sizes, num_transformer_submodules: 1, prefix_projection: false, encoder_hidden_size: token_dim },
      tensors: new Map([['prompt_embeddings', prefix.value]]),
    }
  },
}
