import * as t from 'io-ts'
import { PositiveWhole } from '../../kind/number-codecs.ts'
import { HraKind } from '../../weight/index.ts'
import type { Hra } from '../../weight/index.ts'
import { layerMethod } from './layer-method.ts'
import { common } from './layers.ts'

interface HraConfig {
  readonly r: number
  readonly apply_GS: boolean
}

/** HRA; the directions are [in, r] in files too. */
export const hraMethod = layerMethod<HraConfig, Hra>({
  type: 'HRA',
  biases: 'hra_only',
  spec: { props: { r: PositiveWhole, apply_GS: t.boolean }, defaults: { r: 8, apply_GS: false } },
  tags: ['Hra'],
  wrap:
    ({ config: { r, apply_GS }, tensor }) =>
    ({ path, inputs }) => ({
      kind: HraKind,
      dims: { rank: r },
      given: { u: tensor(path, 'hra_u', [inputs, r]), orthogonalise: apply_GS },
    }),
  own: (worn) => ({
    config: {
      r: common(worn, 'rank', ({ u }) => u.value.shape[1]),
      apply_GS: common(worn, 'way to reflect', ({ orthogonalise }) => orthogonalise),
    },
    tensors: worn.map(({ module, node }) => [module, 'hra_u', node.u.value]),
  }),
})
