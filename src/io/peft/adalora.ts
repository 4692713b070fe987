import * as t from 'io-ts'
import { Finite, PositiveWhole, Rate } from '../../kind/number-codecs.ts'
import { orNull } from '../../model/hub-config.ts'
import type { HubConfig } from '../../model/hub-config.ts'
import { reshape } from '../../ops/index.ts'
import { AdaLoraKind } from '../../weight/index.ts'
import type { AdaLora } from '../../weight/index.ts'
import { factorOf } from '../../weight/lora.ts'
import { dictionary } from '../codec.ts'
import { reject } from '../issues.ts'
import { readBiases } from './biases.ts'
import { edited, wrapWith } from './edit.ts'
import { readFactors, writeFactors } from './factors.ts'
import { common, named, wornOn } from './layers.ts'
import { Bias, harmlessOptions, loraDefaults, refusedOptions } from './lora-config.ts'
import type { Biases } from './lora-config.ts'
import type { PeftMethod, ReadJob, WriteJob, Written } from './method.ts'
import { parted, sizedTargets } from './sizes.ts'
import { requireWeights, targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'
import { targetNames } from './target-names.ts'
import { biasesOf } from './trained.ts'

interface AdaLoraConfig extends Targeting {
  readonly init_r: number
  readonly lora_alpha: number
  readonly lora_dropout: number
  readonly bias: Biases
  readonly fan_in_fan_out: boolean
  readonly rank_pattern: Readonly<Record<string, readonly boolean[]>> | null
}

const Masks = dictionary(
  t.readonlyArray(t.boolean, 'a list of true and false') as t.Type<readonly boolean[], unknown>,
  'lists of true and false by name',
) as t.Type<Readonly<Record<string, readonly boolean[]>>>

// PEFT divides by the rank that training began with, and by a little more than that.
const divisor = (rank: number): number => rank + 1e-5

/** How many directions pruning left of each module; a name in the pattern is that of a tensor. */
const ranksOf = ({ config, targets, at }: ReadJob<AdaLoraConfig>): ReadonlyMap<string, number> => {
  const known = new Set(targets.map(({ path }) => path))
  return new Map(
    Object.entries(config.rank_pattern ?? {}).map(([name, mask]) => {
      const module = name.split('.').slice(0, -1).join('.')
      if (!known.has(module) || mask.length !== config.init_r)
        reject(
          'BadConfig',
          at('rank_pattern'),
          `for each adapted module ${config.init_r} times true or false, as init_r has it`,
          `${mask.length} for ${name}`,
          'Does adapter_config.json belong to this model?',
        )
      return [module, mask.filter(Boolean).length]
    }),
  )
}

const read = (job: ReadJob<AdaLoraConfig>): unknown => {
  const { config, targets, at } = job
  requireWeights(targets, config, at)
  const embedding = targets.find(({ use }) => use === 'embedding')
  if (embedding !== undefined)
    reject(
      'NotATarget',
      at('target_modules'),
      'linear layers',
      `the embedding ${embedding.path}`,
      'PEFT refuses it too.',
    )
  const ranks = ranksOf(job)
  const edits = sizedTargets(job, targets).flatMap((target): readonly [string, (weight: unknown) => unknown][] => {
    const rank = ranks.get(target.path) ?? config.init_r
    // What was pruned away altogether is the base again.
    if (rank === 0) {
      for (const suffix of ['lora_A', 'lora_B', 'lora_E']) job.maybe(target.path, suffix)
      return []
    }
    const given = {
      ...readFactors(job, target, rank, ''),
      e: reshape(job.tensor(target.path, 'lora_E', [rank, 1]), [rank]),
      alpha: (config.lora_alpha > 0 ? config.lora_alpha : rank) / divisor(config.init_r),
      scaling: 'alpha',
      dropout: config.lora_dropout,
    }
    return [[`${target.path}.weight`, wrapWith(AdaLoraKind, { rank }, given, target.label)]]
  })
  return readBiases(edited(parted(job, targets), new Map(edits)), job, config.bias)
}

const fresh: HubConfig = {
  ...loraDefaults,
  beta1: 0.85,
  beta2: 0.85,
  deltaT: 1,
  init_r: 12,
  orth_reg_weight: 0.5,
  rank_pattern: null,
  target_r: 8,
  tfinal: 0,
  tinit: 0,
  // PEFT requires one, and only training reads it.
  total_step: 1,
}

const write = (job: WriteJob): Written | undefined => {
  const worn = wornOn<AdaLora>(job, 'AdaLora')
  if (worn === undefined) return undefined
  const ranks = worn.map(({ node }) => node.e.value.size)
  const most = Math.max(...ranks)
  const scale = common(worn, 'factor before the change', (node) => factorOf(node, node.e.value.size))
  const dropout = common(worn, 'rate of dropout', ({ dropout: rate }) => rate)
  if (!(scale > 0))
    reject('UnsupportedAdapter', worn[0]?.module ?? '', 'an alpha > 0', String(scale), 'PEFT reads no other.')
  const { bias, taken } = biasesOf(
    job,
    worn.map(({ module }) => module),
  )
  const uses = new Map(job.modules.map(({ path, use }) => [path, use]))
  const mask = (rank: number): readonly boolean[] => Array.from({ length: most }, (_, i) => i < rank)
  return {
    config: {
      ...fresh,
      ...targetNames(
        job,
        worn.map(({ module }) => module),
      ),
      bias,
      init_r: most,
      target_r: most,
      lora_alpha: scale * divisor(most),
      lora_dropout: dropout,
      ...(ranks.every((rank) => rank === most)
        ? {}
        : {
            rank_pattern: Object.fromEntries(worn.map(({ module }, i) => [`${module}.lora_E`, mask(ranks[i] ?? most)])),
          }),
    },
    tensors: new Map([
      ...named(
        worn.flatMap(({ module, node }) => [
          ...writeFactors(module, uses.get(module) ?? 'linear', { a: node.a.value, b: node.b.value }, ''),
          [module, 'lora_E', reshape(node.e.value, [node.e.value.size, 1])] as const,
        ]),
      ),
      ...taken.tensors,
    ]),
    taken: taken.paths,
  }
}

/** AdaLoRA; what pruning took away is not in the file. */
export const adaloraMethod: PeftMethod<AdaLoraConfig> = {
  type: 'ADALORA',
  spec: {
    props: {
      ...targetingProps,
      init_r: PositiveWhole,
      lora_alpha: Finite,
      lora_dropout: Rate,
      bias: Bias,
      fan_in_fan_out: t.boolean,
      rank_pattern: orNull(Masks),
    },
    defaults: { init_r: 12, lora_alpha: 8, lora_dropout: 0, bias: 'none', fan_in_fan_out: false },
    only: {
      ...refusedOptions,
      alpha_pattern: [],
      use_dora: [false],
      use_rslora: [],
      lora_bias: [false],
      target_parameters: [],
      trainable_token_indices: [],
      ensure_weight_tying: [false],
      init_lora_weights: [true],
    },
    harmless: [
      ...harmlessOptions,
      ...['r', 'beta1', 'beta2', 'deltaT', 'orth_reg_weight', 'target_r', 'tfinal', 'tinit', 'total_step'],
    ],
  },
  read,
  write,
}
