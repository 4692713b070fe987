import * as t from 'io-ts'
import { PositiveWhole, Rate } from '../../kind/number-codecs.ts'
import { tensor, transpose } from '../../ops/index.ts'
import { constant } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { VeraKind } from '../../weight/index.ts'
import type { Vera } from '../../weight/index.ts'
import { Seed } from './codecs.ts'
import { layerMethod } from './layer-method.ts'
import type { Part } from './layer-method.ts'
import { common, targetLayers } from './layers.ts'
import { torchGenerator, torchUniform } from './torch-random.ts'

interface VeraConfig {
  readonly r: number
  readonly save_projection: boolean
  readonly vera_dropout: number
  readonly projection_prng_key: number
}

/** A projection as PEFT draws it anew where it is not saved: kaiming-uniform by its columns. */
const drawn = (random: () => number, [rows, columns]: readonly [number, number]): Tensor => {
  const bound = Math.sqrt(3) * (Math.SQRT2 / Math.sqrt(columns))
  return tensor(torchUniform(random, rows * columns, -bound, bound), [rows, columns])
}

/** VeRA; all layers share the projections, as many rows and columns of each as the widest of them wants. */
export const veraMethod = layerMethod<VeraConfig, Vera>({
  type: 'VERA',
  biases: 'vera_only',
  exclude: false,
  conv1d: true,
  spec: {
    props: { r: PositiveWhole, save_projection: t.boolean, vera_dropout: Rate, projection_prng_key: Seed },
    defaults: { r: 256, save_projection: true, vera_dropout: 0, projection_prng_key: 0 },
    harmless: ['d_initial'],
  },
  tags: ['Vera'],
  wrap: (job) => {
    const { r: rank, save_projection, vera_dropout: dropout, projection_prng_key } = job.config
    const layers = targetLayers(job)
    // Before anything is drawn, for they say whether the rank is that of the file.
    const scales = new Map(
      layers.map(({ path, outputs }) => [
        path,
        { d: job.tensor(path, 'vera_lambda_d', [rank]), b: job.tensor(path, 'vera_lambda_b', [outputs]) },
      ]),
    )
    const widestIn = Math.max(...layers.map(({ inputs }) => inputs))
    const widestOut = Math.max(...layers.map(({ outputs }) => outputs))
    const random = torchGenerator(projection_prng_key)
    const projection = (name: string, shape: readonly [number, number]): Tensor =>
      transpose(save_projection ? job.global(name, shape) : drawn(random, shape))
    const shared = {
      // A is drawn before B.
      projectionA: constant('vera.A', projection('vera_A', [rank, widestIn])),
      projectionB: constant('vera.B', projection('vera_B', [widestOut, rank])),
    }
    return ({ path }) => ({
      kind: VeraKind,
      dims: { rank, widestIn, widestOut },
      given: { ...shared, ...scales.get(path), dropout },
    })
  },
  own: (worn) => {
    const a = common(worn, 'projection A', ({ projectionA }) => projectionA.value)
    const b = common(worn, 'projection B', ({ projectionB }) => projectionB.value)
    return {
      config: {
        r: b.shape[0] ?? 1,
        d_initial: 0.1,
        projection_prng_key: 0,
        save_projection: true,
        vera_dropout: common(worn, 'dropout', ({ dropout }) => dropout),
      },
      tensors: worn.flatMap(({ module, node }): readonly Part[] => [
        [module, 'vera_lambda_b', node.b.value],
        [module, 'vera_lambda_d', node.d.value],
      ]),
      globals: new Map([
        ['base_model.vera_A', transpose(a)],
        ['base_model.vera_B', transpose(b)],
      ]),
    }
  },
})
