import { Finite, PositiveWhole, Rate } from '../../kind/number-codecs.ts'
import { orNull } from '../../model/hub-config.ts'
import type { ConfigSpec } from '../../model/hub-config.ts'
import { transpose } from '../../ops/index.ts'
import { LohaKind } from '../../weight/index.ts'
import type { LeftOut } from '../../weight/left-out.ts'
import type { Loha } from '../../weight/index.ts'
import { Numbers } from './codecs.ts'
import { alphaOf, common, named, wornOn, wrapLayers } from './layers.ts'
import type { Worn } from './layers.ts'
import type { PeftMethod } from './method.ts'
import { patternValue, targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'

/** What LoHa and LoKr read in a configuration. */
export interface LycorisConfig extends Targeting {
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
    ...targetingProps,
    r: PositiveWhole,
    alpha: Finite,
    rank_dropout: Rate,
    module_dropout: Rate,
    rank_pattern: orNull(Numbers),
    alpha_pattern: orNull(Numbers),
  },
  defaults: { r: 8, alpha: 8, rank_dropout: 0, module_dropout: 0 },
  // Convolutions are no targets here.
  harmless: ['init_weights', 'use_effective_conv2d'],
}

/** Dropouts are the same for all layers in PEFT. */
export const lycorisDropout = (
  worn: readonly Worn<LeftOut>[],
): { readonly rank_dropout: number; readonly module_dropout: number } => ({
  rank_dropout: common(worn, 'rank dropout', ({ rankDropout }) => rankDropout),
  module_dropout: common(worn, 'module dropout', ({ moduleDropout }) => moduleDropout),
})

/** LoHa; PEFT's Δ is [out, in], so that its second factors are our first, transposed. */
export const lohaMethod: PeftMethod<LycorisConfig> = {
  type: 'LOHA',
  spec: lycorisSpec,
  read: (job) =>
    wrapLayers(job, ({ path }) => {
      const part = (suffix: string) => transpose(job.tensor(path, suffix))
      return {
        kind: LohaKind,
        dims: { rank: patternValue(job.config.rank_pattern, path, job.config.r) },
        given: {
          w1a: part('hada_w1_b'),
          w1b: part('hada_w1_a'),
          w2a: part('hada_w2_b'),
          w2b: part('hada_w2_a'),
          alpha: patternValue(job.config.alpha_pattern, path, job.config.alpha),
          scaling: 'alpha/rank',
          rankDropout: job.config.rank_dropout,
          moduleDropout: job.config.module_dropout,
        },
      }
    }),
  write: (job) => {
    const worn = wornOn<Loha>(job, 'Loha')
    if (worn === undefined) return undefined
    const rankOf = ({ w1a }: Loha): number => w1a.value.shape[1] ?? 1
    return {
      config: {
        target_modules: worn.map(({ module }) => module).toSorted(),
        rank_pattern: Object.fromEntries(worn.map(({ module, node }) => [module, rankOf(node)])),
        alpha_pattern: Object.fromEntries(worn.map(({ module, node }) => [module, alphaOf(node, rankOf(node))])),
        ...lycorisDropout(worn),
      },
      tensors: named(
        worn.flatMap(({ module, node }) => [
          [module, 'hada_w1_a', transpose(node.w1b.value)] as const,
          [module, 'hada_w1_b', transpose(node.w1a.value)] as const,
          [module, 'hada_w2_a', transpose(node.w2b.value)] as const,
          [module, 'hada_w2_b', transpose(node.w2a.value)] as const,
        ]),
      ),
    }
  },
}
