import * as t from 'io-ts'
import { Finite, PositiveWhole, Rate } from '../../kind/number-codecs.ts'
import { reshape, sameTensor } from '../../ops/index.ts'
import { constant } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { RandloraKind } from '../../weight/index.ts'
import type { Randlora } from '../../weight/index.ts'
import { reject } from '../issues.ts'
import { layerMethod } from './layer-method.ts'
import type { Part } from './layer-method.ts'
import { common, targetLayers } from './layers.ts'

interface RandloraConfig {
  readonly r: number
  readonly randlora_alpha: number
  readonly randlora_dropout: number
  readonly save_projection: boolean
}

/** RandLoRA; the bases are as large as the largest layer wants, and each layer of a file repeats them. */
export const randloraMethod = layerMethod<RandloraConfig, Randlora>({
  type: 'RANDLORA',
  biases: 'randlora_only',
  exclude: false,
  conv1d: true,
  spec: {
    props: { r: PositiveWhole, randlora_alpha: Finite, randlora_dropout: Rate, save_projection: t.boolean },
    defaults: { r: 32, randlora_alpha: 640, randlora_dropout: 0, save_projection: true },
    // How the bases were drawn, which are in the file.
    harmless: ['projection_prng_key', 'sparse', 'very_sparse'],
  },
  tags: ['Randlora'],
  wrap: (job) => {
    const { r: rank, randlora_alpha, randlora_dropout: dropout, save_projection } = job.config
    if (!save_projection)
      reject(
        'UnsupportedConfig',
        job.at('save_projection'),
        'true: random bases that the file holds',
        'false',
        'PyTorch draws them and divides by their deviation, not alike everywhere: save the adapter again with save_projection=True.',
      )
    const layers = targetLayers(job)
    const [widestIn, widestOut] = [
      Math.max(...layers.map(({ inputs }) => inputs)),
      Math.max(...layers.map(({ outputs }) => outputs)),
    ]
    const [narrowest, widest] = [Math.min(widestIn, widestOut), Math.max(widestIn, widestOut)]
    const most = Math.ceil(narrowest / rank)
    const [shapeA, shapeB] = [
      [rank, 1, narrowest],
      [widest, most, rank],
    ]
    const [a, b] = [job.global('randlora_A', shapeA), job.global('randlora_B', shapeB)]
    const shared = {
      projectionA: constant('randlora.A', reshape(a, [rank, narrowest])),
      projectionB: constant('randlora.B', b),
    }
    // Files of some versions repeat the bases for each layer.
    const repeats = (path: string, name: string, bases: Tensor): void => {
      const own = job.maybe(path, name, bases.shape)
      if (own !== undefined && !sameTensor(own, bases))
        reject(
          'UnsupportedAdapter',
          `${path}.${name}`,
          'the bases that all layers share',
          'others',
          'PEFT shares them.',
        )
    }
    return ({ path, inputs, outputs }) => {
      const smaller = Math.min(inputs, outputs)
      const own = Math.ceil(smaller / rank)
      repeats(path, 'randlora_A', a)
      repeats(path, 'randlora_B', b)
      return {
        kind: RandloraKind,
        dims: { rank, narrowest, widest, most, bases: own, smaller },
        given: {
          ...shared,
          lambda: job.tensor(path, 'randlora_lambda', [rank, own]),
          gamma: job.tensor(path, 'randlora_gamma', [own, smaller]),
          scale: randlora_alpha / rank,
          dropout,
        },
      }
    }
  },
  own: (worn) => {
    const a = common(worn, 'projection A', ({ projectionA }) => projectionA.value)
    const b = common(worn, 'projection B', ({ projectionB }) => projectionB.value)
    const [rank = 1, narrowest = 1] = a.shape
    const scale = common(worn, 'scale', (node) => node.scale)
    const basesA = reshape(a, [rank, 1, narrowest])
    return {
      config: {
        r: rank,
        randlora_alpha: scale * rank,
        randlora_dropout: common(worn, 'dropout', ({ dropout }) => dropout),
        projection_prng_key: 0,
        save_projection: true,
        sparse: false,
        very_sparse: false,
      },
      tensors: worn.flatMap(({ module, node }): readonly Part[] => [
        [module, 'randlora_lambda', node.lambda.value],
        [module, 'randlora_gamma', node.gamma.value],
      ]),
      globals: new Map([
        ['base_model.randlora_A', basesA],
        ['base_model.randlora_B', b],
      ]),
    }
  },
})
