import * as t from 'io-ts'
import { transpose } from '../../ops/index.ts'
import { factors } from '../../transform/lokr.ts'
import { isParam } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { lokrKinds } from '../../weight/index.ts'
import type { Lokr, LokrForm } from '../../weight/index.ts'
import { factorOf } from '../../weight/lora.ts'
import { reject } from '../issues.ts'
import { layerMethod } from './layer-method.ts'
import type { Part } from './layer-method.ts'
import { alphaOf, common } from './layers.ts'
import type { Worn } from './layers.ts'
import { lycorisKeys, lycorisOptions, lycorisSpec } from './loha.ts'
import type { LycorisConfig } from './loha.ts'
import { saveOurs } from './hints.ts'

interface LokrConfig extends LycorisConfig {
  readonly decompose_both: boolean
  readonly decompose_factor: number
  readonly rank_dropout_scale: boolean
}

const Factor = t.refinement(
  t.number,
  (n) => n === -1 || (Number.isSafeInteger(n) && n > 0),
  '-1 or a positive whole number',
)

type Halves = readonly [rows: number, columns: number]
interface Shape {
  readonly w1: Halves
  readonly w2: Halves
}

/** The sides of both factors as a whole, whatever they are made of. */
const shapeOf = (node: Lokr): Shape => {
  const side = (value: Tensor, axis: 0 | 1): number => value.shape[axis] ?? 1
  const whole = (w: Tensor): Halves => [side(w, 0), side(w, 1)]
  return {
    w1: 'w1' in node ? whole(node.w1.value) : [side(node.w1a.value, 0), side(node.w1b.value, 1)],
    w2: 'w2' in node ? whole(node.w2.value) : [side(node.w2a.value, 0), side(node.w2b.value, 1)],
  }
}

const isLow = (node: Lokr, n: 1 | 2): boolean => `w${n}a` in node

/** Whether PEFT makes a factor of this rank of two thin ones. */
const isThin = (rank: number, [rows, columns]: Halves): boolean => rank < Math.max(rows, columns) / 2

/** A rank with which PEFT makes the factors as thin as they are here. */
const rankFor = ({ module, node }: Worn<Lokr>, both: boolean): number => {
  const { w1, w2 } = shapeOf(node)
  const fits = (rank: number): boolean =>
    isThin(rank, w2) === isLow(node, 2) && (both && isThin(rank, w1)) === isLow(node, 1)
  const low = isLow(node, 1) || isLow(node, 2)
  const found = [node.rank, ...(low ? [] : [Math.ceil(Math.max(...w1, ...w2) / 2)])].find(fits)
  return (
    found ??
    reject(
      'UnsupportedAdapter',
      module,
      'factors that PEFT would make thin or whole by their rank as they are here',
      `${node._tag} of rank ${node.rank}`,
      saveOurs,
    )
  )
}

/** The option by which PEFT splits the sides of all layers as they are here. */
const factorFor = (worn: readonly Worn<Lokr>[]): number => {
  const shapes = worn.map(({ node }) => shapeOf(node))
  const splits = (factor?: number): boolean =>
    shapes.every(({ w1, w2 }) =>
      ([0, 1] as const).every((axis) => factors(w1[axis] * w2[axis], factor).join() === [w1[axis], w2[axis]].join()),
    )
  if (splits()) return -1
  const most = Math.max(...shapes.flatMap(({ w1 }) => w1))
  // The largest first factor is what was asked for, or as near to it as one layer could come.
  for (let factor = most; factor <= 2 * Math.max(...shapes.flatMap(({ w2 }) => w2), most); factor++)
    if (splits(factor)) return factor
  return reject(
    'UnsupportedAdapter',
    worn[0]?.module ?? '',
    'sides split by one decompose_factor for all layers',
    shapes.map(({ w1 }) => w1.join('x')).join(', '),
    saveOurs,
  )
}

/** What a field is called in files, where both factors lie the other way round. */
const nameOf = (field: string): string =>
  field
    .replace(/^w([12])a$/, 'lokr_w$1_b')
    .replace(/^w([12])b$/, 'lokr_w$1_a')
    .replace(/^w/, 'lokr_w')

/** The sides that PEFT gives the factors of a weight. */
const sidesFor = (factor: number, inputs: number, outputs: number): Shape => {
  const most = factor === -1 ? undefined : factor
  const [[in1, in2], [out1, out2]] = [factors(inputs, most), factors(outputs, most)]
  return { w1: [in1, out1], w2: [in2, out2] }
}

/** LoKr; PEFT's Δ is [out, in], and the transpose of a Kronecker product is that of its factors' transposes. */
export const lokrMethod = layerMethod<LokrConfig, Lokr>({
  type: 'LOKR',
  spec: {
    ...lycorisSpec,
    props: {
      ...lycorisSpec.props,
      decompose_both: t.boolean,
      decompose_factor: Factor,
      rank_dropout_scale: t.boolean,
    },
    defaults: { ...lycorisSpec.defaults, decompose_both: false, decompose_factor: -1, rank_dropout_scale: false },
  },
  tags: ['LokrFullFull', 'LokrFullLow', 'LokrLowFull', 'LokrLowLow'],
  wrap: (job) => {
    const optionsOf = lycorisOptions(job)
    const { decompose_both: both, decompose_factor: factor, rank_dropout_scale: rescaled } = job.config
    return ({ path, inputs, outputs }) => {
      const { rank, data } = optionsOf(path)
      const { w1, w2 } = sidesFor(factor, inputs, outputs)
      const part = (field: string, ...shape: Halves) =>
        [field, transpose(job.tensor(path, nameOf(field), shape.toReversed()))] as const
      const half = (n: 1 | 2, form: LokrForm, [rows, columns]: Halves) =>
        form === 'Full' ? [part(`w${n}`, rows, columns)] : [part(`w${n}a`, rows, rank), part(`w${n}b`, rank, columns)]
      const form1 = both && isThin(rank, w1) ? 'Low' : 'Full'
      const form2 = isThin(rank, w2) ? 'Low' : 'Full'
      return {
        kind: lokrKinds[`Lokr${form1}${form2}`],
        dims: { rank, in1: w1[0], out1: w1[1], in2: w2[0], out2: w2[1] },
        given: { ...Object.fromEntries([...half(1, form1, w1), ...half(2, form2, w2)]), rank, rescaled, ...data },
      }
    }
  },
  own: (worn) => {
    const both = worn.some(({ node }) => isLow(node, 1))
    const ranks = worn.map((one) => rankFor(one, both))
    const alphas = worn.map(({ node }, i) => {
      const rank = ranks[i] ?? 1
      return rank === node.rank ? alphaOf(node, rank) : factorOf(node, node.rank) * rank
    })
    return {
      config: {
        ...lycorisKeys(worn, ranks, alphas),
        decompose_both: both,
        decompose_factor: factorFor(worn),
        rank_dropout_scale: common(worn, 'rank_dropout_scale', ({ rescaled }) => rescaled),
      },
      tensors: worn.flatMap(({ module, node }) =>
        Object.entries(node).flatMap(([field, leaf]): readonly Part[] =>
          isParam(leaf) && field !== 'base' ? [[module, nameOf(field), transpose(leaf.value)]] : [],
        ),
      ),
    }
  },
})
