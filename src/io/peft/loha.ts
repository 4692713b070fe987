import { Finite, PositiveWhole, Rate } from '../../kind/number-codecs.ts'
import { orNull } from '../../model/hub-config.ts'
import type { ConfigSpec, HubConfig } from '../../model/hub-config.ts'
import { transpose } from '../../ops/index.ts'
import { LohaKind } from '../../weight/index.ts'
import type { LeftOut } from '../../weight/left-out.ts'
import type { Loha } from '../../weight/index.ts'
import { Numbers } from './codecs.ts'
import { layerMethod } from './layer-method.ts'
import type { Part } from './layer-method.ts'
import { alphaOf, common } from './layers.ts'
import type { Worn } from './layers.ts'
import { others, patternValues, usual } from './patterns.ts'
import type { ReadJob } from './method.ts'

/** What LoHa and LoKr read in a configuration. */
export interface LycorisConfig {
  readonly r: number
  readonly alpha: number
  readonly rank_dropout: number
  readonly module_dropout: number
  readonly rank_pattern: Readonly<Record<string, number>> | null
  readonly alpha_pattern: Readonly<Record<string, number>> | null
}

/** How that is read. */
export const lycorisSpec: ConfigSpec<LycorisConfig> = {
  props: {
    r: PositiveWhole,
    alpha: Finite,
    rank_dropout: Rate,
    module_dropout: Rate,
    rank_pattern: orNull(Numbers),
    alpha_pattern: orNull(Numbers),
  },
  defaults: { r: 8, alpha: 8, rank_dropout: 0, module_dropout: 0 },
  // No layer here is a convolution.
  harmless: ['use_effective_conv2d'],
}

/** The rank of each target, and the plain data of its node. */
export const lycorisOptions = ({ config, targets, at }: ReadJob<LycorisConfig>) => {
  const paths = targets.map(({ path }) => path)
  const rank = patternValues(config.rank_pattern, paths, config.r, at('rank_pattern'))
  const alpha = patternValues(config.alpha_pattern, paths, config.alpha, at('alpha_pattern'))
  const { rank_dropout: rankDropout, module_dropout: moduleDropout } = config
  return (path: string) => ({
    rank: rank(path),
    data: { alpha: alpha(path), scaling: 'alpha/rank', rankDropout, moduleDropout },
  })
}

/** The keys that say so, for layers of these ranks and alphas. */
export const lycorisKeys = (
  worn: readonly Worn<LeftOut>[],
  ranks: readonly number[],
  alphas: readonly number[],
): HubConfig => {
  const modules = worn.map(({ module }) => module)
  const [r, alpha] = [usual(ranks), usual(alphas)]
  return {
    r,
    alpha,
    rank_pattern: others(modules, ranks, r),
    alpha_pattern: others(modules, alphas, alpha),
    rank_dropout: common(worn, 'rank dropout', ({ rankDropout }) => rankDropout),
    module_dropout: common(worn, 'module dropout', ({ moduleDropout }) => moduleDropout),
    use_effective_conv2d: false,
  }
}

const rankOf = ({ w1a }: Loha): number => w1a.value.shape[1] ?? 1

/** LoHa; PEFT's Δ is [out, in], so that its second factors are our first, transposed. */
export const lohaMethod = layerMethod<LycorisConfig, Loha>({
  type: 'LOHA',
  spec: lycorisSpec,
  tags: ['Loha'],
  wrap: (job) => {
    const optionsOf = lycorisOptions(job)
    return ({ path, inputs, outputs }) => {
      const { rank, data } = optionsOf(path)
      const left = (suffix: string) => transpose(job.tensor(path, suffix, [rank, inputs]))
      const right = (suffix: string) => transpose(job.tensor(path, suffix, [outputs, rank]))
      return {
        kind: LohaKind,
        dims: { rank },
        given: {
          w1a: left('hada_w1_b'),
          w1b: right('hada_w1_a'),
          w2a: left('hada_w2_b'),
          w2b: right('hada_w2_a'),
          ...data,
        },
      }
    }
  },
  own: (worn) => ({
    config: lycorisKeys(
      worn,
      worn.map(({ node }) => rankOf(node)),
      worn.map(({ node }) => alphaOf(node, rankOf(node))),
    ),
    tensors: worn.flatMap(({ module, node }): readonly Part[] => [
      [module, 'hada_w1_a', transpose(node.w1b.value)],
      [module, 'hada_w1_b', transpose(node.w1a.value)],
      [module, 'hada_w2_a', transpose(node.w2b.value)],
      [module, 'hada_w2_b', transpose(node.w2a.value)],
    ]),
  }),
})
