import * as t from 'io-ts'
import { transpose } from '../../ops/index.ts'
import { factors } from '../../transform/lokr.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { lokrKinds } from '../../weight/index.ts'
import type { Lokr, LokrForm } from '../../weight/index.ts'
import { reject } from '../issues.ts'
import { alphaOf, common, named, wornOn, wrapLayers } from './layers.ts'
import type { Worn } from './layers.ts'
import { lycorisDropout, lycorisSpec } from './loha.ts'
import type { LycorisConfig } from './loha.ts'
import type { PeftMethod } from './method.ts'
import { patternValue } from './targets.ts'

interface LokrConfig extends LycorisConfig {
  readonly decompose_both: boolean
  readonly decompose_factor: number
  readonly rank_dropout_scale: boolean
}

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

/** A rank with which PEFT makes the factors as thin as they are here. */
const rankFor = ({ module, node }: Worn<Lokr>, both: boolean): number => {
  const { w1, w2 } = shapeOf(node)
  const thin = (rank: number, [rows, columns]: Halves): boolean => rank < Math.max(rows, columns) / 2
  const fits = (rank: number): boolean =>
    thin(rank, w2) === isLow(node, 2) && (both && thin(rank, w1)) === isLow(node, 1)
  const low = isLow(node, 1) || isLow(node, 2)
  const found = [node.rank, ...(low ? [] : [Math.ceil(Math.max(...w1, ...w2) / 2)])].find(fits)
  return (
    found ??
    reject(
      'UnsupportedAdapter',
      module,
      'factors that PEFT would make thin or whole by their rank as they are here',
      `${node._tag} of rank ${node.rank}`,
      'Save it with saveAdapter, which takes everything.',
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
    'Save it with saveAdapter, which takes everything.',
  )
}

/** LoKr; PEFT's Δ is [out, in], and the transpose of a Kronecker product is that of its factors' transposes. */
export const lokrMethod: PeftMethod<LokrConfig> = {
  type: 'LOKR',
  spec: {
    ...lycorisSpec,
    props: {
      ...lycorisSpec.props,
      decompose_both: t.boolean,
      decompose_factor: t.number,
      rank_dropout_scale: t.boolean,
    },
    defaults: { ...lycorisSpec.defaults, decompose_both: false, decompose_factor: -1, rank_dropout_scale: false },
  },
  read: (job) =>
    wrapLayers(job, ({ path }) => {
      const part = (suffix: string) => transpose(job.tensor(path, suffix))
      const rank = patternValue(job.config.rank_pattern, path, job.config.r)
      const factor = (n: 1 | 2): readonly [LokrForm, Readonly<Record<string, Tensor>>, Halves] => {
        if (job.maybe(path, `lokr_w${n}`) !== undefined) {
          const whole = part(`lokr_w${n}`)
          return ['Full', { [`w${n}`]: whole }, [whole.shape[0] ?? 1, whole.shape[1] ?? 1]]
        }
        const [a, b] = [part(`lokr_w${n}_b`), part(`lokr_w${n}_a`)]
        return ['Low', { [`w${n}a`]: a, [`w${n}b`]: b }, [a.shape[0] ?? 1, b.shape[1] ?? 1]]
      }
      const [form1, first, [in1, out1]] = factor(1)
      const [form2, second, [in2, out2]] = factor(2)
      return {
        kind: lokrKinds[`Lokr${form1}${form2}`],
        dims: { rank, in1, in2, out1, out2 },
        given: {
          ...first,
          ...second,
          rank,
          alpha: patternValue(job.config.alpha_pattern, path, job.config.alpha),
          scaling: 'alpha/rank',
          rankDropout: job.config.rank_dropout,
          moduleDropout: job.config.module_dropout,
          rescaled: job.config.rank_dropout_scale,
        },
      }
    }),
  write: (job) => {
    const worn = wornOn<Lokr>(job, 'LokrFullFull', 'LokrFullLow', 'LokrLowFull', 'LokrLowLow')
    if (worn === undefined) return undefined
    const both = worn.some(({ node }) => isLow(node, 1))
    const ranks = worn.map((one) => [one.module, rankFor(one, both)] as const)
    const alphas = worn.map(({ module, node }, i) => {
      const rank = ranks[i]?.[1] ?? 1
      return [module, rank === node.rank ? alphaOf(node, rank) : (alphaOf(node, node.rank) / node.rank) * rank] as const
    })
    return {
      config: {
        target_modules: worn.map(({ module }) => module).toSorted(),
        rank_pattern: Object.fromEntries(ranks),
        alpha_pattern: Object.fromEntries(alphas),
        decompose_both: both,
        decompose_factor: factorFor(worn),
        ...lycorisDropout(worn),
        rank_dropout_scale: common(worn, 'rank_dropout_scale', ({ rescaled }) => rescaled),
      },
      tensors: named(
        worn.flatMap(({ module, node }) =>
          Object.entries(node)
            .filter(([name]) => /^w[12][ab]?$/.test(name))
            .map(([name, leaf]) => {
              const [, n = '', side = ''] = /^w([12])([ab]?)$/.exec(name) ?? []
              const suffix = side === '' ? `lokr_w${n}` : `lokr_w${n}_${side === 'a' ? 'b' : 'a'}`
              return [module, suffix, transpose((leaf as { readonly value: Tensor }).value)] as const
            }),
        ),
      ),
    }
  },
}
