import { concat, neg, read } from '../../ops/index.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { isHole } from '../../tree/leaf.ts'
import { scaleOf } from '../../weight/index.ts'
import type { Dora, Lora, LoraFrom, TokenRows } from '../../weight/index.ts'
import type { Shifted } from '../../nn/index.ts'
import { reject } from '../issues.ts'
import { writeFactors } from './factors.ts'
import type { Factors } from './factors.ts'
import { alphaOf, common, named, partsOf } from './layers.ts'
import type { Worn } from './layers.ts'
import { loraDefaults } from './lora-config.ts'
import type { WriteJob, Written } from './method.ts'
import type { Use } from './modules.ts'
import { others, usual } from './patterns.ts'
import { targetNames } from './target-names.ts'
import { biasesOf } from './trained.ts'
import { saveOurs } from './hints.ts'

type Change = Lora | Dora | LoraFrom

/** What begins from a part of the base, as a change of twice the rank that the base can stay as it is under. */
const converted = ({ a, b, a0, b0 }: LoraFrom): Factors => ({
  a: concat([a.value, a0.value], 1),
  b: concat([b.value, neg(b0.value)], 0),
})

/** Rows of trained tokens; a head that shares the table has the same ones, and they are written once. */
const tokensOf = (job: WriteJob, uses: ReadonlyMap<string, Use | undefined>) => {
  const all = partsOf<TokenRows>(job, 'TokenRows')
  const own = all.filter(({ module }) => uses.get(module) !== 'head')
  const lone = all.find(
    ({ module, node }) => uses.get(module) === 'head' && own.every((o) => o.node.rows !== node.rows),
  )
  if (lone !== undefined)
    reject(
      'UnsupportedAdapter',
      lone.module,
      'the same rows as the embedding it shares a table with',
      'others',
      saveOurs,
    )
  return own
}

const shiftsOf = (job: WriteJob, changes: readonly Worn<Change>[]): readonly Worn<Shifted>[] => {
  const shifts = partsOf<Shifted>(job, 'Shifted')
  for (const { module, node } of shifts) {
    const change = changes.find((c) => c.module === module)
    if (
      change === undefined ||
      change.node._tag === 'Dora' ||
      Math.abs(scaleOf(change.node) - node.scale) > 1e-12 * Math.abs(node.scale)
    )
      reject(
        'UnsupportedAdapter',
        module,
        'a bias of LoRA with the factor of its A·B',
        `one with ${node.scale}`,
        saveOurs,
      )
  }
  if (shifts.length > 0 && shifts.length < changes.length)
    reject(
      'UnsupportedAdapter',
      changes.find(({ module }) => shifts.every((s) => s.module !== module))?.module ?? '',
      'a bias of LoRA on each layer, as on others',
      'none',
      saveOurs,
    )
  return shifts
}

const refuseStrange = (changes: readonly Worn<Change>[], uses: ReadonlyMap<string, Use | undefined>): void => {
  for (const { module, node } of changes) {
    if (!isHole(node.base))
      reject('UnsupportedAdapter', `${module}.weight`, 'one change of a frozen weight', 'a stack of them', saveOurs)
    if (uses.get(module) === undefined)
      reject('UnsupportedAdapter', `${module}.weight`, 'the weight of a layer', 'another', saveOurs)
    if (uses.get(module) === 'head' && node._tag !== 'Lora')
      reject('UnsupportedAdapter', `${module}.weight`, 'LoRA, on a head that shares its table', node._tag, saveOurs)
  }
}

/** LoRA and its kin as PEFT would save them. */
export const writeLora = (job: WriteJob): Written | undefined => {
  const tags = ['Lora', 'Dora', 'LoraFrom', 'Shifted', 'TokenRows']
  const strange = job.parts.some(({ node }) => !tags.includes(String((node as { readonly _tag?: unknown })._tag)))
  const changes = partsOf<Change>(job, 'Lora', 'Dora', 'LoraFrom')
  if (strange || changes.length === 0) return undefined
  const uses = new Map(job.modules.map(({ path, use }) => [path, use]))
  refuseStrange(changes, uses)
  const asBegun = ['pissa', 'olora'].includes(String(job.kept?.['init_lora_weights']).toLowerCase())
  const factors = changes.map(({ node }) =>
    node._tag === 'LoraFrom' && !asBegun ? converted(node) : { a: node.a.value, b: node.b.value },
  )
  const modules = changes.map(({ module }) => module)
  const ranks = factors.map(({ a }) => a.shape[1] ?? 0)
  const isStable = changes.every(({ node }) => node.scaling === 'alpha/sqrt(rank)' && node._tag !== 'LoraFrom')
  const alphas = changes.map(({ node }, i) => {
    const rank = ranks[i] ?? 1
    if (isStable) return node.alpha
    return rank === node.a.value.shape[1] ? alphaOf(node, rank) : scaleOf(node) * rank
  })
  const dora = common(changes, 'of use_dora', (node) => node._tag === 'Dora')
  const dropout = common(changes, 'rate of dropout', (node) => node.dropout)
  const [r, alpha] = [usual(ranks), usual(alphas)]
  const shifts = shiftsOf(job, changes)
  const tokens = tokensOf(job, uses)
  const { bias, taken } = biasesOf(job, modules)
  const tensors: readonly (readonly [string, string, Tensor])[] = [
    ...changes.flatMap(({ module, node }, i) => [
      ...writeFactors(module, uses.get(module) ?? 'linear', factors[i] as Factors, '.weight'),
      ...(node._tag === 'Dora' ? [[module, 'lora_magnitude_vector', node.magnitude.value] as const] : []),
    ]),
    ...shifts.map(({ module, node }) => [module, 'lora_B.bias', node.shift.value] as const),
    ...tokens.map(({ module, node }) => [module, 'token_adapter.trainable_tokens_delta', node.rows.value] as const),
  ]
  return {
    config: {
      ...loraDefaults,
      ...targetNames(job, modules),
      r,
      lora_alpha: alpha,
      rank_pattern: others(modules, ranks, r),
      alpha_pattern: others(modules, alphas, alpha),
      lora_dropout: dropout,
      use_rslora: isStable,
      use_dora: dora,
      lora_bias: shifts.length > 0,
      bias,
      trainable_token_indices:
        tokens.length === 0
          ? null
          : Object.fromEntries(tokens.map(({ module, node }) => [module, [...read(node.ids.value)]])),
    },
    tensors: new Map([...named(tensors), ...taken.tensors]),
    taken: taken.paths,
  }
}
