import * as t from 'io-ts'
import { Finite } from '../../kind/number-codecs.ts'
import { neg } from '../../ops/index.ts'
import { OftKind } from '../../weight/index.ts'
import type { Oft } from '../../weight/index.ts'
import { reject } from '../issues.ts'
import { Whole } from './codecs.ts'
import { layerMethod } from './layer-method.ts'
import { common, sidesAt } from './layers.ts'
import { saveOurs } from './hints.ts'

interface Blocks {
  readonly r: number
  readonly oft_block_size: number
}

interface OftConfig extends Blocks {
  readonly coft: boolean
  readonly eps: number
  readonly block_share: boolean
  readonly use_cayley_neumann: boolean
  readonly num_cayley_neumann_terms: number
}

/** The nearest number that divides `of`, the smaller of two as near: PEFT takes it for one that does not divide. */
const nearestDivisor = (asked: number, of: number): number => {
  if (asked >= of) return of
  for (let apart = 0; ; apart++) {
    if (of % (asked - apart) === 0) return asked - apart
    if (of % (asked + apart) === 0) return asked + apart
  }
}

const blockSize = ({ r, oft_block_size }: Blocks, inputs: number): number =>
  r === 0 ? nearestDivisor(oft_block_size, inputs) : inputs / nearestDivisor(r, inputs)

// No tensor of a file has a length that would confirm it.
const MOST_TERMS = 1000

const sizeOf = ({ v }: Oft): number => Math.round((1 + Math.sqrt(1 + 8 * (v.value.shape[1] ?? 1))) / 2)

/** One option by which PEFT cuts all layers into blocks as they are here. */
const blocksFor = (
  layers: readonly { readonly inputs: number; readonly size: number; readonly module: string }[],
): Blocks => {
  const most = Math.max(...layers.map(({ inputs }) => inputs))
  for (let n = 1; n <= most; n++) {
    const fits = (blocks: Blocks): boolean => layers.every(({ inputs, size }) => blockSize(blocks, inputs) === size)
    if (fits({ r: 0, oft_block_size: n })) return { r: 0, oft_block_size: n }
    if (fits({ r: n, oft_block_size: 0 })) return { r: n, oft_block_size: 0 }
  }
  return reject(
    'UnsupportedAdapter',
    layers[0]?.module ?? '',
    'one size of blocks, or one number of blocks, for all layers',
    `sizes ${[...new Set(layers.map(({ size }) => size))].join(', ')}`,
    saveOurs,
  )
}

/** OFT; the series has our sign, and the exact map is our transpose: (I − Q)(I + Q)⁻¹ of PEFT is ours of −Q. */
export const oftMethod = layerMethod<OftConfig, Oft>({
  type: 'OFT',
  biases: 'oft_only',
  spec: {
    props: {
      r: Whole,
      oft_block_size: Whole,
      coft: t.boolean,
      eps: Finite,
      block_share: t.boolean,
      use_cayley_neumann: t.boolean,
      num_cayley_neumann_terms: Whole,
    },
    defaults: {
      r: 0,
      oft_block_size: 32,
      coft: false,
      eps: 6e-5,
      block_share: false,
      use_cayley_neumann: true,
      num_cayley_neumann_terms: 5,
    },
    // PEFT 0.21 has a dropout for OFT and never applies it.
    harmless: ['module_dropout'],
  },
  tags: ['Oft'],
  wrap: ({ config, at, tensor }) => {
    if ((config.r === 0) === (config.oft_block_size === 0))
      reject(
        'BadConfig',
        at('oft_block_size'),
        'one of r and oft_block_size, and the other 0',
        `r ${config.r}, oft_block_size ${config.oft_block_size}`,
        'PEFT writes one of them.',
      )
    if (config.num_cayley_neumann_terms > MOST_TERMS)
      reject(
        'BadConfig',
        at('num_cayley_neumann_terms'),
        `at most ${MOST_TERMS} terms`,
        String(config.num_cayley_neumann_terms),
        'Each is a product of matrices in every pass, and a few are enough.',
      )
    if (config.coft && config.eps <= 0)
      reject(
        'BadConfig',
        at('eps'),
        'a radius above 0',
        String(config.eps),
        'Nothing is left of an adapter without it.',
      )
    return ({ path, inputs }) => {
      const size = blockSize(config, inputs)
      const [blocks, pairs] = [config.block_share ? 1 : inputs / size, (size * (size - 1)) / 2]
      const v = tensor(path, 'oft_R.weight', [blocks, pairs])
      return {
        kind: OftKind,
        dims: { blocks, pairs },
        given: {
          v: config.use_cayley_neumann ? v : neg(v),
          // No term and one are the same to PEFT, and 0 says here that the map is exact.
          terms: config.use_cayley_neumann ? Math.max(1, config.num_cayley_neumann_terms) : 0,
          radius: config.coft ? config.eps : 0,
        },
      }
    }
  },
  own: (worn, { nodes }) => {
    const layers = worn.map(({ module, node }) => ({
      module,
      node,
      inputs: sidesAt(nodes, module)[0],
      size: sizeOf(node),
    }))
    const terms = common(worn, 'number of terms', (node) => node.terms)
    const radius = common(worn, 'radius', (node) => node.radius)
    // A layer that is one block is shared and not shared.
    const several = layers.filter(({ inputs, size }) => inputs > size)
    const shared = several.length > 0 && common(several, 'way of sharing blocks', ({ v }) => v.value.shape[0] === 1)
    return {
      config: {
        ...blocksFor(layers),
        block_share: shared,
        coft: radius > 0,
        eps: radius > 0 ? radius : 6e-5,
        use_cayley_neumann: terms > 0,
        num_cayley_neumann_terms: terms > 0 ? terms : 5,
        module_dropout: 0,
        fan_in_fan_out: false,
      },
      tensors: worn.map(({ module, node: { v } }) => [module, 'oft_R.weight', terms === 0 ? neg(v.value) : v.value]),
    }
  },
})
