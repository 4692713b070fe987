import { PositiveWhole, Rate } from '../../kind/number-codecs.ts'
import { reshape, transpose } from '../../ops/index.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { BoftKind } from '../../weight/index.ts'
import type { Boft } from '../../weight/index.ts'
import { reject } from '../issues.ts'
import { Whole } from './codecs.ts'
import { common, named, sidesAt, wornOn, wrapLayers } from './layers.ts'
import type { PeftMethod } from './method.ts'
import { targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'

interface BoftConfig extends Targeting {
  readonly boft_block_size: number
  readonly boft_block_num: number
  readonly boft_n_butterfly_factor: number
  readonly boft_dropout: number
}

/** Each block transposed: PEFT computes (I − Q)(I + Q)⁻¹ of a block, which is ours of its transpose. */
const turned = (blocks: Tensor): Tensor => transpose(blocks, [0, 2, 1])

/** BOFT; blocks [factors, blocks, b, b] in the order that they have here. */
export const boftMethod: PeftMethod<BoftConfig> = {
  type: 'BOFT',
  spec: {
    props: {
      ...targetingProps,
      boft_block_size: Whole,
      boft_block_num: Whole,
      boft_n_butterfly_factor: PositiveWhole,
      boft_dropout: Rate,
    },
    defaults: { boft_block_size: 4, boft_block_num: 0, boft_n_butterfly_factor: 1, boft_dropout: 0 },
    only: { bias: ['none'] },
    harmless: ['init_weights', 'fan_in_fan_out'],
  },
  read: (job) => {
    const { config, at, tensor } = job
    return wrapLayers(job, ({ path, inputs, outputs }) => {
      const size = config.boft_block_size === 0 ? inputs / config.boft_block_num : config.boft_block_size
      const blocks = tensor(path, 'boft_R')
      // Without its CUDA extension PEFT makes a single factor, whatever was asked for.
      const factors = blocks.shape[0] === 1 ? 1 : config.boft_n_butterfly_factor
      if (inputs % (size * 2 ** (factors - 1)) !== 0 || (factors > 1 && size % 2 !== 0))
        reject(
          'BadConfig',
          at('boft_block_size'),
          `blocks, even ones for several factors, that divide ${inputs} inputs`,
          `${size}, ${factors} factors`,
          'Is this the model that the adapter was trained on?',
        )
      const flat = reshape(blocks, [blocks.size / (size * size), size, size])
      return {
        kind: BoftKind,
        dims: { factors, blockSize: size },
        given: {
          r: reshape(turned(flat), [blocks.size / size, size]),
          s: reshape(tensor(path, 'boft_s'), [outputs]),
          dropout: config.boft_dropout,
        },
      }
    })
  },
  write: (job) => {
    const worn = wornOn<Boft>(job, 'Boft')
    if (worn === undefined) return undefined
    const layers = worn.map(({ module, node: { r } }) => {
      const [rows = 1, size = 1] = r.value.shape
      const [inputs] = sidesAt(job.model, module)
      return { module, node: { size, factors: rows / inputs, count: inputs / size } }
    })
    const bySize = layers.every(({ node }) => node.size === layers[0]?.node.size)
    return {
      config: {
        target_modules: layers.map(({ module }) => module).toSorted(),
        boft_block_size: bySize ? (layers[0]?.node.size ?? 0) : 0,
        boft_block_num: bySize ? 0 : common(layers, 'number or size of blocks', ({ count }) => count),
        boft_n_butterfly_factor: common(layers, 'number of factors', ({ factors }) => factors),
        boft_dropout: common(worn, 'dropout', ({ dropout }) => dropout),
      },
      tensors: named(
        worn.flatMap(({ module, node: { r, s } }, i) => {
          const { size, factors, count } = layers[i]?.node ?? { size: 1, factors: 1, count: 1 }
          const blocks = turned(reshape(r.value, [factors * count, size, size]))
          return [
            [module, 'boft_R', reshape(blocks, [factors, count, size, size])] as const,
            [module, 'boft_s', reshape(s.value, [s.value.size, 1])] as const,
          ]
        }),
      ),
    }
  },
}
