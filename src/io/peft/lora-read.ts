import { initialise, materialize } from '../../kind/index.ts'
import { ShiftedKind, context } from '../../nn/index.ts'
import type { Shifted } from '../../nn/index.ts'
import { sameTensor } from '../../ops/index.ts'
import { PositiveWhole } from '../../kind/number-codecs.ts'
import { initIssues, startOf } from '../../transform/lora-init.ts'
import { key } from '../../tree/key.ts'
import { DoraKind, LoraFromKind, LoraKind } from '../../weight/index.ts'
import { factorOf } from '../../weight/lora.ts'
import type { Scaling } from '../../weight/index.ts'
import { refuse, reject } from '../issues.ts'
import { readBiases } from './biases.ts'
import { edited, wrapWith } from './edit.ts'
import { readFactors } from './factors.ts'
import type { Factors } from './factors.ts'
import type { LoraConfig } from './lora-config.ts'
import type { ReadJob } from './method.ts'
import { headsOf, parted, sizedTargets } from './sizes.ts'
import type { Target } from './sizes.ts'
import { patternValues } from './patterns.ts'
import { listOf, requireWeights } from './targets.ts'
import { withTokens } from './token-rows.ts'

type Job = ReadJob<LoraConfig>

/** What a file may have left of the base to be taken out again. */
type Start = 'pissa' | 'olora'

/** What a configuration says of the change of one weight. */
interface Said {
  readonly rank: number
  readonly alpha: number
  readonly scaling: Scaling
  readonly dropout: number
}

const unread = (path: string, expected: string, found: string, hint: string): never =>
  reject('UnsupportedAdapter', path, expected, found, hint)

/** What the base is before LoRA changes it: as it is, or without what the factors began from, which PEFT takes out again on loading. */
const startNamed = ({ config, at }: Job): Start | undefined => {
  const init = config.init_lora_weights
  const name = typeof init === 'string' ? init.toLowerCase() : ''
  if (name === 'pissa' || name === 'olora') return name
  if (['', 'gaussian', 'eva', 'orthogonal'].includes(name)) return undefined
  return unread(
    at('init_lora_weights'),
    "true, false, 'gaussian', 'eva', 'orthogonal', 'pissa' or 'olora'",
    JSON.stringify(init),
    'Other beginnings change the base by something that is not in the file: save it with path_initial_model_for_weight_conversion.',
  )
}

/** What does not go together, as PEFT has it or as it cannot be known from the file. */
const refuseMixes = ({ config, at }: Job, targets: readonly Target[], start: Start | undefined): void => {
  const { use_dora, lora_bias } = config
  if (use_dora && lora_bias) unread(at('lora_bias'), 'false beside use_dora', 'true', 'PEFT does not train both.')
  if (use_dora && start !== undefined)
    unread(at('init_lora_weights'), 'no part of the base beside use_dora', start, 'Convert it with PEFT first.')
  for (const { use, path, untransposed } of targets) {
    if (use === 'embedding' && lora_bias)
      unread(at('lora_bias'), 'linear layers', `the embedding ${path}`, 'PEFT does not train it.')
    if (use === 'head' && (use_dora || start !== undefined))
      unread(
        at('target_modules'),
        'a head with a weight of its own',
        `${path}, which shares that of the embedding`,
        'What it would change is the embedding as well.',
      )
    if (start === 'olora' && untransposed)
      unread(at('init_lora_weights'), 'linear layers that lie as [out, in]', path, 'PEFT decomposes it the other way.')
  }
}

/** The node that stands on the weight of a target. */
const wrapperOf = (
  job: Job,
  target: Target,
  { rank, ...data }: Said,
  start: Start | undefined,
): ((weight: unknown) => unknown) => {
  const { path, use, label, columns, weight } = target
  const given = { ...readFactors(job, target, rank, '.weight'), ...data }
  if (job.config.use_dora) {
    const [name, older] = ['lora_magnitude_vector', 'lora_magnitude_vector.weight']
    const magnitude = job.maybe(path, older, [columns]) ?? job.tensor(path, name, [columns])
    return wrapWith(DoraKind, { rank }, { ...given, magnitude, detachNorm: true }, label)
  }
  if (start === undefined || use === 'embedding') return wrapWith(LoraKind, { rank }, given, label)
  const scale = factorOf(data, rank)
  refuse(initIssues(start, rank, scale, target).map((i) => ({ ...i, path: job.at('init_lora_weights') })))
  const { a: a0, b: b0 } = startOf(start, rank, scale, {
    ...target,
    key: key('peft'),
    dense: () => materialize(weight, context()),
  })
  return wrapWith(LoraFromKind, { rank }, { ...given, a0, b0 }, label)
}

