import * as t from 'io-ts'
import { read } from '../../ops/index.ts'
import type { TokenRows } from '../../weight/index.ts'
import { reject } from '../issues.ts'
import { common, named, wornOn } from './layers.ts'
import type { PeftMethod } from './method.ts'
import { rowsOn } from './token-rows.ts'
import { requireWeights, targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'
import { targetNames } from './target-names.ts'

interface TokensConfig extends Targeting {
  readonly token_indices: readonly number[]
}

/** Rows of an embedding trained in place of its own. */
export const trainableTokensMethod: PeftMethod<TokensConfig> = {
  type: 'TRAINABLE_TOKENS',
  spec: {
    props: { ...targetingProps, token_indices: t.readonlyArray(t.number, 'a list of token ids') },
    defaults: {},
    harmless: ['init_weights'],
  },
  read: (job) => {
    const first = job.modules.filter(({ use }) => use === 'embedding').slice(0, 1)
    const targets = job.config.target_modules === null ? first : job.targets
    requireWeights(targets, job.config, job.at)
    // A head that shares the table is given the rows of the embedding.
    const own = targets.filter(({ use }) => use !== 'head')
    const ids = job.config.token_indices
    return own.reduce((now, module) => rowsOn(now, job, module, { ids, key: 'token_indices', prefix: '' }), job.model)
  },
  write: (job) => {
    const worn = wornOn<TokenRows>(job, 'TokenRows')
    if (worn === undefined) return undefined
    const idsOf = (node: TokenRows): readonly number[] => [...read(node.ids.value)]
    common(worn, 'list of ids', (node) => idsOf(node).join())
    const heads = new Set(job.modules.filter(({ use }) => use === 'head').map(({ path }) => path))
    const own = worn.filter(({ module }) => !heads.has(module))
    const [first] = own
    if (first === undefined)
      return reject(
        'UnsupportedAdapter',
        worn[0]?.module ?? '',
        'rows of an embedding',
        'rows of a head',
        'Put them on both.',
      )
    const modules = own.map(({ module }) => module)
    return {
      config: {
        init_weights: true,
        target_modules: targetNames(job, modules).target_modules,
        token_indices: idsOf(first.node),
      },
      tensors: named(worn.map(({ module, node }) => [module, 'trainable_tokens_delta', node.rows.value])),
    }
  },
}
