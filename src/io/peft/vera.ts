import * as t from 'io-ts'
import { Finite, PositiveWhole } from '../../kind/number-codecs.ts'
import { transpose } from '../../ops/index.ts'
import { constant } from '../../tree/leaf.ts'
import { VeraKind } from '../../weight/index.ts'
import type { Vera } from '../../weight/index.ts'
import { reject } from '../issues.ts'
import { common, named, targetLayers, wornOn, wrapLayers } from './layers.ts'
import type { PeftMethod } from './method.ts'
import { targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'

interface VeraConfig extends Targeting {
  readonly r: number
  readonly save_projection: boolean
  readonly projection_prng_key: number
}

/** VeRA; all layers share the projections, as many rows and columns of each as the widest of them wants. */
export const veraMethod: PeftMethod<VeraConfig> = {
  type: 'VERA',
  spec: {
    props: { ...targetingProps, r: PositiveWhole, save_projection: t.boolean, projection_prng_key: Finite },
    defaults: { r: 256, save_projection: true, projection_prng_key: 0 },
    harmless: ['init_weights', 'fan_in_fan_out', 'd_initial'],
  },
  read: (job) => {
    const { config, at, global, tensor } = job
    if (!config.save_projection)
      reject(
        'UnsupportedConfig',
        at('save_projection'),
        'true: projections that the file holds',
        'false',
        'They come from the generator of PyTorch: load the adapter there, and save it with save_projection=True.',
      )
    const layers = targetLayers(job)
    const a = transpose(global('base_model.vera_A'))
    const b = transpose(global('base_model.vera_B'))
    const dims = {
      rank: config.r,
      widestIn: Math.max(...layers.map(({ inputs }) => inputs)),
      widestOut: Math.max(...layers.map(({ outputs }) => outputs)),
    }
    const shared = { projectionA: constant('vera.A', a), projectionB: constant('vera.B', b) }
    return wrapLayers(job, ({ path }) => ({
      kind: VeraKind,
      dims,
      given: { ...shared, d: tensor(path, 'vera_lambda_d'), b: tensor(path, 'vera_lambda_b') },
    }))
  },
  write: (job) => {
    const worn = wornOn<Vera>(job, 'Vera')
    if (worn === undefined) return undefined
    const a = common(
      worn,
      'projection A',
      worn.map(({ node }) => node.projectionA.value),
    )
    const b = common(
      worn,
      'projection B',
      worn.map(({ node }) => node.projectionB.value),
    )
    const tensors = named(
      worn.flatMap(({ module, node }) => [
        [module, 'vera_lambda_b', node.b.value] as const,
        [module, 'vera_lambda_d', node.d.value] as const,
      ]),
    )
    tensors.set('base_model.vera_A', transpose(a))
    tensors.set('base_model.vera_B', transpose(b))
    return {
      config: {
        target_modules: worn.map(({ module }) => module).toSorted(),
        r: b.shape[0] ?? 1,
        save_projection: true,
      },
      tensors,
    }
  },
}