/** The heads that PEFT keeps tied to an adapted embedding; the file has the factors of both, which must be the same. */
const keptTied = (job: Job, targets: readonly Target[], said: (path: string) => Said): readonly Target[] => {
  const names = listOf(job.config.target_modules).map((name) => name.split('.').at(-1) ?? '')
  const isAsked = names.some((name) => name === 'embed_tokens' || name === 'lm_head')
  const embedding = targets.find(({ use }) => use === 'embedding')
  if (!job.config.ensure_weight_tying || !isAsked || embedding === undefined) return []
  const heads = sizedTargets(job, headsOf(job, embedding.path)).filter(({ path }) =>
    targets.every((t) => t.path !== path),
  )
  for (const head of heads) {
    const [one, other] = [embedding, head].map((t) => readFactors(job, t, said(t.path).rank, '.weight')) as [
      Factors,
      Factors,
    ]
    if (!sameTensor(one.a, other.a) || !sameTensor(one.b, other.b))
      unread(
        job.at('ensure_weight_tying'),
        `one change of ${embedding.path} and ${head.path}`,
        'two',
        'Train them apart.',
      )
  }
  return heads
}

/** Linear layers of which a configuration names the weight itself; PEFT's B·A has then the shape that PyTorch's parameter has. */
const byParameter = (job: Job): readonly Target[] => {
  const { config, modules, at } = job
  const names = config.target_parameters ?? []
  if (names.length === 0) return []
  const isNamed = (key: string): boolean => names.some((name) => key === name || key.endsWith(`.${name}`))
  const found = modules.filter(({ path, use }) => use !== undefined && isNamed(`${path}.weight`))
  const strange = found.find(({ use, path }) => use !== 'linear' || job.targets.some((t) => t.path === path))
  const beside = (['lora_dropout', 'use_dora', 'lora_bias', 'fan_in_fan_out'] as const).find((key) => config[key])
  if (found.length === 0 || strange !== undefined || beside !== undefined || startNamed(job) !== undefined)
    unread(
      at('target_parameters'),
      'weights of linear layers that nothing else targets, and plain LoRA on them',
      strange?.path ?? beside ?? JSON.stringify(names).slice(0, 200),
      'Parameters of other modules, such as those of experts, are not read.',
    )
  return sizedTargets(job, found).map((target) => ({ ...target, swapped: target.untransposed }))
}

/** Puts the bias of LoRA's B on layers; A·B and it are scaled alike. */
const withShifts = (model: unknown, job: Job, targets: readonly Target[], said: (path: string) => Said): unknown =>
  edited(
    model,
    new Map(
      targets.map(({ path, swapped, rows, columns }) => {
        const out = swapped ? rows : columns
        const given = { shift: job.tensor(path, 'lora_B.bias', [out]), scale: factorOf(said(path), said(path).rank) }
        const fresh = initialise(ShiftedKind, { out }, key('peft'), given, path) as Shifted
        return [path, (base: unknown) => ({ ...fresh, base })]
      }),
    ),
  )

/** Puts LoRA on a base as PEFT would. */
export const readLora = (job: Job): unknown => {
  const { config, targets: named, modules, at } = job
  const parameters = byParameter(job)
  if (parameters.length === 0 || named.length > 0) requireWeights(named, config, at)
  const start = startNamed(job)
  // Patterns are held against what is named: a module, or a parameter of one.
  const keyOf = (path: string): string => (parameters.some((target) => target.path === path) ? `${path}.weight` : path)
  const paths = modules.map(({ path }) => keyOf(path))
  const rankOf = patternValues(config.rank_pattern, paths, config.r, at('rank_pattern'))
  const alphaOf = patternValues(config.alpha_pattern, paths, config.lora_alpha, at('alpha_pattern'))
  const said = (path: string): Said => ({
    rank: rankOf(keyOf(path)),
    alpha: alphaOf(keyOf(path)),
    scaling: config.use_rslora ? 'alpha/sqrt(rank)' : 'alpha/rank',
    dropout: config.lora_dropout,
  })
  const own = sizedTargets(job, named)
  const targets = [...own, ...keptTied(job, own, said), ...parameters]
  for (const { path } of targets)
    if (!PositiveWhole.is(said(path).rank))
      reject('BadConfig', at('rank_pattern'), PositiveWhole.name, `${said(path).rank} for ${path}`, 'A rank counts.')
  refuseMixes(job, targets, start)
  const worn = edited(
    parted(job, targets),
    new Map(targets.map((target) => [`${target.path}.weight`, wrapperOf(job, target, said(target.path), start)])),
  )
  const shifted = config.lora_bias ? withShifts(worn, job, targets, said) : worn
  const biased = readBiases(shifted, job, config.bias)
  return config.trainable_token_indices === null
    ? biased
    : withTokens(biased, job, config.trainable_token_indices, 'token_adapter.')
}
