import * as t from 'io-ts'
import { PositiveWhole } from '../../kind/number-codecs.ts'
import { HraKind } from '../../weight/index.ts'
import type { Hra } from '../../weight/index.ts'
import { common, named, wornOn, wrapLayers } from './layers.ts'
import type { PeftMethod } from './method.ts'
import { targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'

interface HraConfig extends Targeting {
  readonly r: number
  readonly apply_GS: boolean
}

/** HRA; the directions are [in, r] in files too. */
export const hraMethod: PeftMethod<HraConfig> = {
  type: 'HRA',
  spec: {
    props: { ...targetingProps, r: PositiveWhole, apply_GS: t.boolean },
    defaults: { r: 8, apply_GS: false },
    only: { bias: ['none'] },
    harmless: ['init_weights'],
  },
  read: (job) =>
    wrapLayers(job, ({ path }) => ({
      kind: HraKind,
      dims: { rank: job.config.r },
      given: { u: job.tensor(path, 'hra_u'), orthogonalise: job.config.apply_GS },
    })),
  write: (job) => {
    const worn = wornOn<Hra>(job, 'Hra')
    if (worn === undefined) return undefined
    return {
      config: {
        target_modules: worn.map(({ module }) => module).toSorted(),
        r: common(worn, 'rank', (node) => node.u.value.shape[1]),
        apply_GS: common(worn, 'orthogonalise', (node) => node.orthogonalise),
      },
      tensors: named(worn.map(({ module, node }) => [module, 'hra_u', node.u.value])),
    }
  },
}
