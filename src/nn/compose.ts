import { initialise } from '../kind/index.ts'
import { fail } from '../tree/error.ts'
import { key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { LayerAdapter } from './bottleneck.ts'
import { AdapterFusionKind, partsOf } from './composed.ts'
import type { AdapterAverage, AdapterFusion, AdapterParallel, AdapterStack } from './composed.ts'
import { widthsOf } from './width.ts'

type Parts = readonly [LayerAdapter, ...LayerAdapter[]]

/** The parts of what stands in a stack. */
type Flat<A extends LayerAdapter> = A extends AdapterStack<infer X, infer O> ? X | O : A

const refuse = (way: string, expected: string, found: string, hint: string): never =>
  fail({ _tag: 'BadOption', path: `bottleneck.${way}`, expected, found, hint })

const firstOf = <A>(way: string, parts: readonly A[]): readonly [A, readonly A[]] => {
  const [base, ...others] = parts
  if (base === undefined) return refuse(way, 'at least one adapter', 'none', 'Nothing has nothing to add.')
  return [base, others]
}

const isStack = (node: LayerAdapter): node is AdapterStack => node._tag === 'AdapterStack'

/** Adapters one after the other; a stack of stacks is one stack. */
export const stackOf = <const P extends Parts>(...parts: P): AdapterStack<Flat<P[number]>> => {
  const flat = parts.flatMap((part): readonly unknown[] => (isStack(part) ? partsOf(part) : [part]))
  const [base, others] = firstOf('stack', flat as readonly Flat<P[number]>[])
  return { _tag: 'AdapterStack', base, others }
}

/** Weights of sum 1. They are divided by their sum here and never again, and those that are of sum 1 stay bit for bit. */
const shares = (parts: number, weights: readonly number[]): readonly number[] => {
  const total = weights.reduce((n, w) => n + w, 0)
  if (weights.length !== parts || !weights.every((w) => w >= 0) || !(total > 0 && total < Infinity))
    return refuse(
      'average',
      `${parts} weights that are not negative, and not all of them 0`,
      `[${weights.join(', ')}]`,
      'Give each adapter a weight; they are divided by their sum.',
    )
  return Math.abs(total - 1) < 1e-12 ? weights : weights.map((w) => w / total)
}

/** The weighted mean of adapters. */
export const averageOf = <const P extends Parts>(
  parts: P,
  weights: readonly number[] = parts.map(() => 1),
): AdapterAverage<P[0], P[number]> => {
  const [base, others] = firstOf('average', parts)
  return { _tag: 'AdapterAverage', base, others, weights: shares(parts.length, weights) }
}

/** Adapters side by side, each with its own part of the batch. */
export const parallelOf = <const P extends Parts>(...parts: P): AdapterParallel<P[0], P[number]> => {
  const [base, others] = firstOf('parallel', parts)
  return { _tag: 'AdapterParallel', base, others }
}

/** How a fusion is made. */
export interface FuseOptions {
  /** What its labels begin with. */
  readonly label?: string
  /** What its query and key are drawn from, folded by label. */
  readonly key?: Key
}

/** Attention over adapters, its value projection the identity at first. */
export const fuseOf = <const P extends Parts>(
  parts: P,
  { label = 'fusion', key = seedKey('fuse') }: FuseOptions = {},
): AdapterFusion<P[0], P[number]> => {
  const [base, others] = firstOf('fuse', parts)
  const widths = widthsOf(base)
  if (widths === undefined)
    return refuse('fuse', 'adapters whose weights tell their widths', base._tag, 'Fuse bottlenecks.')
  const {
    query,
    key: asked,
    value,
  } = initialise(AdapterFusionKind, { in: widths.in, out: widths.out }, key, { others: [] }, label) as AdapterFusion
  return { _tag: 'AdapterFusion', base, others, query, key: asked, value }
}
