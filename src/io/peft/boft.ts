import { PositiveWhole, Rate } from '../../kind/number-codecs.ts'
import { reshape, transpose } from '../../ops/index.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { BoftKind } from '../../weight/index.ts'
import type { Boft } from '../../weight/index.ts'
import { reject } from '../issues.ts'
import { Whole } from './codecs.ts'
import { layerMethod } from './layer-method.ts'
import type { Part } from './layer-method.ts'
import { common, sidesAt } from './layers.ts'
import { otherModel } from './hints.ts'

interface BoftConfig {
  readonly boft_block_size: number
  readonly boft_block_num: number
  readonly boft_n_butterfly_factor: number
  readonly boft_dropout: number
}

/** Each block transposed: PEFT computes (I − Q)(I + Q)⁻¹ of a block, which is ours of its transpose. */
const turned = (blocks: Tensor): Tensor => transpose(blocks, [0, 2, 1])

/** BOFT; blocks [factors, blocks, b, b] in the order that they have here. */
export const boftMethod = layerMethod<BoftConfig, Boft>({
  type: 'BOFT',
  biases: 'boft_only',
  spec: {
    props: {
      boft_block_size: Whole,
      boft_block_num: Whole,
      boft_n_butterfly_factor: PositiveWhole,
      boft_dropout: Rate,
    },
    defaults: { boft_block_size: 4, boft_block_num: 0, boft_n_butterfly_factor: 1, boft_dropout: 0 },
  },
  tags: ['Boft'],
  wrap:
    ({ config, at, tensor, maybe }) =>
    ({ path, inputs, outputs }) => {
      const size = config.boft_block_size === 0 ? inputs / config.boft_block_num : config.boft_block_size
      // Without its CUDA extension PEFT makes a single factor, whatever was asked for.
      const factors = maybe(path, 'boft_R')?.shape[0] === 1 ? 1 : config.boft_n_butterfly_factor
      if (inputs % (size * 2 ** (factors - 1)) !== 0 || size < 2 || (factors > 1 && size % 2 !== 0))
        reject(
          'BadConfig',
          at('boft_block_size'),
          `blocks from 2 on, even ones for several factors, that divide ${inputs} inputs`,
          `${size}, ${factors} factors`,
          otherModel,
        )
      const blocks = tensor(path, 'boft_R', [factors, inputs / size, size, size])
      const flat = turned(reshape(blocks, [(factors * inputs) / size, size, size]))
      return {
        kind: BoftKind,
        dims: { factors, blockSize: size },
        given: {
          r: reshape(flat, [factors * inputs, size]),
          s: reshape(tensor(path, 'boft_s', [outputs, 1]), [outputs]),
          dropout: config.boft_dropout,
        },
      }
    },
  own: (worn, { nodes }) => {
    const layers = worn.map(({ module, node: { r } }) => {
      const [rows = 1, size = 1] = r.value.shape
      const [inputs] = sidesAt(nodes, module)
      return { module, node: { size, factors: rows / inputs, count: inputs / size } }
    })
    const bySize = layers.every(({ node }) => node.size === layers[0]?.node.size)
    return {
      config: {
        boft_block_size: bySize ? (layers[0]?.node.size ?? 0) : 0,
        boft_block_num: bySize ? 0 : common(layers, 'number or size of blocks', ({ count }) => count),
        boft_n_butterfly_factor: common(layers, 'number of factors', ({ factors }) => factors),
        boft_dropout: common(worn, 'dropout', ({ dropout }) => dropout),
        fan_in_fan_out: false,
      },
      tensors: worn.flatMap(({ module, node: { r, s } }, i): readonly Part[] => {
        const { size, factors, count } = layers[i]?.node ?? { size: 1, factors: 1, count: 1 }
        const blocks = turned(reshape(r.value, [factors * count, size, size]))
        return [
          [module, 'boft_R', reshape(blocks, [factors, count, size, size])],
          [module, 'boft_s', reshape(s.value, [s.value.size, 1])],
        ]
      }),
    }
  },
})
