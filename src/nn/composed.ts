import { gaussian, layer, matrix, project, projectT } from '../kind/index.ts'
import type { AnyField, Init, Kind } from '../kind/index.ts'
import { add, concat, mul, slice, softmax, sum } from '../ops/index.ts'
import { fail } from '../tree/error.ts'
import type { Matrix, Status } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { leaves } from '../tree/walk.ts'
import { identity } from '../weight/rotation.ts'
import { BottleneckKind, addAll } from './bottleneck.ts'
import type { LayerAdapter, Bottleneck } from './bottleneck.ts'

/*
 * Several adapters at one place. The first is under `base`, so that it keeps its path and its label when others join it, and
 * `detach.only` takes those off again.
 */

/** What every composition has: its first adapter, and the others in their order. */
export interface Composed<A extends LayerAdapter = LayerAdapter, O extends LayerAdapter = A> extends LayerAdapter {
  readonly _tag: string
  readonly '~role'?: 'layer'
  readonly '~adapter'?: true
  readonly base: A
  readonly others: readonly O[]
}

/**
 * One adapter after the other: each is given the hidden states with all changes before it added.
 *
 * @source Pfeiffer et al. 2020, "MAD-X", §3.2.
 */
export interface AdapterStack<A extends LayerAdapter = LayerAdapter, O extends LayerAdapter = A> extends Composed<
  A,
  O
> {
  readonly _tag: 'AdapterStack'
}

/** Σ wᵢ·δᵢ(h): the weighted mean of what the adapters add. */
export interface AdapterAverage<A extends LayerAdapter = LayerAdapter, O extends LayerAdapter = A> extends Composed<
  A,
  O
> {
  readonly _tag: 'AdapterAverage'
  /** One for each adapter, of sum 1. */
  readonly weights: readonly number[]
}

/**
 * Each adapter for its own part of the batch, equal parts in order: on a batch repeated as often as there are adapters, each
 * runs on all of it.
 *
 * @source Rücklé et al. 2021, "AdapterDrop", §2.2.
 */
export interface AdapterParallel<A extends LayerAdapter = LayerAdapter, O extends LayerAdapter = A> extends Composed<
  A,
  O
> {
  readonly _tag: 'AdapterParallel'
}

/**
 * Attention over what the adapters add: softmax((h·Q)·(δᵢ·K)) before δᵢ·V, with V the identity at first.
 *
 * @source Pfeiffer et al. 2021, "AdapterFusion", §3.2.
 */
export interface AdapterFusion<
  A extends LayerAdapter = LayerAdapter,
  O extends LayerAdapter = A,
  S extends Status = 'trainable',
> extends Composed<A, O> {
  readonly _tag: 'AdapterFusion'
  /** [in, out]. */
  readonly query: Matrix<S>
  /** [out, out]. */
  readonly key: Matrix<S>
  readonly value: Matrix<S>
}

/** Several adapters as one, in any of the ways there are. */
export type Composition<A extends LayerAdapter = LayerAdapter, O extends LayerAdapter = A> =
  | AdapterStack<A, O>
  | AdapterAverage<A, O>
  | AdapterParallel<A, O>
  | AdapterFusion<A, O>

/** What an adapter is once another has joined it. */
export type Joined<A extends LayerAdapter> =
  A extends Composed<infer X, infer O> ? Composition<A | X, O | Bottleneck> : Composition<A, Bottleneck>

/** The adapters of a composition in their order. */
export const partsOf = ({ base, others }: Composed): readonly LayerAdapter[] => [base, ...others]

const others: AnyField = {
  _tag: 'ListField',
  of: { _tag: 'NodeField', kind: BottleneckKind, dims: { in: 'in', width: 'width', out: 'out' }, statics: {} },
  length: 'others',
}

const asIdentity: Init = (_, [n = 0]) => identity(n)

type Dims = 'in' | 'width' | 'out' | 'others'

/** The kind behind `bottleneck.stack`; its parts have as many outputs as inputs. */
export const AdapterStackKind: Kind<AdapterStack, 'layer', Dims> = {
  tag: 'AdapterStack',
  role: 'layer',
  fields: { others },
  ops: {
    layer: (n, x, ctx) =>
      n.others.reduce<Tensor>((change, part) => add(change, layer(part, add(x, change), ctx)), layer(n.base, x, ctx)),
  },
}

/** The kind behind `bottleneck.average`. */
export const AdapterAverageKind: Kind<AdapterAverage, 'layer', Dims> = {
  tag: 'AdapterAverage',
  role: 'layer',
  fields: { others, weights: { _tag: 'StaticField', value: [] } },
  ops: { layer: (n, x, ctx) => addAll(partsOf(n).map((part, i) => mul(layer(part, x, ctx), n.weights[i] ?? 0))) },
}

const rowsEach = (n: AdapterParallel, batch: number): number => {
  const parts = partsOf(n).length
  if (batch % parts !== 0)
    fail({
      _tag: 'ShapeMismatch',
      path: leaves(n)[0]?.label ?? '',
      expected: `a batch that ${parts} adapters in parallel divide`,
      found: `${batch} rows`,
      hint: `Repeat the batch ${parts} times, once for each adapter, or give each its own rows in equal number.`,
    })
  return batch / parts
}

/** The kind behind `bottleneck.parallel`. */
export const AdapterParallelKind: Kind<AdapterParallel, 'layer', Dims> = {
  tag: 'AdapterParallel',
  role: 'layer',
  fields: { others },
  ops: {
    layer: (n, x, ctx) => {
      const [batch = 0, ...rest] = x.shape
      const each = rowsEach(n, batch)
      const own = (i: number): Tensor => slice(x, [i * each, ...rest.map(() => 0)], [each, ...rest])
      return concat(
        partsOf(n).map((part, i) => layer(part, own(i), ctx)),
        0,
      )
    },
  },
}

/** The kind behind `bottleneck.fuse`. */
export const AdapterFusionKind: Kind<AdapterFusion, 'layer', Dims> = {
  tag: 'AdapterFusion',
  role: 'layer',
  fields: {
    others,
    query: matrix('in', 'out', gaussian(0.02)),
    key: matrix('out', 'out', gaussian(0.02)),
    value: matrix('out', 'out', asIdentity),
  },
  ops: {
    layer: (n, x, ctx) => {
      const changes = partsOf(n).map((part) => layer(part, x, ctx))
      // (h·Q)·(δ·K) = (h·Q·Kᵀ)·δ, and Σ pᵢ·(δᵢ·V) = (Σ pᵢ·δᵢ)·V: two products instead of two for each adapter.
      const asked = projectT(project(x, n.query, ctx), n.key, ctx)
      const score = (change: Tensor): Tensor => sum(mul(asked, change), { axes: -1, keepDims: true })
      const lead = x.shape.slice(0, -1)
      const shares = softmax(concat(changes.map(score), lead.length))
      const share = (i: number): Tensor => slice(shares, [...lead.map(() => 0), i], [...lead, 1])
      return project(addAll(changes.map((change, i) => mul(change, share(i)))), n.value, ctx)
    },
  },
}
