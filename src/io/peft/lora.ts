import * as t from 'io-ts'
import { Finite, PositiveWhole, Rate } from '../../kind/number-codecs.ts'
import { orNull } from '../../model/hub-config.ts'
import type { ConfigSpec } from '../../model/hub-config.ts'
import { transpose } from '../../ops/index.ts'
import { showPath } from '../../tree/walk.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { LoraKind } from '../../weight/index.ts'
import type { Lora } from '../../weight/index.ts'
import { reject } from '../issues.ts'
import { Numbers } from './codecs.ts'
import { edited, wrapWith } from './edit.ts'
import type { PeftMethod } from './method.ts'
import { patternValue, targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'

/** What LoRA reads in a configuration. */
interface LoraConfig extends Targeting {
  readonly r: number
  readonly lora_alpha: number
  readonly lora_dropout: number
  readonly use_rslora: boolean
  readonly rank_pattern: Readonly<Record<string, number>> | null
  readonly alpha_pattern: Readonly<Record<string, number>> | null
  readonly fan_in_fan_out: boolean
}

const spec: ConfigSpec<LoraConfig> = {
  props: {
    ...targetingProps,
    r: PositiveWhole,
    lora_alpha: Finite,
    lora_dropout: Rate,
    use_rslora: t.boolean,
    rank_pattern: orNull(Numbers),
    alpha_pattern: orNull(Numbers),
    fan_in_fan_out: t.boolean,
  },
  defaults: { r: 8, lora_alpha: 8, lora_dropout: 0, use_rslora: false, fan_in_fan_out: false },
  only: { bias: ['none'], use_dora: [false] },
  harmless: ['init_lora_weights', 'megatron_core', 'qalora_group_size'],
}

const isLora = (node: unknown): node is Lora => (node as { readonly _tag?: unknown })._tag === 'Lora'

/** LoRA; A is (r, in) and B (out, r) in files, whichever way round the weight itself lies there. */
export const loraMethod: PeftMethod<LoraConfig> = {
  type: 'LORA',
  spec,
  read: ({ model, config, targets, tensor, at }) => {
    if (targets.length === 0)
      reject(
        'NoMatch',
        at('target_modules'),
        'the names of modules of this model',
        JSON.stringify(config.target_modules),
        'Is this the model that the adapter was trained on?',
      )
    const edits = targets.map(({ path }): readonly [string, (node: unknown) => unknown] => {
      const rank = patternValue(config.rank_pattern, path, config.r)
      const given = {
        a: transpose(tensor(path, 'lora_A.weight')),
        b: transpose(tensor(path, 'lora_B.weight')),
        alpha: patternValue(config.alpha_pattern, path, config.lora_alpha),
        scaling: config.use_rslora ? 'alpha/sqrt(rank)' : 'alpha/rank',
        dropout: config.lora_dropout,
      }
      return [`${path}.weight`, wrapWith(LoraKind, { rank }, given)]
    })
    return edited(model, new Map(edits))
  },
  write: ({ parts }) => {
    if (!parts.every(({ node }) => isLora(node))) return undefined
    const tensors = new Map<string, Tensor>()
    const ranks: Record<string, number> = {}
    const alphas: Record<string, number> = {}
    const modules = parts.map(({ path, node }) => {
      const module = showPath(path.slice(0, -1))
      const { a, b, alpha } = node as Lora
      tensors.set(`base_model.model.${module}.lora_A.weight`, transpose(a.value))
      tensors.set(`base_model.model.${module}.lora_B.weight`, transpose(b.value))
      ranks[module] = a.value.shape[1] ?? 0
      alphas[module] = alpha
      return module
    })
    return {
      config: { r: 8, lora_alpha: 8, target_modules: modules.toSorted(), rank_pattern: ranks, alpha_pattern: alphas },
      tensors,
    }
  },
}
