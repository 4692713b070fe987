import * as t from 'io-ts'
import { PositiveWhole, Rate } from '../../kind/number-codecs.ts'
import { tensor, transpose } from '../../ops/index.ts'
import { constant } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { VeraKind } from '../../weight/index.ts'
import type { Vera } from '../../weight/index.ts'
import { Seed } from './codecs.ts'
import { common, named, targetLayers, wornOn, wrapLayers } from './layers.ts'
import type { PeftMethod } from './method.ts'
import { targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'
import { torchGenerator, torchUniform } from './torch-random.ts'

interface VeraConfig extends Targeting {
  readonly r: number
  readonly save_projection: boolean
  readonly vera_dropout: number
  readonly projection_prng_key: number
}

/** A projection as PEFT draws it anew where it is not saved: kaiming-uniform by its columns. */
const drawn = (random: () => number, rows: number, columns: number): Tensor => {
  const bound = Math.sqrt(3) * (Math.SQRT2 / Math.sqrt(columns))
  return tensor(torchUniform(random, rows * columns, -bound, bound), [rows, columns])
}

/** VeRA; all layers share the projections, as many rows and columns of each as the widest of them wants. */
export const veraMethod: PeftMethod<VeraConfig> = {
  type: 'VERA',
  spec: {
    props: {
      ...targetingProps,
      r: PositiveWhole,
      save_projection: t.boolean,
      vera_dropout: Rate,
      projection_prng_key: Seed,
    },
    defaults: { r: 256, save_projection: true, vera_dropout: 0, projection_prng_key: 0 },
    only: { bias: ['none'] },
    harmless: ['init_weights', 'fan_in_fan_out', 'd_initial'],
  },
  read: (job) => {
    const { config, global } = job
    const layers = targetLayers(job)
    const dims = {
      rank: config.r,
      widestIn: Math.max(...layers.map(({ inputs }) => inputs)),
      widestOut: Math.max(...layers.map(({ outputs }) => outputs)),
    }
    const random = torchGenerator(config.projection_prng_key)
    const { rank, widestIn, widestOut } = dims
    // A is drawn before B.
    const a = config.save_projection ? global('base_model.vera_A') : drawn(random, rank, widestIn)
    const b = config.save_projection ? global('base_model.vera_B') : drawn(random, widestOut, rank)
    const shared = { projectionA: constant('vera.A', transpose(a)), projectionB: constant('vera.B', transpose(b)) }
    return wrapLayers(job, ({ path }) => ({
      kind: VeraKind,
      dims,
      given: {
        ...shared,
        d: job.tensor(path, 'vera_lambda_d'),
        b: job.tensor(path, 'vera_lambda_b'),
        dropout: config.vera_dropout,
      },
    }))
  },
  write: (job) => {
    const worn = wornOn<Vera>(job, 'Vera')
    if (worn === undefined) return undefined
    const a = common(worn, 'projection A', ({ projectionA }) => projectionA.value)
    const b = common(worn, 'projection B', ({ projectionB }) => projectionB.value)
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
