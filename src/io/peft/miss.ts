import * as t from 'io-ts'
import { PositiveWhole, Rate } from '../../kind/number-codecs.ts'
import { reshape } from '../../ops/index.ts'
import { MissBatKind, MissKind } from '../../weight/index.ts'
import type { Miss, MissBat } from '../../weight/index.ts'
import { reject } from '../issues.ts'
import { layerMethod } from './layer-method.ts'
import { common, sidesAt } from './layers.ts'
import { otherModel } from './hints.ts'

interface MissConfig {
  readonly r: number
  readonly mini_r: number
  readonly miss_dropout: number
  readonly init_weights: boolean | 'bat' | 'mini'
}

/** MiSS; what is called its beginning says which of three functions it is, and blocks are [r, out] in files too. */
export const missMethod = layerMethod<MissConfig, Miss | MissBat>({
  type: 'MISS',
  biases: 'MiSS_only',
  begins: { layers_pattern: null, layers_to_transform: null },
  spec: {
    props: {
      r: PositiveWhole,
      mini_r: PositiveWhole,
      miss_dropout: Rate,
      init_weights: t.union([t.boolean, t.literal('bat'), t.literal('mini')]),
    },
    defaults: { r: 64, mini_r: 1, miss_dropout: 0, init_weights: true },
  },
  tags: ['Miss', 'MissBat'],
  wrap:
    ({ config: { r: rank, mini_r, miss_dropout, init_weights }, at, tensor }) =>
    ({ path, inputs, outputs }) => {
      const form = init_weights === 'bat' || init_weights === 'mini' ? init_weights : 'plain'
      const columns = form === 'mini' ? mini_r : outputs
      const fits = form === 'bat' ? inputs % rank === 0 && outputs % rank === 0 : outputs % columns === 0
      if (!fits || rank > inputs)
        reject(
          'BadConfig',
          at('r'),
          `blocks that ${path} can be cut into, ${inputs}×${outputs}`,
          form === 'mini' ? `${rank}×${columns}` : String(rank),
          otherModel,
        )
      if (form === 'bat') {
        const block = reshape(tensor(path, 'miss_block', [outputs / rank, rank, rank]), [outputs, rank])
        return { kind: MissBatKind, dims: { rank }, given: { block } }
      }
      const block = tensor(path, 'miss_block', [rank, columns])
      return { kind: MissKind, dims: { rank, columns }, given: { block, dropout: miss_dropout } }
    },
  own: (worn, { nodes }) => {
    const bat = common(worn, 'form', ({ _tag }) => _tag === 'MissBat')
    const columns = worn.map(({ node }) => node.block.value.shape[1] ?? 1)
    const rank = common(worn, 'rank', ({ _tag, block: { value } }) => value.shape[_tag === 'MissBat' ? 1 : 0] ?? 1)
    const wide = worn.every(({ module }, i) => columns[i] === sidesAt(nodes, module)[1])
    return {
      config: {
        r: rank,
        mini_r: bat || wide ? 1 : common(worn, 'width of blocks', ({ block: { value } }) => value.shape[1]),
        miss_dropout: common(worn, 'dropout', (node) => (node._tag === 'Miss' ? node.dropout : 0)),
        init_weights: bat ? 'bat' : wide ? true : 'mini',
      },
      tensors: worn.map(({ module, node: { block } }) => [
        module,
        'miss_block',
        bat ? reshape(block.value, [block.value.size / (rank * rank), rank, rank]) : block.value,
      ]),
    }
  },
})
